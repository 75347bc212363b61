import { describe, expect, it } from "@effect/vitest"
import { readdirSync, readFileSync } from "node:fs"
import { basename, dirname, resolve } from "node:path"
import * as Programs from "../support/programs.ts"

const names = readdirSync(dirname(Programs.path("twins/copy"))).map((file) => basename(file, ".ts"))

describe("docs/examples/twins", () => {
  it.each(names)("%s.ts is shorter than its twin", (name) => {
    expect(Programs.lines(name)).toBeGreaterThan(10)
    expect(Programs.lines(name)).toBeLessThan(Programs.lines(`twins/${name}`))
  })

  it("docs/examples/README.md says how many lines they have", () => {
    const readme = readFileSync(resolve(import.meta.dirname, "../../docs/examples/README.md"), "utf8")
    const told = Array.from(readme.matchAll(/^\| \[(\w+)\.ts\].*\| (\d+) +\| (\d+) +\|$/gm), ([, ...row]) => row)
    expect(told.sort()).toEqual(
      names.map((name) => [name, `${Programs.lines(name)}`, `${Programs.lines(`twins/${name}`)}`]).sort()
    )
  })
})
