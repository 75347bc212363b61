/** Databases in the server that all tests share. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { randomUUID } from "node:crypto"
import { Client } from "pg"

/** Copied as files, in a third of the CPU; a server that was given may be older than that. */
const copied = (process.env["DATABASE_URL"] ?? "") === "" ? " STRATEGY FILE_COPY" : ""

/** The URL of a database of its own, empty, deleted with the scope together with all sessions in it. */
export const fresh: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => {
    const name = `skein_test_${randomUUID().replaceAll("-", "")}`
    await administer(`CREATE DATABASE ${name}${copied}`)
    return urlOf(name)
  }),
  (url) => Effect.promise(() => administer(`DROP DATABASE IF EXISTS ${new URL(url).pathname.slice(1)} WITH (FORCE)`))
)

/** Rows of one statement, past all that is tested: through `pg` itself. */
export const ask = async <Row extends object = Record<string, unknown>>(
  url: string,
  sql: string,
  values: ReadonlyArray<unknown> = []
): Promise<ReadonlyArray<Row>> => {
  const client = new Client({ connectionString: url })
  client.on("error", () => {})
  await client.connect()
  try {
    return (await client.query(sql, [...values])).rows as ReadonlyArray<Row>
  } finally {
    await client.end()
  }
}

const administer = (sql: string): Promise<unknown> => ask(shared(), sql)

const shared = (): string => {
  const url = process.env["SKEIN_TEST_POSTGRES"]
  if (url === undefined) throw new Error("no PostgreSQL was started: run this through Vitest")
  return url
}

const urlOf = (database: string): string => {
  const url = new URL(shared())
  url.pathname = `/${database}`
  return url.href
}
