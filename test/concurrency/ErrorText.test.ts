/** What dead letters, messages and logs say of a failure. */
import * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"
import { describe, expect, it } from "vitest"
import * as ErrorText from "../../src/concurrency/base/ErrorText.ts"
import * as FailureLog from "../../src/concurrency/base/FailureLog.ts"

class Gone extends Data.TaggedError("Gone")<{ readonly id: number }> {}
class Refused extends Schema.TaggedError<Refused>()("Refused", { id: Schema.Number, by: Schema.String }) {}
class Said extends Data.TaggedError("Said")<{ readonly id: number; readonly cause?: unknown }> {
  override get message(): string {
    return `There is no ${this.id}. Look elsewhere`
  }
}
class Status extends Error {
  readonly status = 404
  readonly request = { headers: "many" }
}
const system = (message: string, code: string) => Object.assign(new Error(message), { code, errno: -111, port: 9 })

describe("the text of a failure", () => {
  it.each<readonly [string, unknown, string]>([
    ["an error", new Error("no"), "no"],
    ["its class", new TypeError("no"), "TypeError: no"],
    ["a class with fields, of which only short ones are its own", new Status("no"), "no { status: 404 }"],
    ["a tagged error without a message", new Gone({ id: 7 }), "Gone { id: 7 }"],
    ["one of a schema", new Refused({ id: 7, by: "ada" }), 'Refused { id: 7, by: "ada" }'],
    ["one that words its fields itself", new Said({ id: 7 }), "There is no 7. Look elsewhere"],
    ["a tagged object", { _tag: "Gone", id: 7, where: { page: [1] } }, 'Gone { id: 7, where: {"page":[1]} }'],
    ["a plain object", { code: 5, at: [1, 2] }, '{"code":5,"at":[1,2]}'],
    ["an object that has a message", { message: "no", code: 5 }, "no { code: 5 }"],
    ["a text", "no", "no"],
    ["nothing", undefined, "no reason given"],
    ["no text", "", "no reason given"],
    ["no message", new RangeError(), "RangeError"],
    ["a cause", new Error("outer", { cause: new TypeError("inner") }), "outer; caused by TypeError: inner"],
    [
      "a cause of a worded one",
      new Said({ id: 1, cause: { code: 5 } }),
      'There is no 1. Look elsewhere; caused by {"code":5}'
    ],
    [
      "what the message leaves out of what a system says",
      new TypeError("fetch failed", { cause: system("connect ECONNREFUSED 127.0.0.1:9", "ECONNREFUSED") }),
      "TypeError: fetch failed; caused by connect ECONNREFUSED 127.0.0.1:9"
    ],
    [
      "a code that the message has not",
      system("other side closed on 9", "UND_1"),
      'other side closed on 9 { code: "UND_1" }'
    ],
    [
      "a cause that the message repeats",
      new Error("could not: no (why)", { cause: new Error("no (why)") }),
      "could not: no (why)"
    ],
    [
      "and what that one hides",
      new Error("could not: no", { cause: new Error("no", { cause: new Error("because") }) }),
      "could not: no; caused by because"
    ],
    [
      "a cause that the message has in it by chance",
      new Error("what failed is unknown", { cause: new Error("failed") }),
      "what failed is unknown; caused by failed"
    ],
    [
      "several errors",
      new AggregateError([new Error("a", { cause: "b" }), new TypeError("c")], "all of them"),
      "AggregateError: all of them: (1) a; caused by b; (2) TypeError: c"
    ],
    ["several of which none has a message", new AggregateError(["a", "b"]), "AggregateError: (1) a; (2) b"],
    [
      "seven errors",
      new AggregateError([1, 2, 3, 4, 5, 6, 7]),
      "AggregateError: (1) 1; (2) 2; (3) 3; (4) 4; (5) 5; and 2 more"
    ],
    [
      "a cause of Effect",
      Cause.combine(Cause.fail(new Gone({ id: 1 })), Cause.die("no")),
      "(1) Gone { id: 1 }; (2) no"
    ],
    ["one of a single failure", Cause.fail(new Gone({ id: 1 })), "Gone { id: 1 }"],
    ["what control characters it has", new Error("a\u001B[2J", { cause: "\u202Eb" }), "a\\u001B[2J; caused by \\u202Eb"]
  ])("tells %s", (_, error, text) => {
    expect(ErrorText.of(error)).toBe(text)
  })

  it("shows what a promise was rejected with", async () => {
    const told = async (reason: unknown) =>
      ErrorText.of(await Effect.runPromise(Effect.flip(Effect.tryPromise(() => Promise.reject(reason)))))
    expect(await told({ code: 5 })).toMatch(/; caused by \{"code":5\}$/)
    expect(await told(new Gone({ id: 7 }))).toMatch(/; caused by Gone \{ id: 7 \}$/)
  })

  it("shows why a fetch failed", async () => {
    const failed: unknown = await fetch("http://127.0.0.1:9/").catch((error: unknown) => error)
    expect(ErrorText.of(failed)).toMatch(/^TypeError: fetch failed; caused by .*(ECONNREFUSED|bad port)/)
  })

  it("holds no secrets", () => {
    const request = { url: "http://ada:pw1@h/?token=pw2", headers: { Authorization: "pw3", Cookie: "pw4" } }
    const error = new Refused({ id: 1, by: "x" })
    Object.assign(error, { request, apiKey: "pw5", password: Redacted.make("pw6"), name_: Redacted.make("pw7") })
    const text = ErrorText.of(new Error("at postgres://ada:pw8@h/db", { cause: error }))
    expect(text).not.toMatch(/pw\d/)
    expect(text).toContain("postgres://***@h/db; caused by Refused { id: 1")
  })

  it("has an end", () => {
    const circle: Error & { self?: unknown } = new Error("round")
    circle.cause = new Error("and", { cause: circle })
    circle.self = circle
    expect(ErrorText.of(circle)).toBe("round; caused by and")
    const both = new AggregateError([circle, circle], "twice")
    expect(ErrorText.of(both)).toBe("AggregateError: twice: (1) round; caused by and; (2) the same again")
    let deep = new Error("0")
    for (let i = 1; i < 20_000; i++) deep = new Error(String(i), { cause: deep })
    expect(ErrorText.of(deep)).toMatch(/^19999; caused by 19998; .*; and what caused that$/)
    const wide = (depth: number): Error =>
      new AggregateError(depth === 0 ? [] : Array.from({ length: 5 }, () => wide(depth - 1)), "w".repeat(100))
    expect(ErrorText.of(wide(5)).length).toBeLessThan(8002)
    expect(ErrorText.of(new Error("x".repeat(1e6)))).toHaveLength(8001)
    expect(ErrorText.of(new Gone({ id: "y".repeat(1e6) as never })).length).toBeLessThan(600)
  })
})

