import { describe, expect, it } from "@effect/vitest"
import { readdirSync } from "node:fs"
import { basename, dirname } from "node:path"
import * as Programs from "../support/programs.ts"

const names = readdirSync(dirname(Programs.path("twins/copy"))).map((file) => basename(file, ".ts"))

describe("docs/examples/twins", () => {
  it.each(names)("%s.ts is shorter than its twin", (name) => {
    expect(Programs.lines(name)).toBeGreaterThan(10)
    expect(Programs.lines(name)).toBeLessThan(Programs.lines(`twins/${name}`))
  })
})
