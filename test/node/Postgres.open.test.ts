import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"
import { execFile } from "node:child_process"
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { connect, createServer, type Server as Server_, type Socket } from "node:net"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import { promisify } from "node:util"
import { Db } from "skein"
import { Drivers, Postgres } from "skein/node"
import * as Target from "../../src/node/postgres/Target.ts"
import * as Child from "../support/child.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import * as Server from "../support/postgres/Server.ts"

const target = (url: string, env: Target.Environment = {}): Target.Target => {
  const parsed = Target.parse(url, undefined, { HOME: "/nowhere", ...env })
  if (typeof parsed === "string") throw new Error(parsed)
  return parsed
}

/** With variables of the environment that `process.env` has meanwhile. */
const withEnvironment = <A, E, R>(env: Record<string, string>, effect: Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    Effect.sync(() => {
      const before = Object.keys(env).map((name) => [name, process.env[name]] as const)
      Object.assign(process.env, env)
      return before
    }),
    () => effect,
    (before) =>
      Effect.sync(() => {
        for (const [name, value] of before) {
          if (value === undefined) delete process.env[name]
          else process.env[name] = value
        }
      })
  )

/** The URL with another part; those of PostgreSQL are no special ones to `URL`. */
const but = (url: string, change: (url: URL) => void): string => {
  const parsed = new URL(url)
  change(parsed)
  return parsed.href
}

