import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { hash } from "../../docs/examples/hashes/hash.ts"
import * as Child from "../support/child.ts"
import * as Programs from "../support/programs.ts"

const total = 150

const users = Array.from({ length: total }, (_, i) => ({ name: `user ${i}`, salt: `${i}`, password: `pass,${i}` }))
const write = (cwd: string) =>
  writeFileSync(
    join(cwd, "users.csv"),
    `name,salt,password\n${users.map(({ name, password, salt }) => `${name},${salt},"${password}"\n`).join("")}`
  )
const made = (cwd: string): string => {
  const file = join(cwd, "hashes.jsonl")
  return existsSync(file) ? readFileSync(file, "utf8") : ""
}
const expected = users
  .map(({ name, password, salt }) => `${JSON.stringify({ name, salt, hash: hash(password, salt) })}\n`)
  .join("")

describe.concurrent("docs/examples/hashes.ts", () => {
  it.live(
    "goes on in order when it is killed",
    () =>
      Effect.gen(function* () {
        const cwd = yield* Child.folder
        write(cwd)
        const child = yield* Programs.start("hashes", cwd)
        yield* Programs.until(child, () => made(cwd).split("\n").length > 30)
        yield* Programs.kill(child)
        expect(made(cwd).length).toBeLessThan(expected.length)
        const [, again] = /^(\d+) hashes made, 150 in all\.$/m.exec(yield* Programs.run("hashes", cwd)) ?? []
        expect(Number(again)).toBeLessThan(total)
        expect(made(cwd)).toBe(expected)
      }),
    300_000
  )

  it.live(
    "comes to what its twin comes to",
    () =>
      Effect.gen(function* () {
        for (const name of ["hashes", "twins/hashes"]) {
          const cwd = yield* Child.folder
          write(cwd)
          expect(yield* Programs.run(name, cwd)).toMatch(/^150 hashes made, 150 in all\.$/m)
          expect(made(cwd)).toBe(expected)
        }
      }),
    300_000
  )
})
