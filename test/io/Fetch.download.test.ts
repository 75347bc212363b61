/** Downloads: whole or not at all, gone on with after whatever came between. */
import * as NodeFileSystem from "@effect/platform-node/NodeFileSystem"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as FileSystem from "effect/FileSystem"
import type * as HttpClient from "effect/http/HttpClient"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/testing/TestClock"
import { Fetch } from "skein"
import { Http } from "skein/node"
import { createHash } from "node:crypto"
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs"
import { join, resolve } from "node:path"
import * as Child from "../support/child.ts"
import * as Disk from "../support/disk.ts"
import * as Shelf from "../support/shelf.ts"

const withShelf = <A, E>(
  thing: Shelf.Thing,
  body: (
    shelf: Shelf.Shelf,
    folder: string
  ) => Effect.Effect<A, E, HttpClient.HttpClient | FileSystem.FileSystem | Scope.Scope>
): Effect.Effect<A, E, Scope.Scope> =>
  Effect.flatMap(Effect.all([Shelf.start(thing), Child.folder]), ([shelf, folder]) => body(shelf, folder)).pipe(
    Fetch.withPolicy({ backoff: { base: 0 } }),
    Effect.provide([Http.layer(), NodeFileSystem.layer])
  )

/** Of a length that no block has, so that a part in a wrong place shows. */
const pattern = (seed: number): Buffer => {
  const bytes = Buffer.alloc(65_521)
  for (let i = 0, state = seed; i < bytes.length; i++) {
    state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff
    bytes[i] = state >> 16
  }
  return bytes
}
const patterns = [pattern(1), pattern(7)] as const
const content = (size: number, which: 0 | 1 = 0): Uint8Array => Buffer.alloc(size, patterns[which])
const sha256 = (bytes: Uint8Array): Buffer => createHash("sha256").update(bytes).digest()
const old = new Date("2020-01-01T00:00:00Z")
const quick: Fetch.DownloadOptions = { retries: 0 }

/** Nothing is left beside the file. */
const only = (folder: string, ...names: ReadonlyArray<string>) =>
  assert.deepEqual(readdirSync(folder).sort(), [...names])
const isSame = (path: string, bytes: Uint8Array) => assert.isTrue(readFileSync(path).equals(bytes), "another content")