describe("Postgres: the URL", () => {
  it("names user, password, host, port and database", () => {
    const all = target(
      "postgresql://a%40b:p%3Aw%2F@[::1]:5433/d%20b?application_name=x&connect_timeout=7&sslmode=require"
    )
    assert.deepInclude(all, {
      user: "a@b",
      password: "p:w/",
      host: "::1",
      port: 5433,
      database: "d b",
      applicationName: "x",
      connectTimeout: 7,
      sslMode: "require",
      name: "postgres://[::1]:5433/d%20b"
    })
    assert.deepInclude(target("postgres://ada@db"), {
      database: "ada",
      port: 5432,
      sslMode: "prefer",
      password: undefined
    })
    assert.deepInclude(target("postgres:///data?host=/var/run&port=5555"), {
      host: "/var/run",
      database: "data",
      name: "postgres://%2Fvar%2Frun:5555/data"
    })
    assert.deepInclude(target("postgres://%2Ftmp%2Fs/data"), { host: "/tmp/s" })
    assert.deepInclude(target("postgres://h/x?user=u&password=p&dbname=d"), { user: "u", password: "p", database: "d" })
  })

  it("is completed by the environment", () => {
    const env = {
      PGHOST: "h",
      PGPORT: "6000",
      PGUSER: "u",
      PGPASSWORD: "p",
      PGDATABASE: "d",
      PGSSLMODE: "disable",
      PGAPPNAME: "app",
      PGOPTIONS: "-c search_path=a",
      PGCONNECT_TIMEOUT: "3"
    }
    assert.deepInclude(target("postgres://", env), {
      host: "h",
      port: 6000,
      user: "u",
      password: "p",
      database: "d",
      sslMode: "disable",
      applicationName: "app",
      options: "-c search_path=a",
      connectTimeout: 3
    })
    assert.deepInclude(target("postgres://v:q@i:1/e?sslmode=allow", env), {
      host: "i",
      port: 1,
      user: "v",
      password: "q",
      database: "e",
      sslMode: "allow"
    })
  })

  it("is completed by ~/.pgpass, which nobody else may read", () => {
    const home = mkdtempSync(join(tmpdir(), "skein-pgpass-"))
    try {
      const file = join(home, ".pgpass")
      writeFileSync(
        file,
        "# a comment\nshort:line\nother:*:*:*:no\nh:5432:d\\:b:u:s\\:e\\\\c\nh:*:*:u:second\nlocalhost:*:*:*:socket\n*:*:*:*:any\n"
      )
      chmodSync(file, 0o600)
      const env = { HOME: home }
      assert.strictEqual(target("postgres://u@h/d%3Ab", env).password, "s:e\\c")
      assert.strictEqual(target("postgres://u@h/d", env).password, "second")
      assert.strictEqual(target("postgres://u@/d?host=/tmp", env).password, "socket")
      assert.strictEqual(target("postgres://u@x/d", env).password, "any")
      assert.strictEqual(target("postgres://u:own@x/d", env).password, "own")
      assert.strictEqual(target("postgres://u@x/d", { ...env, PGPASSWORD: "env" }).password, "env")
      assert.strictEqual(target("postgres://u@x/d", { PGPASSFILE: file }).password, "any")
      chmodSync(file, 0o640)
      const open = target("postgres://u@x/d", env)
      assert.strictEqual(open.password, undefined)
      assert.include(open.passwordMissing, `chmod 600 ${file}`)
    } finally {
      rmSync(home, { recursive: true })
    }
  })

  it.each([
    ["postgres://h:x/d", `its port is no number from 1 to 65535`],
    ["postgres://h:99999/d", `its port 99999 is no number`],
    ["postgres://h/d?sslmod=require", `there is no parameter "sslmod" for its URL. Is it "sslmode"?`],
    ["postgres://h/d?schema=x", `there is no parameter "schema" for its URL. Known are `],
    ["postgres://h/d?sslmode=on", `its sslmode is "on", and can be disable, allow, prefer, `],
    ["postgres://h/d?sslmode", `the parameter "sslmode" of its URL has no value`],
    ["postgres://h/d?connect_timeout=soon", `its connect_timeout is "soon"`],
    ["postgres://u:50%off@h/d", "Write % itself as %25"],
    ["postgres://u:sec/ret@h/d", "%2F"],
    ["postgres://u:sec?ret@h/d", "%3F"],
    ["postgres://u:sec/h", "is no number"],
    ["postgres://u:sec#ret@h/d", "%23"],
    ["postgres://u:sec@ret@h/d", "%40"],
    ["postgres://::1/d", "Write an IPv6 address in [ ]"],
    ["postgres://a,b/d", "names several hosts"],
    ["postgres:d", "It is written postgres://user@host:5432/database"],
    ["postgres://h/d?sslrootcert=system&sslmode=require", "needs sslmode=verify-full"]
  ])("%s is refused in one line", (url, reason) => {
    const parsed = Target.parse(url, undefined, {})
    assert.isString(parsed)
    assert.include(parsed as string, reason)
    assert.notMatch(parsed as string, /\n|\bsec\b|ret@|50%off/)
  })
})

