import { assert, beforeAll, afterAll, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { Postgres } from "skein/node"
import { pidOf } from "../support/postgres/client.ts"
import { ask } from "../support/postgres/database.ts"
import * as Server from "../support/postgres/Server.ts"
import { session, until } from "../support/postgres/watch.ts"

const file = (name: string) => resolve(import.meta.dirname, "../support/postgres/tls", name)
const read = (name: string) => readFileSync(file(name), "utf8")

let folder: string
let encrypted: Server.Server
let plain: Server.Server

/** `either` takes all, `strict` only what is encrypted, `lax` only what is not, and `known` only who has a certificate. */
const rules = `
hostssl   strict all 127.0.0.1/32 scram-sha-256
hostnossl lax    all 127.0.0.1/32 scram-sha-256
hostssl   known  all 127.0.0.1/32 cert
host      either   all 127.0.0.1/32 scram-sha-256
host postgres    all 127.0.0.1/32 scram-sha-256
`

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "skein-tls-"))
  chmodSync(folder, 0o755)
  writeFileSync(join(folder, "hba"), rules)
  for (const name of ["authority.crt", "client.crt", "client.key", "stranger.crt"]) {
    copyFileSync(file(name), join(folder, name))
    chmodSync(join(folder, name), 0o644)
  }
  encrypted = await Server.open({
    tls: { certificate: read("server.crt"), key: read("server.key") },
    settings: { hba_file: join(folder, "hba"), ssl_ca_file: join(folder, "authority.crt") }
  })
  plain = await Server.open()
  for (const name of ["strict", "lax", "known", "either"]) await ask(encrypted.url(), `CREATE DATABASE ${name}`)
}, 60_000)

afterAll(async () => {
  await encrypted.close()
  await plain.close()
  rmSync(folder, { recursive: true })
})

/** Of the server, by the name in its certificate. */
const at = (database: string, parameters: string) =>
  `${encrypted.url(database).replace("127.0.0.1", "localhost")}?${parameters}`

const isEncrypted = (url: string) =>
  Effect.scoped(
    Effect.flatMap(Postgres.open(url), ({ sql }) =>
      Effect.map(
        sql<{ readonly ssl: boolean }>`SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
        ([row]) => row?.ssl
      )
    )
  )

describe("Postgres: sslmode", () => {
  it.live.each<readonly [string, string, boolean]>([
    ["either", "", true],
    ["either", "sslmode=disable", false],
    ["either", "sslmode=allow", false],
    ["either", "sslmode=prefer", true],
    ["either", "sslmode=require", true],
    ["either", "ssl=true", true],
    ["strict", "sslmode=allow", true],
    ["lax", "sslmode=prefer", false],
    ["either", "sslmode=require&sslrootcert=FOLDER/authority.crt", true],
    ["either", "sslmode=verify-ca&sslrootcert=FOLDER/authority.crt", true],
    ["either", "sslmode=verify-full&sslrootcert=FOLDER/authority.crt", true],
    ["either", "sslmode=require&channel_binding=require", true],
    ["known", "sslmode=require&sslcert=FOLDER/client.crt&sslkey=FOLDER/client.key", true]
  ])("%s?%s", ([database, parameters, expected]) =>
    Effect.gen(function* () {
      assert.strictEqual(yield* isEncrypted(at(database, parameters.replaceAll("FOLDER", folder))), expected)
    })
  )

  it.live("verify-ca does not look at the name of the server", () =>
    Effect.gen(function* () {
      const url = `${encrypted.url("either")}?sslmode=verify-ca&sslrootcert=${folder}/authority.crt`
      assert.strictEqual(yield* isEncrypted(url), true)
    })
  )

  it.live.each<readonly [string, () => string, string]>([
    ["TLS is asked for and there is none", () => `${plain.url()}?sslmode=require`, "the server speaks no TLS"],
    ["only TLS will do", () => at("strict", "sslmode=disable"), "Add sslmode=require"],
    [
      "the certificate is of somebody else",
      () => at("either", `sslmode=verify-ca&sslrootcert=${folder}/stranger.crt`),
      "is not accepted"
    ],
    [
      "the name is another",
      () => `${encrypted.url("either")}?sslmode=verify-full&sslrootcert=${folder}/authority.crt`,
      "ERR_TLS_CERT_ALTNAME_INVALID"
    ],
    [
      "no authority is given",
      () => at("either", `sslmode=verify-full&sslrootcert=${folder}/none.crt`),
      "does not exist. Name it with sslrootcert=FILE"
    ],
    ["the system knows no such authority", () => at("either", "sslrootcert=system"), "is not accepted"],
    ["a certificate is asked for", () => at("known", "sslmode=require"), `lets user "postgres" not in`],
    [
      "there is no channel to bind to",
      () => at("either", "sslmode=disable&channel_binding=require"),
      "offers no channel binding"
    ]
  ])("says so when %s", ([, url, reason]) =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(isEncrypted(url()))
      assert.include(error.message, reason)
      assert.notInclude(error.message, "\n")
      assert.notInclude(error.message, Server.password)
    })
  )

  it.live("cancels over TLS too", () =>
    Effect.gen(function* () {
      const url = at("strict", "sslmode=require")
      const { sql } = yield* Postgres.open(url, { maxConnections: 1 })
      const pid = yield* pidOf(sql)
      const running = yield* Effect.forkChild(sql`SELECT pg_sleep(600)`)
      yield* until(encrypted.url(), session(pid, "wait_event = 'PgSleep'"))
      yield* Fiber.interrupt(running)
      yield* until(encrypted.url(), session(pid, "state = 'idle'"))
      assert.strictEqual(yield* pidOf(sql), pid)
    })
  )
})
