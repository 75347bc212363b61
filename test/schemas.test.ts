/** The errors of structured concurrency: what `Schema.TaggedError` would make of them, without being schemas; and their schemas. */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Equal from "effect/Equal"
import * as Exit from "effect/Exit"
import * as Schema from "effect/Schema"
import { type ErrorClass, schemaOf } from "skein/schemas"
import { globSync } from "node:fs"
import { resolve } from "node:path"
import { inspect } from "node:util"
import { describe, expect, it } from "vitest"

const floor = resolve(import.meta.dirname, "../src/concurrency")
const modules = await Promise.all(
  globSync("*Error.ts", { cwd: floor }).map((file): Promise<Record<string, unknown>> => import(resolve(floor, file)))
)
const classes = Object.fromEntries(
  modules
    .flatMap((module) => Object.entries(module))
    .filter(([, value]) => (value as { prototype?: unknown } | undefined)?.prototype instanceof Error)
) as Record<string, new (fields: object) => Error & Cause.YieldableError & { readonly _tag: string }>

const text = Schema.String
const number = Schema.Number
const maybe = Schema.optionalKey(text)
const cause = Schema.Defect()

/** The fields of each as a schema, and what some are made of. */
const errors: ReadonlyArray<readonly [string, Schema.Struct.Fields, ...ReadonlyArray<object>]> = [
  ["ScopeCancelled", { scope: text, reason: text }, { scope: "tab", reason: "closed" }],
  [
    "DeadlineExceeded",
    { deadline: maybe, duration: number, task: maybe },
    { deadline: "search", duration: 1500, task: "ask" },
    { duration: 0 }
  ],
  [
    "DeadlineOver",
    { deadline: maybe, expired: Schema.Boolean },
    { deadline: "search", expired: true },
    { expired: false }
  ],
  ["TooFewEffects", { joiner: text, needed: number, given: number }, { joiner: "race", needed: 1, given: 0 }],
  ["TooManyPermits", { asked: number, limit: number }, { asked: 3, limit: 2 }],
  ["AlreadyHeld", { task: text }, { task: "ask" }],
  ["OffloadError", { job: text, cause }, { job: "parse", cause: new Error("no") }, { job: "parse", cause: "no" }],
  [
    "WorkerCrashed",
    { pool: text, job: maybe, cause },
    { pool: "zip", job: "parse", cause: { code: 7 } },
    { pool: "zip", cause: new Error("gone") }
  ],
  ["PoolClosed", { pool: text, job: text }, { pool: "zip", job: "parse" }],
  ["TaskCancelled", { task: text, reason: text }, { task: "ask", reason: "closed" }],
  ["TurnDeadlock", { group: text, task: text }, { group: "main", task: "ask" }],
  ["TaskFailed", { task: text, cause }, { task: "ask", cause: new Error("boom") }],
  ["GroupClosed", { group: text, task: text, state: text }, { group: "main", task: "ask", state: "closed" }],
  ["GroupCancelled", { group: text, reason: text }, { group: "main", reason: "enough" }],
  ["NeverReady", { task: text }, { task: "serve" }]
]
const each = errors.flatMap(([tag, fields, ...all]) => all.map((given) => ({ tag, fields, given })))

it("are all here", () => {
  expect(Object.keys(classes).toSorted()).toEqual(errors.map(([tag]) => tag).toSorted())
})

describe.each(each)("$tag of $given", ({ fields, given, tag }) => {
  const type = classes[tag]!
  const error = new type(given)

  it("is what Schema.TaggedError would make of its fields", () => {
    class Twin extends Schema.TaggedError<Twin>()(tag, fields) {
      override get message(): string {
        return error.message
      }
    }
    const twin = new Twin(given as never) as unknown as typeof error
    const lines = (error: Error) => error.stack?.split("\n").filter((line) => !/^\s+at /.test(line))
    const looks = (error: Cause.YieldableError & { readonly _tag: string }) => ({
      tag: error._tag,
      name: error.name,
      text: String(error),
      keys: Object.keys(error),
      fields: Object.getOwnPropertyNames(error),
      cause: Object.getOwnPropertyDescriptor(error, "cause"),
      json: JSON.stringify(error),
      printed: inspect(error),
      stack: lines(error),
      pretty: Cause.pretty(Cause.fail(error)).split("\n")[0]
    })
    expect(looks(error)).toEqual(looks(twin))
    expect(error.message).not.toBe("")
    expect(error.stack).toContain("schemas.test.ts")
  })

  it("is a class, yields as a failure, is caught by its tag, and is equal to another of the same", async () => {
    expect(error).toBeInstanceOf(type)
    const failing = Effect.gen(function* () {
      return yield* error
    })
    expect(await Effect.runPromise(Effect.exit(failing))).toEqual(Exit.fail(error))
    const caught = Effect.catchTag(failing as Effect.Effect<never, { readonly _tag: "A" }>, tag as "A", Effect.succeed)
    expect(await Effect.runPromise(caught)).toBe(error)
    expect(Equal.equals(error, new type(given))).toBe(true)
  })

  it("goes through JSON by its schema and comes back as one of its class", () => {
    const codec = schemaOf(type as unknown as ErrorClass) as Schema.Codec<typeof error, { readonly _tag: string }>
    const sent = Schema.encodeSync(codec)(error)
    expect(sent._tag).toBe(tag)
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(sent)))
    expect(back).toBeInstanceOf(type)
    expect(back.message).toBe(error.message)
    expect({ ...back }).toEqual({ ...error })
    expect(back.cause).toEqual(error.cause)
    expect(Schema.is(codec)(error)).toBe(true)
    expect(() => Schema.decodeUnknownSync(codec)({ ...sent, _tag: "Other" })).toThrow(tag)
    for (const key of Object.keys(fields))
      expect(() => Schema.decodeUnknownSync(codec)({ ...sent, [key]: undefined })).toThrow(key)
  })
})

it("tell each other apart in a union, and in an exit that goes through JSON", () => {
  const union = Schema.Union(errors.map(([tag]) => schemaOf(classes[tag] as unknown as ErrorClass)))
  const codec = Schema.toCodecJson(Schema.Exit(Schema.Void, union, Schema.Defect()))
  for (const { given, tag } of each) {
    const exit = Exit.fail(new classes[tag]!(given) as InstanceType<ErrorClass>)
    const back = Schema.decodeUnknownSync(codec)(JSON.parse(JSON.stringify(Schema.encodeSync(codec)(exit))))
    expect(back).toEqual(exit)
    expect(Exit.isFailure(back) && Cause.squash(back.cause)).toBeInstanceOf(classes[tag])
  }
})