describe("Postgres: what cannot be opened", () => {
  const listen = (onConnection: (socket: Socket) => void) =>
    Effect.acquireRelease(
      Effect.callback<{ readonly server: Server_; readonly port: number }>((resume) => {
        const server = createServer(onConnection).listen(0, "127.0.0.1", () => {
          resume(Effect.succeed({ server, port: (server.address() as { readonly port: number }).port }))
        })
      }),
      ({ server }) => Effect.sync(() => server.close())
    )
  const refused = (open: Effect.Effect<unknown, Db.DbError, never>, ...reasons: ReadonlyArray<string>) =>
    Effect.map(Effect.flip(open), (error) => {
      assert.instanceOf(error, Db.DbError)
      assert.match(error.message, /^Database postgres:.*: could not open it: /)
      for (const reason of reasons) assert.include(error.message, reason)
      for (const secret of [Server.password, encodeURIComponent(Server.password), "\n", "hunter2"]) {
        assert.notInclude(error.message, secret)
        assert.notInclude(JSON.stringify(error), secret)
      }
      return error
    })
  const opened = (url: string, options: Db.PostgresOptions = {}) => Effect.scoped(Postgres.open(url, options))

  it.live("wrong or missing passwords, databases and hosts", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { hostname, port } = new URL(url)
      yield* refused(
        opened(but(url, (url) => (url.password = "hunter2"))),
        `postgres://${hostname}:${port}/`,
        `the password for user "postgres" is wrong`
      )
      yield* refused(opened(url, { password: "hunter2" }), `the password for user "postgres" is wrong`)
      yield* withEnvironment(
        { HOME: "/nowhere" },
        refused(opened(but(url, (url) => (url.password = ""))), "and none is given. Set PGPASSWORD")
      )
      yield* refused(opened(but(url, (url) => (url.pathname = "/nix"))), `there is no database "nix"`, "createdb nix")
      yield* refused(
        opened(but(url, (url) => (url.hostname = "no.such.host.invalid"))),
        `the host "no.such.host.invalid" is not known`
      )
      yield* refused(opened(`${url}?options=-c%20no_such=1`), `the server knows no such setting`, "no_such")
    })
  )

  it.live("users without permission", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const name = new URL(url).pathname.slice(1)
      const role = `${name}_user`
      yield* Effect.acquireRelease(
        Effect.promise(async () => {
          await ask(url, `CREATE ROLE ${role} LOGIN PASSWORD 'x'`)
          await ask(url, `REVOKE CONNECT ON DATABASE ${name} FROM PUBLIC`)
        }),
        () => Effect.promise(() => ask(url, `DROP ROLE ${role}`))
      )
      const theirs = but(url, (url) => {
        url.username = role
        url.password = "x"
      })
      yield* refused(opened(theirs), `user "${role}" may not connect to the database "${name}". Ask for GRANT CONNECT`)
    })
  )

  it.live("no server, at once; no PostgreSQL; none that answers", () =>
    Effect.gen(function* () {
      const gone = yield* Effect.scoped(
        Effect.map(
          listen(() => {}),
          ({ port }) => port
        )
      )
      yield* refused(
        opened(`postgres://u@127.0.0.1:${gone}/d`),
        `no server listens at 127.0.0.1:${gone}. Is it running?`
      )
      const closing = yield* listen((socket) => socket.end())
      yield* refused(opened(`postgres://u@127.0.0.1:${closing.port}/d`), "may be no PostgreSQL")
      const web = yield* listen((socket) => {
        socket.on("error", () => {})
        socket.on("data", () => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"))
      })
      yield* refused(opened(`postgres://u@127.0.0.1:${web.port}/d`), `127.0.0.1:${web.port}`)
      const silent = yield* listen((socket) => void socket.on("error", () => {}))
      yield* refused(
        opened(`postgres://u@127.0.0.1:${silent.port}/d`, { connectTimeout: "200 millis" }),
        `does not answer (ETIMEDOUT: no answer within 200 ms)`
      )
      yield* refused(opened("postgres://u@localhost/d?host=/nowhere"), "there is no socket /nowhere/.s.PGSQL.5432")
    })
  )

  it.live("a server that is too old, or has too many connections", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const { hostname, port } = new URL(url)
      const [told] = yield* Effect.promise(() =>
        ask<{ readonly server_version_num: string }>(url, "SHOW server_version_num")
      )
      const old = yield* listen((client) => {
        const server = connect(Number(port === "" ? 5432 : port), hostname)
        client.on("error", () => {}).on("data", (data) => server.write(data))
        client.on("close", () => server.destroy())
        server
          .on("error", () => {})
          .on("data", (data) => {
            client.write(data.toString("latin1").replaceAll(told!.server_version_num, "120017"), "latin1")
          })
      })
      yield* refused(
        opened(but(url, (url) => ((url.hostname = "127.0.0.1"), (url.port = String(old.port))))),
        "it is PostgreSQL 12, and 13 or later is needed"
      )
      const name = new URL(url).pathname.slice(1)
      yield* Effect.promise(() => ask(url, `CREATE ROLE ${name}_few LOGIN PASSWORD 'x' CONNECTION LIMIT 1`))
      yield* Effect.addFinalizer(() => Effect.promise(() => ask(url, `DROP ROLE ${name}_few`)))
      const theirs = but(url, (url) => {
        url.username = `${name}_few`
        url.password = "x"
      })
      yield* Effect.scoped(
        Effect.andThen(
          Postgres.open(theirs),
          refused(opened(theirs, { connectTimeout: "200 millis" }), "the server has too many connections")
        )
      )
    })
  )

  it.live("a scheme with a typo", () =>
    Effect.gen(function* () {
      const layer = Db.open("postgre://u:hunter2@h/d")
      const error = yield* Db.Db.pipe(Effect.provide(layer), Effect.provide(Drivers.layer), Effect.flip)
      assert.include(error.message, "there is no driver for postgre: URLs. Is it postgres:")
      assert.notInclude(error.message, "hunter2")
    })
  )

  it.live("without the package pg, which is to be installed", () =>
    Effect.gen(function* () {
      const hook = `import { registerHooks } from "node:module"
        registerHooks({ resolve: (name, context, next) => {
          if (name === "pg") throw Object.assign(new Error("not there"), { code: "ERR_MODULE_NOT_FOUND" })
          return next(name, context)
        } })`
      const program = `import * as Effect from "effect/Effect"
        import { Postgres } from "skein/node"
        console.log((await Effect.runPromise(Effect.flip(Effect.scoped(Postgres.open("postgres://u:hunter2@h/d"))))).message)`
      const { stdout } = yield* Effect.promise(() =>
        promisify(execFile)(
          process.execPath,
          [
            "--conditions=skein-source",
            "--import",
            `data:text/javascript,${encodeURIComponent(hook)}`,
            "--input-type=module",
            "-e",
            program
          ],
          { cwd: resolve(import.meta.dirname, "../..") }
        )
      )
      assert.strictEqual(
        stdout,
        "Database postgres://h:5432/d: could not open it: it needs the package pg, which is not installed: npm install pg\n"
      )
    })
  )

  it("options that make no sense", () => {
    for (const options of [
      { maxConnections: 0 },
      { maxConnections: Number.NaN },
      { connectTimeout: Number.NaN },
      { commitTimeout: -1 },
      { lockTimeout: Number.NaN }
    ]) {
      assert.throws(() => Postgres.open("postgres://h/d", options), RangeError)
    }
  })
})