describe("Fetch.download", () => {
  it.effect("makes the file, its folders too, and tells how far it is", () =>
    withShelf({ body: content(300_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "a/b/file.bin")
        const seen: Array<Fetch.Progress> = []
        const done = yield* Fetch.download(shelf.url, path, {
          onProgress: (progress) => Effect.sync(() => void seen.push(progress))
        })
        assert.deepEqual(done, { url: shelf.url, bytes: 300_000, resumed: 0 })
        isSame(path, content(300_000))
        only(join(folder, "a/b"), "file.bin")
        assert.deepEqual(seen.at(-1), { bytes: 300_000, total: 300_000 })
        assert.isTrue(seen.every(({ bytes }, i) => bytes > (seen[i - 1]?.bytes ?? 0)))
        assert.strictEqual(shelf.requests[0]?.headers["accept-encoding"], "identity")
      })
    )
  )

  it.effect("replaces a file only as a whole, keeps its permissions, and writes through a link", () =>
    withShelf({ body: "new" }, (shelf, folder) =>
      Effect.gen(function* () {
        mkdirSync(join(folder, "real"))
        const real = join(folder, "real/file")
        writeFileSync(real, "old", { mode: 0o600 })
        symlinkSync(real, join(folder, "link"))
        shelf.thing.cuts = [2]
        yield* Effect.flip(Fetch.download(shelf.url, join(folder, "link"), quick))
        assert.strictEqual(readFileSync(real, "utf8"), "old")
        yield* Fetch.download(shelf.url, join(folder, "link"))
        assert.strictEqual(readFileSync(real, "utf8"), "new")
        assert.strictEqual(statSync(real).mode & 0o777, 0o600)
        only(join(folder, "real"), "file")
        only(folder, "link", "real")
      })
    )
  )

  it.effect("goes on behind what has come, in the same download", () =>
    withShelf({ body: content(500_000), etag: '"1"', cuts: [100_000, 100_000, 0, 100_000] }, (shelf, folder) =>
      Effect.gen(function* () {
        yield* Fetch.download(shelf.url, join(folder, "x"), { retries: 2 })
        isSame(join(folder, "x"), content(500_000))
        assert.strictEqual(shelf.asked[0], "")
        assert.isTrue(shelf.asked.slice(1).every((range) => /^bytes=[1-9]\d*-$/.test(range)))
        assert.isTrue(shelf.requests.slice(1).every(({ headers }) => headers["if-range"] === '"1"'))
      })
    )
  )

  for (const [name, thing] of [
    ["an ETag", { etag: '"1"' }],
    ["a date", { modified: old }]
  ] as const) {
    it.effect(`goes on in another download, by ${name}`, () =>
      withShelf({ body: content(200_000), ...thing, cuts: [150_000] }, (shelf, folder) =>
        Effect.gen(function* () {
          const path = join(folder, "x")
          const error = yield* Effect.flip(Fetch.download(shelf.url, path, quick))
          assert.strictEqual((error as Fetch.FetchError).reason, "Connect")
          assert.isFalse(existsSync(path))
          const done = yield* Fetch.download(shelf.url, path)
          assert.isTrue(done.resumed > 0)
          assert.strictEqual(shelf.asked[1], `bytes=${done.resumed}-`)
          isSame(path, content(200_000))
          only(folder, "x")
        })
      )
    )
  }

  it.effect("starts anew where nothing says that it is still the same", () =>
    withShelf({ body: content(200_000) }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const kinds: ReadonlyArray<Partial<Shelf.Thing>> = [
          {},
          { etag: 'W/"1"', modified: old },
          { modified: new Date() },
          { etag: '"1"', headers: { "accept-ranges": "none" } },
          { etag: '"1"', gzip: true }
        ]
        for (const kind of kinds) {
          Object.assign(shelf.thing, { etag: undefined, modified: undefined, headers: {}, gzip: false }, kind)
          shelf.thing.cuts = [100]
          shelf.asked.length = 0
          yield* Effect.flip(Fetch.download(shelf.url, path, quick))
          only(folder)
          const done = yield* Fetch.download(shelf.url, path)
          assert.deepEqual([shelf.asked[1], done.resumed], ["", 0], JSON.stringify(kind))
          isSame(path, content(200_000))
          shelf.thing.cuts = []
          yield* Effect.sync(() => writeFileSync(path, ""))
          yield* Effect.promise(() => import("node:fs/promises").then((fs) => fs.rm(path)))
        }
      })
    )
  )

  it.effect("starts anew where it changed, or where what is asked for is not what comes", () =>
    withShelf({ body: content(200_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const next = content(180_000, 1)
        const wrong =
          (headers: Record<string, string | number>, status = 206) =>
          () => {
            shelf.thing.answer = (request, response) => {
              if (request.headers.range === undefined) return false
              response.writeHead(status, { etag: '"1"', ...headers }).end("wrong")
              return true
            }
          }
        const whole = (body: Uint8Array, etag: string) => Object.assign(shelf.thing, { body, etag })
        const cases: ReadonlyArray<readonly [string, () => unknown, Uint8Array]> = [
          ["another version", () => whole(next, '"2"'), next],
          ["a shorter one under the same name", () => whole(content(10), '"1"'), content(10)],
          ["no ranges any more", () => (shelf.thing.ranges = false), content(200_000)],
          ["416 without a size", wrong({}, 416), content(200_000)],
          ["416 with another size", wrong({ "content-range": "bytes */5" }, 416), content(200_000)],
          ["another range", wrong({ "content-range": "bytes 0-4/200000" }), content(200_000)],
          ["no range at all", wrong({}), content(200_000)],
          ["several ranges", wrong({ "content-type": "multipart/byteranges; boundary=x" }), content(200_000)]
        ]
        for (const [name, change, expected] of cases) {
          Object.assign(shelf.thing, { ranges: true, answer: undefined, cuts: [150_000] })
          whole(content(200_000), '"1"')
          yield* Effect.flip(Fetch.download(shelf.url, path, quick))
          change()
          const done = yield* Fetch.download(shelf.url, path)
          assert.strictEqual(done.resumed, 0, name)
          isSame(path, expected)
          only(folder, "x")
        }
      })
    )
  )

  it.effect("is done where all of it had come before", () =>
    withShelf({ body: content(100_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const error = yield* Effect.flip(
          Fetch.download(shelf.url, path, quick).pipe(
            Disk.changed(
              () => ({}),
              () => ({ rename: () => Effect.fail(Disk.fault("EIO", "rename")) })
            )
          )
        )
        assert.strictEqual((error as { kind?: string }).kind, "DiskFault")
        const done = yield* Fetch.download(shelf.url, path)
        assert.deepEqual([done.resumed, shelf.asked[1]], [100_000, "bytes=100000-"])
        isSame(path, content(100_000))
      })
    )
  )

  it.effect("takes no other file for its part: of another address, torn, or shorter than it was", () =>
    withShelf({ body: content(100_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const meddled: ReadonlyArray<() => void> = [
          () => writeFileSync(join(folder, ".x.skein-part"), "short"),
          () =>
            writeFileSync(
              join(folder, ".x.skein-note"),
              readFileSync(join(folder, ".x.skein-note"), "utf8").slice(0, -5)
            ),
          () => writeFileSync(join(folder, ".x.skein-note"), "")
        ]
        for (const meddle of [...meddled, undefined]) {
          shelf.thing.cuts = [50_000]
          yield* Effect.flip(Fetch.download(shelf.url, path, quick))
          meddle?.()
          const done = yield* Fetch.download(meddle === undefined ? `${shelf.url}?other` : shelf.url, path)
          assert.strictEqual(done.resumed, 0)
          isSame(path, content(100_000))
        }
      })
    )
  )

  it.effect("holds the file to its digests, and keeps no part of a wrong one", () =>
    withShelf({ body: content(100_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const right = sha256(content(100_000))
        const wrong = sha256(content(5))
        for (const digest of [`sha256-${right.toString("hex")}`, `sha256-${right.toString("base64")}`]) {
          shelf.thing.cuts = [50_000]
          yield* Fetch.download(shelf.url, path, { digest })
        }
        const error = yield* Effect.flip(Fetch.download(shelf.url, path, { digest: `sha256-${wrong.toString("hex")}` }))
        assert.include(error.message, `by the option \`digest\` it has to be ${wrong.toString("hex")}`)
        for (const name of ["repr-digest", "content-digest", "digest"]) {
          const header = (bytes: Buffer) =>
            name === "digest" ? `SHA-256=${bytes.toString("base64")}` : `sha-256=:${bytes.toString("base64")}:`
          shelf.thing.headers = { [name]: `unknown=:x:, ${header(right)}` }
          yield* Fetch.download(shelf.url, path)
          shelf.thing.headers = { [name]: header(wrong) }
          const error = yield* Effect.flip(Fetch.download(shelf.url, path))
          assert.strictEqual((error as Fetch.FetchError).reason, "Decode", name)
          only(folder, "x")
          // Of a coded body it speaks of the coded bytes.
          shelf.thing.gzip = true
          yield* Fetch.download(shelf.url, path)
          shelf.thing.gzip = false
        }
        for (const digest of ["", "md5-abc", "sha256-zz", `sha512-${right.toString("hex")}`, 5 as never]) {
          assert.throws(() => Fetch.download(shelf.url, path, { digest }), TypeError)
        }
      })
    )
  )

  it.effect("fails in words where the disk does, and goes on once there is room", () =>
    withShelf({ body: content(300_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        let room = 3
        const full = Disk.changed((file, at) =>
          at.endsWith("-part")
            ? { writeAll: (bytes) => (room-- > 0 ? file.writeAll(bytes) : Effect.fail(Disk.fault("ENOSPC", "write"))) }
            : {}
        )
        const error = yield* Effect.flip(full(Fetch.download(shelf.url, path)))
        assert.include(error.message, "the disk is full")
        const done = yield* Fetch.download(shelf.url, path)
        assert.isTrue(done.resumed > 0)
        isSame(path, content(300_000))
        const folderError = yield* Effect.flip(Fetch.download(shelf.url, folder))
        assert.include(folderError.message, "it is a folder")
      })
    )
  )

  it.effect("is bounded only where a size is given, and refuses a second one to the same file", () =>
    withShelf({ body: content(20 * 1024 * 1024), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const limited = yield* Effect.flip(Fetch.download(shelf.url, path, { maxBody: 1000 }))
        assert.strictEqual((limited as Fetch.FetchError).reason, "TooLarge")
        yield* Fetch.download(shelf.url, path)
        assert.strictEqual(statSync(path).size, 20 * 1024 * 1024)
        shelf.thing.answer = () => true
        const first = yield* Effect.forkChild(Fetch.download(shelf.url, path))
        while (first.pollUnsafe() === undefined && !existsSync(join(folder, ".x.skein")))
          yield* Effect.promise(() => new Promise((next) => setTimeout(next, 5)))
        const error = yield* Effect.flip(Fetch.download(shelf.url, path))
        assert.strictEqual((error as { kind?: string }).kind, "Interfered")
        yield* Fiber.interrupt(first)
        only(folder, "x")
      })
    )
  )

  it.effect("keeps what came within its time", () =>
    withShelf({ body: content(200_000), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        shelf.thing.answer = (_, response) => {
          response.writeHead(200, { etag: '"1"', "content-length": 200_000 })
          response.write(Buffer.from(shelf.thing.body).subarray(0, 100_000))
          return true
        }
        const came = yield* Deferred.make<void>()
        const onProgress = ({ bytes }: Fetch.Progress) =>
          bytes < 100_000 ? Effect.void : Effect.asVoid(Deferred.succeed(came, undefined))
        const options = { total: "10 seconds", timeout: "1 minute", onProgress } as const
        const fiber = yield* Effect.forkChild(Effect.flip(Fetch.download(shelf.url, path, options)))
        yield* Deferred.await(came)
        yield* TestClock.adjust("10 seconds")
        const error = yield* Fiber.join(fiber)
        assert.include(error.message, "100000 bytes came within 10s, and not all")
        shelf.thing.answer = undefined
        assert.strictEqual((yield* Fetch.download(shelf.url, path)).resumed, 100_000)
      })
    )
  )

  it.live("survives being killed: the next one goes on with what was safe", () =>
    withShelf({ body: content(12 * 1024 * 1024), etag: '"1"' }, (shelf, folder) =>
      Effect.gen(function* () {
        const path = join(folder, "x")
        const args = [resolve(import.meta.dirname, "download-program.ts"), shelf.url, path]
        const cut = 9.5 * 1024 * 1024
        // Stands still behind that, so that it is killed in the middle.
        shelf.thing.answer = (_, response) => {
          response.writeHead(200, { etag: '"1"', "content-length": shelf.thing.body.length })
          response.write(Buffer.from(shelf.thing.body).subarray(0, cut))
          return true
        }
        const child = yield* Child.start(args)
        yield* child.says("at 9")
        child.kill("SIGKILL")
        yield* child.end
        assert.isFalse(existsSync(path))
        shelf.thing.answer = undefined as never
        const again = yield* Child.start(args)
        const { code, stdout } = yield* again.end
        assert.strictEqual(code, 0, stdout)
        const [, bytes, resumed] = /done (\d+) (\d+)/.exec(stdout) ?? []
        assert.strictEqual(Number(bytes), shelf.thing.body.length)
        assert.isTrue(Number(resumed) >= 8 * 1024 * 1024 && Number(resumed) <= cut, resumed)
        isSame(path, content(12 * 1024 * 1024))
        only(folder, "x")
      })
    )
  )
})