describe("a log", () => {
  const logged = async (error: unknown): Promise<ReadonlyArray<unknown>> => {
    const lines: Array<unknown> = []
    const logger = Logger.make<unknown, void>(({ message }) => void lines.push(message))
    await Effect.runPromise(
      Effect.provide(
        FailureLog.error("Unhandled", Cause.fail(error)),
        Logger.layer([logger], { mergeWithExisting: false })
      )
    )
    return lines.flat()
  }

  it("says what the stack of an error leaves out, and nothing twice", async () => {
    expect((await logged(new Gone({ id: 7 })))[0]).toBe("Unhandled: Gone { id: 7 }")
    expect((await logged(new AggregateError([new Error("a")], "all")))[0]).toBe("Unhandled: AggregateError: all: (1) a")
    expect((await logged(new TypeError("no", { cause: new Error("why") })))[0]).toBe("Unhandled")
  })
})

describe("the links of a failure", () => {
  it("are what it came of, one by one, each once and so many at most", () => {
    const circle: Error & { cause?: unknown } = new Error("round")
    circle.cause = new Error("and", { cause: circle })
    expect(ErrorText.links(circle).map(({ depth, message }) => [depth, message])).toEqual([
      [0, "round"],
      [1, "and"]
    ])
    const tree = (depth: number): unknown =>
      depth === 0
        ? "leaf"
        : new AggregateError(
            Array.from({ length: 100 }, () => tree(depth - 1)),
            `${depth}`
          )
    expect(ErrorText.links(tree(3)).length).toBe(20)
    expect(ErrorText.links(undefined)).toEqual([])
    expect(ErrorText.links("text")).toEqual([{ depth: 0, name: "", message: "text" }])
  })

  it("have the frames of their stacks without the message, and what cannot be looked at stops nobody", () => {
    const [link] = ErrorText.links(new TypeError("one\n    at no.ts:1:1"))
    expect(link).toMatchObject({ name: "TypeError", message: "one\n    at no.ts:1:1" })
    expect(link?.stack).toMatch(/ErrorText\.test\.ts/)
    const hostile = new Proxy(new Error("x"), {
      get: () => {
        throw new Error("no")
      }
    })
    expect(ErrorText.links(hostile)).toHaveLength(1)
  })

  it("hide a secret that is cut off in the middle", () => {
    for (const length of [3970, 3980, 3990, 3999]) {
      const [link] = ErrorText.links(new Error(`${"x".repeat(length)} postgres://ada:hunter2@b.c/d`))
      expect(link?.message).not.toContain("hunt")
      expect(ErrorText.of(new Error(`${"x".repeat(length + 4000)} postgres://ada:hunter2@b.c/d`))).not.toContain("hunt")
    }
  })
})
