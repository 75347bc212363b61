import { describe, it, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Server from "./Server.ts"
import { ask, fresh } from "./database.ts"

describe("PostgreSQL of the tests", () => {
  it.effect("gives each test a database of its own", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* fresh, yield* fresh]
      yield* Effect.promise(() => ask(a, "CREATE TABLE t (n int)"))
      const tables = yield* Effect.promise(() => ask(b, "SELECT 1 FROM pg_tables WHERE tablename = 't'"))
      expect(tables).toEqual([])
    })
  )
  it("is killed and started again with what was committed", async () => {
    const server = await Server.open()
    try {
      await ask(server.url(), "CREATE TABLE t AS SELECT 7 AS n")
      await server.kill()
      await expect(ask(server.url(), "SELECT 1")).rejects.toThrow("ECONNREFUSED")
      await server.start()
      expect(await ask(server.url(), "SELECT n FROM t")).toEqual([{ n: 7 }])
    } finally {
      await server.close()
    }
  })
})