describe("Postgres: ways to open it", () => {
  it.live("a redacted URL and password, by Db.postgres", () =>
    Effect.gen(function* () {
      const url = yield* fresh
      const password = decodeURIComponent(new URL(url).password)
      const bare = but(url, (url) => (url.password = ""))
      for (const layer of [
        Db.postgres(Redacted.make(url)),
        Db.postgres(bare, { password: Redacted.make(password) }),
        Db.open(url)
      ]) {
        const rows = yield* Effect.flatMap(Db.Db, ({ sql }) => sql`SELECT 1 AS n`).pipe(
          Effect.provide(layer),
          Effect.provide(Drivers.layer)
        )
        assert.deepEqual(rows, [{ n: 1 }])
      }
    })
  )

  it.live("a socket in the file system, with nothing but the environment", () =>
    Effect.gen(function* () {
      const folder = yield* Child.folder
      chmodSync(folder, 0o755)
      const server = yield* Effect.acquireRelease(
        Effect.promise(() => Server.open({ folder, settings: { unix_socket_directories: folder } })),
        (server) => Effect.promise(() => server.close())
      )
      const env = {
        PGHOST: folder,
        PGPORT: String(server.port),
        PGUSER: Server.user,
        PGPASSWORD: Server.password,
        PGSSLMODE: "require"
      }
      const rows = yield* withEnvironment(
        env,
        Effect.scoped(
          Effect.flatMap(
            Postgres.open("postgres:///postgres"),
            ({ sql }) => sql`SELECT inet_client_addr() IS NULL AS socket, pg_sleep(0)`
          )
        )
      )
      assert.deepEqual(rows, [{ socket: true, pg_sleep: "" }])
    })
  )
})
