/** What `Main.test.ts` runs in processes of their own: one program for each name. */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as HttpClient from "effect/http/HttpClient"
import * as Path from "effect/Path"
import { Cancel, Deadline, Offload, TaskGroup } from "skein"
import { Main } from "skein/node"

const ready = Console.log("ready")
const never = Effect.onInterrupt(Effect.never, () => Console.log("cleaned up"))

// What is printed before it listens is seen by the test only when it does.
const stopping = Effect.andThen(ready, Cancel.stopRequested)

class Told extends Error {
  readonly _tag = "Told"
}

class WithExitCode extends Error {
  override readonly "~effect/Runtime/errorExitCode" = 42
}

const thrower = (): never => {
  throw new Error("touched")
}

/** Whoever fails with these does not know their types. */
const fails = (error: unknown) => Effect.fail(error)

const deep = (): Error => {
  let last = new Error("cause 0")
  for (let i = 1; i < 20_000; i++) last = new Error(`cause ${i}`, { cause: last })
  return last
}

const circle = (): Error => {
  const error = new Error("round")
  return Object.assign(error, { cause: error })
}

const programs: Record<string, Effect.Effect<unknown, unknown, Main.Services>> = {
  succeed: Console.log("done"),
  services: Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    yield* HttpClient.HttpClient
    yield* Console.log(path.basename(import.meta.filename), yield* fs.exists(import.meta.filename))
  }),
  hostile: Effect.fail(new Told("http://ada:pw@127.0.0.1/\u001B[2J answered \u202Enothing")),
  // Nothing but the fiber: no timer, no socket.
  waits: Effect.andThen(ready, never),
  drains: Effect.andThen(stopping, Console.log("drained")),
  // As npm does: a Ctrl-C in a terminal reaches npm and its script, and npm passes it on to the script.
  "drains, and gets the signal again": stopping.pipe(
    Effect.andThen(Effect.sync(() => process.kill(process.pid, "SIGINT"))),
    Effect.andThen(Effect.sleep("20 millis")),
    Effect.andThen(Console.log("drained"))
  ),
  "drains for ever": Effect.andThen(stopping, never),
  "has a task that cannot be cancelled": TaskGroup.open(
    Effect.andThen(
      TaskGroup.spawn(Effect.uninterruptible(Effect.andThen(ready, Effect.never)), { name: "flush" }),
      Effect.never
    ),
    { name: "server" }
  ),
  "has an unhandled failure": TaskGroup.open(TaskGroup.supervise(Effect.fail("lost"), { name: "mailer" })),
  "cannot be cancelled": Effect.uninterruptible(Effect.andThen(ready, Effect.never)),
  "fails with an error": Effect.fail(new Told("the disk is gone\nplug it in")),
  "fails with a string": Effect.fail("just text"),
  "fails with a record": Effect.fail({ code: 7 }),
  "fails with an exit code": Effect.fail(new WithExitCode("no such luck")),
  symbolName: fails(Object.assign(new Error("odd"), { name: Symbol("odd") })),
  deepCause: Effect.suspend(() => fails(deep())),
  messageGetter: fails(Object.defineProperty(new TypeError("x"), "message", { get: thrower })),
  proxy: fails(new Proxy(new Error("odd"), { get: thrower, has: thrower, getPrototypeOf: thrower })),
  "circle of causes": Effect.promise(() => Promise.reject(circle())),
  "fails in a task": TaskGroup.open(TaskGroup.spawn(Effect.fail(new Told("no answer")), { name: "fetch" })),
  "has an odd unhandled failure": TaskGroup.open(
    TaskGroup.supervise(Effect.fail(Object.assign(new Error("lost"), { name: Symbol("odd") })), { name: "mailer" })
  ),
  // Two at once: one that is cancelled and waits, and one that was left.
  "cancels promises with a circle of causes": Effect.gen(function* () {
    for (const onCancel of ["wait", "abandon"] as const) {
      const late = (signal: AbortSignal) =>
        new Promise<never>((_, reject) => signal.addEventListener("abort", () => setTimeout(() => reject(circle()), 5)))
      yield* Effect.exit(Deadline.within(Offload.promise(late, { onCancel }), "5 millis"))
    }
    yield* Effect.sleep("50 millis")
    yield* Console.log("went on")
  }),
  dies: Effect.sync(() => {
    throw new TypeError("x is not a function")
  }),
  "cancels itself": Effect.interrupt,
  "fails in two tasks": TaskGroup.open(
    Effect.gen(function* () {
      const cleanup = () => Effect.die(new Error("no cleanup"))
      yield* TaskGroup.spawn(Effect.onInterrupt(Effect.never, cleanup), { name: "posts" })
      yield* TaskGroup.spawn(Effect.fail(new Told("no users")), { name: "users" })
    })
  ),
  "fails after much output": Effect.andThen(
    Effect.sync(() => process.stdout.write("x".repeat(1_000_000))),
    Effect.fail("after it")
  ),
  "prints to nobody": Effect.gen(function* () {
    for (let i = 0; i < 50; i++) {
      process.stdout.write("x".repeat(10_000))
      yield* Effect.sleep("1 millis")
    }
    yield* Console.error("went on")
  })
}

const [name = "", ...rest] = process.argv.slice(2)
Main.run(programs[name] ?? Effect.die(`There is no program "${name}"`), { debug: rest.includes("debug") })
