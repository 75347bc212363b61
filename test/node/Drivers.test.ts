import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Db } from "skein"
import { Drivers } from "skein/node"
import { resolve } from "node:path"
import * as DatabaseUrl from "../../src/node/DatabaseUrl.ts"

describe("the URL of a database", () => {
  it.each([
    ["x.db", "x.db"],
    ["sqlite:x.db", "x.db"],
    ["file:x.db", resolve("x.db")],
    ["file:./a%20b.db", resolve("a b.db")],
    ["file:../x.db", resolve("../x.db")],
    ["file:/x.db", "/x.db"],
    ["file:///x.db", "/x.db"],
    ["file://localhost/x.db", "/x.db"],
    ["file::memory:?cache=shared", ":memory:"]
  ])("%s is the file %s", (url, path) => {
    expect(DatabaseUrl.parse(url)).toEqual({ _tag: "File", path })
  })

  it.effect("of a file elsewhere is an error in words", () =>
    Effect.gen(function* () {
      for (const url of ["file://host/x.db", "file://ada:pw@host/x.db", "file:///a%2Fb.db"]) {
        const error = yield* Db.Db.pipe(Effect.provide(Db.open(url)), Effect.provide(Drivers.layer), Effect.flip)
        expect(error).toBeInstanceOf(Db.DbError)
        expect(error.message).toContain("could not open it: its URL names no file here: ")
        expect(error.message).not.toContain("pw@")
      }
    })
  )
})
