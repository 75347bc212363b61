import { describe, expect } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { Cancel, Deadline, Joiner, Task, TaskGroup } from "skein"
import { Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"

/** Runs an effect in virtual time and gives how it ended. */
const exitOf = <A, E>(effect: Effect.Effect<A, E>): Exit.Exit<A, E> =>
  Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check)).exit

const failuresOf = <A, E>(exit: Exit.Exit<A, E>) =>
  Exit.isFailure(exit)
    ? TaskGroup.failures(exit.cause).map((failure) => [
        failure.task.name,
        "error" in failure ? failure.error : failure.defect
      ])
    : []

const failAfter = <E>(millis: number, error: E) => Effect.delay(Effect.fail(error), millis)

/** An effect that only ends by cancellation, and tells so in `log`. */
const sleeper = (log: Array<string>, name: string) =>
  Effect.onInterrupt(Effect.never, () => Effect.sync(() => void log.push(name)))

describe("a group", () => {
  it("S1 gives the value of its body when all tasks are done", () => {
    const log: Array<string> = []
    const run = Effect.runSync(
      Sim.run(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(
              Effect.delay(
                Effect.sync(() => log.push("slow")),
                50
              )
            )
            yield* TaskGroup.spawn(
              Effect.delay(
                Effect.sync(() => log.push("fast")),
                10
              )
            )
            return "value"
          })
        )
      )
    )
    expect(run.exit).toEqual(Exit.succeed("value"))
    expect(log).toEqual(["fast", "slow"])
    expect(run.time).toBe(50)
  })

  it("without tasks is its body", () => {
    expect(exitOf(TaskGroup.open(Effect.succeed(1)))).toEqual(Exit.succeed(1))
    expect(failuresOf(exitOf(TaskGroup.open(Effect.fail("no"), { name: "solo" })))).toEqual([["solo", "no"]])
  })

  it("S10 waits for tasks that its tasks spawn while it is closing", () => {
    const log: Array<string> = []
    const child = Effect.gen(function* () {
      yield* Effect.sleep(10)
      yield* TaskGroup.spawn(
        Effect.delay(
          Effect.sync(() => log.push("grandchild")),
          10
        )
      )
    })
    expect(Effect.runSync(Sim.run(TaskGroup.open(TaskGroup.spawn(child)))).time).toBe(20)
    expect(log).toEqual(["grandchild"])
  })

  it("runs tasks in the environment of the code that spawns them", () => {
    const Colour = Context.Reference("test/Colour", { defaultValue: () => "white" })
    const effect = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.spawn(Colour).pipe(Effect.provideService(Colour, "red"))
        return [yield* task.join, yield* Colour]
      })
    )
    expect(exitOf(effect)).toEqual(Exit.succeed(["red", "white"]))
  })

  it("starts 10,000 tasks that each start the next without running out of stack", () => {
    const chain = (n: number): Effect.Effect<void, never, TaskGroup.TaskGroup<never>> =>
      n === 0 ? Effect.void : Effect.asVoid(Effect.suspend(() => TaskGroup.spawn(chain(n - 1))))
    expect(exitOf(TaskGroup.open(chain(10_000)))).toEqual(Exit.void)
  })
})

describe("a failing task", () => {
  it("S2 cancels siblings and body, and is the failure of the group", () => {
    const log: Array<string> = []
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(sleeper(log, "sibling"))
          yield* TaskGroup.spawn(failAfter(5, "boom"), { name: "bad" })
          return yield* sleeper(log, "body")
        })
      )
    )
    expect(failuresOf(exit)).toEqual([["bad", "boom"]])
    expect(Exit.isFailure(exit) && exit.cause.reasons.length).toBe(1)
    expect(log).toEqual(["sibling", "body"])
  })

  it("wakes a body that is blocked on the failed task, on a sibling or on anything", () => {
    for (const body of [
      (bad: Task.Task<never>) => bad.join,
      (_: Task.Task<never>, sibling: Task.Task<never>) => sibling.join,
      () => Effect.never
    ]) {
      const exit = exitOf(
        TaskGroup.open(
          Effect.gen(function* () {
            const bad = yield* TaskGroup.spawn(failAfter(5, "boom"), { name: "bad" })
            const sibling = yield* TaskGroup.spawn(Effect.never, { name: "sibling" })
            yield* TaskGroup.spawn(sibling.join, { name: "joins a sibling" })
            yield* TaskGroup.spawn(Effect.race(bad.join, Effect.never), { name: "joins in a hidden fiber" })
            return yield* body(bad, sibling)
          })
        )
      )
      expect(failuresOf(exit)).toEqual([["bad", "boom"]])
    }
  })

  it("S12 does not break its spawner when it fails in the spawning step", () => {
    const log: Array<string> = []
    const exit = exitOf(
      TaskGroup.open(
        Effect.uninterruptible(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(Effect.fail("at once"), { name: "eager" })
            log.push("spawned")
          })
        )
      )
    )
    expect(failuresOf(exit)).toEqual([["eager", "at once"]])
    expect(log).toEqual(["spawned"])
  })

  it("S12 is cancelled itself when the group is cancelled in its spawning step", () => {
    const log: Array<string> = []
    const spawner = Effect.onInterrupt(Effect.andThen(TaskGroup.spawn(Effect.fail("first")), Effect.never), () =>
      Effect.sync(() => void log.push("spawner"))
    )
    const exit = exitOf(TaskGroup.open(TaskGroup.spawn(spawner)))
    expect(failuresOf(exit).map(([, error]) => error)).toEqual(["first"])
    expect(log).toEqual(["spawner"])
  })

  it("S5 keeps every failure, finalizers included, with the first as the primary", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.never, () => Effect.die("cleanup")),
            { name: "victim" }
          )
          yield* TaskGroup.spawn(failAfter(5, "first"), { name: "one" })
          yield* TaskGroup.spawn(Effect.uninterruptible(failAfter(9, "second")), { name: "two" })
          return yield* Effect.uninterruptible(failAfter(20, "body"))
        }),
        { name: "group" }
      )
    )
    expect(failuresOf(exit)).toEqual([
      ["one", "first"],
      ["victim", "cleanup"],
      ["two", "second"],
      ["group", "body"]
    ])
  })

  it("S6 leaves typed failures typed next to a defect", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.uninterruptible(failAfter(9, "typed")))
          yield* TaskGroup.spawn(Effect.delay(Effect.die("defect"), 5))
        })
      )
    )
    expect(Exit.isFailure(exit) && exit.cause.reasons.map((reason) => reason._tag)).toEqual(["Die", "Fail"])
  })

  it("S17 keeps no more than maxFailures and counts the rest", () => {
    const failing = Effect.uninterruptible(failAfter(1, "again"))
    const exit = exitOf(
      TaskGroup.open(
        Effect.forEach(Array.from({ length: 10 }), () => TaskGroup.spawn(failing)),
        { maxFailures: 3 }
      )
    )
    expect(failuresOf(exit).length).toBe(3)
    expect(Exit.isFailure(exit) && TaskGroup.dropped(exit.cause)).toBe(7)
  })

  it("stops tasks that spawn without end", () => {
    const hydra: Effect.Effect<void, string, TaskGroup.TaskGroup<string>> = Effect.suspend(() =>
      Effect.andThen(Effect.sleep(1), Effect.andThen(TaskGroup.spawn(hydra), TaskGroup.spawn(Effect.never)))
    )
    const exit = exitOf(TaskGroup.open(Effect.andThen(TaskGroup.spawn(hydra), failAfter(20, "enough"))))
    expect(failuresOf(exit).map(([, error]) => error)).toEqual(["enough"])
  })
})

describe("a failing body", () => {
  it("cancels the tasks", () => {
    const log: Array<string> = []
    const exit = exitOf(TaskGroup.open(Effect.andThen(TaskGroup.spawn(sleeper(log, "task")), failAfter(3, "body"))))
    expect(failuresOf(exit).map(([, error]) => error)).toEqual(["body"])
    expect(log).toEqual(["task"])
  })

  it("S3 gives its tasks the reason", () => {
    let reason: Option.Option<Cancel.Reason> = Option.none()
    const task = Effect.onExit(Effect.never, (exit) =>
      Effect.sync(() => {
        if (Exit.isFailure(exit)) reason = Cancel.reasonOf(exit.cause)
      })
    )
    exitOf(TaskGroup.open(Effect.andThen(TaskGroup.spawn(task), failAfter(3, "body")), { name: "g" }))
    expect(Option.map(reason, (reason) => [reason.kind, reason.by])).toEqual(Option.some(["body", "g"]))
  })
})

describe("cancelling a task", () => {
  it("S7 is no failure: siblings go on, and `join` dies with the reason", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          const log: Array<string> = []
          const sibling = yield* TaskGroup.spawn(Effect.delay(Effect.succeed("lives"), 20))
          const task = yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.never, () =>
              Effect.delay(
                Effect.sync(() => log.push("cleaned up")),
                5
              )
            ),
            { name: "loser" }
          )
          yield* task.cancel("not needed")
          yield* task.cancel("twice")
          const joined = yield* Effect.exit(task.join)
          return { log, state: yield* task.state, joined, sibling: yield* sibling.join }
        })
      )
    )
    const value = Exit.isSuccess(exit) ? exit.value : undefined
    expect(value).toMatchObject({ log: ["cleaned up"], state: "cancelled", sibling: "lives" })
    const defect = Exit.isFailure(value!.joined) && Cause.squash(value!.joined.cause)
    expect(defect).toBeInstanceOf(Task.TaskCancelled)
    expect(String(defect)).toContain('"loser"')
    expect(String(defect)).toContain("not needed")
  })

  it("works from the inside", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(
            Effect.flatMap(Task.current, (self) => Option.getOrThrow(self).cancel("enough"))
          )
          return Exit.isFailure(yield* task.exit)
        })
      )
    )
    expect(exit).toEqual(Exit.succeed(true))
  })
})

describe("cancellation from outside", () => {
  /** Interrupts the effect after `millis`, with a reason, and gives how it ended. */
  const within = <A, E>(millis: number, effect: Effect.Effect<A, E>) =>
    Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(effect)
      yield* Effect.sleep(millis)
      fiber.interruptUnsafe(7, Cancel.annotate({ kind: "explicit", by: "tester", message: "stop" }))
      return yield* Fiber.await(fiber)
    })

  it("S8 cancels everything, waits for cleanup, and leaves as one cancellation with its reason", () => {
    const log: Array<string> = []
    const run = Effect.runSync(
      Sim.run(
        within(
          10,
          TaskGroup.open(
            Effect.gen(function* () {
              for (const name of ["a", "b"]) {
                yield* TaskGroup.spawn(
                  Effect.onInterrupt(Effect.never, () =>
                    Effect.delay(
                      Effect.sync(() => void log.push(name)),
                      30
                    )
                  )
                )
              }
              yield* TaskGroup.spawn(TaskGroup.open(TaskGroup.spawn(sleeper(log, "grandchild"))))
              return yield* sleeper(log, "body")
            })
          )
        )
      )
    )
    const inner = Exit.isSuccess(run.exit) ? run.exit.value : undefined
    expect(Exit.isFailure(inner!) && inner.cause.reasons.map((reason) => reason._tag)).toEqual(["Interrupt"])
    expect(Exit.isFailure(inner!) && Option.getOrThrow(Cancel.reasonOf(inner.cause)).by).toBe("tester")
    expect(log.toSorted()).toEqual(["a", "b", "body", "grandchild"])
    expect(run.time).toBe(40)
  })

  it("S8 keeps a failure of the cleanup beside the cancellation", () => {
    const run = Effect.runSync(
      Sim.run(
        within(
          10,
          TaskGroup.open(
            TaskGroup.spawn(
              Effect.onInterrupt(Effect.never, () => Effect.die("torn")),
              { name: "messy" }
            )
          )
        )
      )
    )
    const inner = Exit.isSuccess(run.exit) ? run.exit.value : undefined
    expect(failuresOf(inner!)).toEqual([["messy", "torn"]])
    expect(Exit.isFailure(inner!) && Cause.hasInterrupts(inner.cause)).toBe(true)
  })
})

describe("a group that takes no more tasks", () => {
  it("S11 refuses them with GroupClosed and does not start them", () => {
    const log: Array<string> = []
    const exit = exitOf(
      Effect.gen(function* () {
        const spawnLater = yield* Deferred.make<Effect.Effect<unknown>>()
        yield* TaskGroup.open(
          Effect.contextWith((context: Context.Context<TaskGroup.TaskGroup<never>>) =>
            Deferred.succeed(
              spawnLater,
              Effect.provideContext(
                TaskGroup.spawn(
                  Effect.sync(() => log.push("started")),
                  { name: "late" }
                ),
                context
              )
            )
          ),
          { name: "done" }
        )
        return yield* Effect.exit(Effect.flatten(Deferred.await(spawnLater)))
      })
    )
    const late = Exit.isSuccess(exit) ? exit.value : undefined
    const defect = Exit.isFailure(late!) && Cause.squash(late.cause)
    expect(defect).toBeInstanceOf(TaskGroup.GroupClosed)
    expect(String(defect)).toContain('Task late was not started: its group "done" is closed')
    expect(log).toEqual([])
  })

  it("keeps the original failure when cleanup tries to spawn", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(
            Effect.onInterrupt(Effect.never, () => TaskGroup.spawn(Effect.void)),
            { name: "spawns in cleanup" }
          )
          yield* TaskGroup.spawn(failAfter(1, "original"), { name: "bad" })
        })
      )
    )
    expect(failuresOf(exit)[0]).toEqual(["bad", "original"])
    expect(failuresOf(exit)[1]![1]).toBeInstanceOf(TaskGroup.GroupClosed)
  })
})

describe("a supervised task", () => {
  it("S18 fails into the hands of its holder, and siblings live on", () => {
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          const sibling = yield* TaskGroup.spawn(Effect.delay(Effect.succeed("lives"), 20))
          const risky = yield* TaskGroup.supervise(failAfter(5, "expected"))
          const error = yield* Effect.flip(risky.join)
          return [error, yield* sibling.join]
        })
      )
    )
    expect(exit).toEqual(Exit.succeed(["expected", "lives"]))
  })

  it("S18 is logged when nobody looked at its failure", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, message }) => void logged.push(`${String(message)} ${Cause.pretty(cause)}`))
    const effect = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.supervise(Effect.fail("unseen"), { name: "forgotten" })
        const seen = yield* TaskGroup.supervise(Effect.fail("seen"))
        yield* seen.exit
      })
    )
    exitOf(effect.pipe(Effect.provide(Logger.layer([logger]))))
    expect(logged).toHaveLength(1)
    expect(logged[0]).toContain('supervised task "forgotten"')
    expect(logged[0]).toContain("unseen")
  })

  for (const [name, error] of [
    ["a symbol for a name", Object.assign(new Error("odd"), { name: Symbol("odd") })],
    [
      "a proxy that throws",
      new Proxy(new Error("odd"), {
        get: () => {
          throw new Error("touched")
        }
      })
    ]
  ] as const) {
    it(`S27 ${name}: its failure is logged without breaking the group, whatever the logger does with it`, () => {
      for (const show of [Cause.pretty, (cause: Cause.Cause<unknown>) => `${Cause.squash(cause)}`]) {
        const logged: Array<string> = []
        const logger = Logger.make(({ cause, message }) => void logged.push(`${String(message)} ${show(cause)}`))
        const effect = TaskGroup.open(Effect.as(TaskGroup.supervise(Effect.fail(error), { name: "odd" }), "its value"))
        expect(exitOf(effect.pipe(Effect.provide(Logger.layer([logger]))))).toEqual(Exit.succeed("its value"))
        expect(logged).toEqual([expect.stringContaining('Unhandled failure of supervised task "odd"')])
      }
    })
  }

  it("S27 a logger that prints the cause gets one that it can print, with its causes", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause }) => void logged.push(Cause.pretty(cause)))
    const odd = Object.assign(new Error("odd", { cause: new Error("why") }), { name: Symbol("odd") })
    exitOf(TaskGroup.open(TaskGroup.supervise(Effect.fail(odd))).pipe(Effect.provide(Logger.layer([logger]))))
    expect(logged).toEqual([expect.stringMatching(/^Symbol\(odd\): odd \{\n +\[cause\]: Error: why\n/)])
  })

  it("S27 a logger that throws at all does not break the group either", () => {
    const logger = Logger.make(() => {
      throw new Error("no disk")
    })
    const effect = TaskGroup.open(Effect.as(TaskGroup.supervise(Effect.fail("lost")), "its value"))
    expect(exitOf(effect.pipe(Effect.provide(Logger.layer([logger]))))).toEqual(Exit.succeed("its value"))
  })

  it("is logged when its cleanup failed and all that was asked of it was to stop", () => {
    const logged: Array<string> = []
    const logger = Logger.make(({ message }) => void logged.push(String(message)))
    const effect = TaskGroup.open(
      Effect.gen(function* () {
        const task = yield* TaskGroup.supervise(
          Effect.onInterrupt(Effect.never, () => Effect.die("torn")),
          { name: "messy" }
        )
        yield* task.cancel()
      })
    )
    expect(exitOf(effect.pipe(Effect.provide(Logger.layer([logger]))))).toEqual(Exit.void)
    expect(logged).toEqual(['Unhandled failure of supervised task "messy"'])
  })
})

describe("S17 a supervised failure in a group that lives on", () => {
  const failing = (name: string) => TaskGroup.supervise(Effect.fail(name), { name })
  const run = <A, E>(effect: Effect.Effect<A, E, TaskGroup.TaskGroup<never>>) => {
    const logged: Array<string> = []
    const logger = Logger.make(({ cause, fiber, message }) => {
      const time = fiber.getRef(Clock.Clock).currentTimeMillisUnsafe()
      logged.push(
        `${time} ${String(message)}${cause.reasons.length === 0 ? "" : ` (${Cause.pretty(cause).split("\n")[0]})`}`
      )
    })
    const logging = Effect.provideService(TaskGroup.open(effect), Logger.CurrentLoggers, new Set([logger]))
    return { exit: exitOf(logging), logged }
  }

  it("is reported within 10 seconds where nobody looks at it, and once", () => {
    const { logged } = run(
      Effect.gen(function* () {
        yield* failing("first")
        yield* Effect.sleep("4 seconds")
        yield* failing("second")
        yield* Effect.sleep("1 hour")
        yield* failing("third")
      })
    )
    const told = (name: string) => `Unhandled failure of supervised task "${name}" (Error: ${name})`
    expect(logged).toEqual([`10000 ${told("first")}`, `14000 ${told("second")}`, `3604000 ${told("third")}`])
  })

  it("is not where it is looked at before, or somebody waits for it", () => {
    const { logged } = run(
      Effect.gen(function* () {
        const joined = yield* failing("joined")
        const asked = yield* failing("asked")
        const waited = yield* TaskGroup.supervise(Effect.andThen(Effect.sleep("1 second"), Effect.fail("late")))
        const waiting = yield* TaskGroup.spawn(waited.exit)
        yield* Effect.sleep("9 seconds")
        yield* Effect.exit(joined.join)
        yield* asked.exit
        yield* waiting.join
        yield* Effect.sleep("1 hour")
      })
    )
    expect(logged).toEqual([])
  })

  it("can be joined after it was reported", () => {
    const { exit, logged } = run(
      Effect.gen(function* () {
        const task = yield* failing("late")
        yield* Effect.sleep("1 minute")
        return yield* Effect.flip(task.join)
      })
    )
    expect(exit).toEqual(Exit.succeed("late"))
    expect(logged).toHaveLength(1)
  })

  it("of very many, a hundred are told and the rest is counted", () => {
    const { logged } = run(
      Effect.andThen(
        Effect.forEach(
          Array.from({ length: 250 }, (_, n) => `t${n}`),
          failing,
          { discard: true }
        ),
        Effect.sleep("1 hour")
      )
    )
    expect(logged).toHaveLength(101)
    expect(logged.at(-1)).toBe("10000 150 more supervised tasks failed unhandled")
  })

  it("that was looked at is not kept: a group that lives for 50,000 of them stays small", async () => {
    setFlagsFromString("--expose-gc")
    const collect = runInNewContext("gc") as () => void
    const heap = Effect.sync(() => {
      collect()
      return process.memoryUsage().heapUsed
    })
    const round = Effect.forEach(
      Array.from({ length: 50_000 }),
      () => Effect.flatMap(failing("seen"), (task) => Effect.exit(task.join)),
      { discard: true }
    )
    const grown = await Effect.runPromise(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* round
          const before = yield* heap
          yield* round
          return (yield* heap) - before
        })
      )
    )
    expect(grown / 50_000).toBeLessThan(20)
  })

  it("leaves no timer behind its group", () => {
    const program = TaskGroup.open(
      Effect.andThen(
        failing("seen"),
        Effect.flatMap(failing("other"), (task) => task.exit)
      )
    )
    const { left, time } = Effect.runSync(Sim.run(Effect.provideService(program, Logger.CurrentLoggers, new Set())))
    expect([left.timers, left.fibers, time]).toEqual([0, [], 0])
  })
})

describe("a chain of 50,000 tasks, each of which waits for the one before", () => {
  it("S26 comes to its end on any stack", async () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const gate = yield* Deferred.make<number>()
        let last: Effect.Effect<number> = Deferred.await(gate)
        for (let n = 0; n < 50_000; n++) {
          const before = last
          last = (yield* TaskGroup.spawn(Effect.map(before, (value) => value + 1))).join
        }
        yield* Deferred.succeed(gate, 0)
        return yield* last
      })
    )
    expect(await Effect.runPromise(program)).toBe(50_000)
  })
})

describe("S16 a supervised start", () => {
  const serve = (end: Effect.Effect<never, string>) => (ready: TaskGroup.Ready<number>) =>
    Effect.andThen(ready(8080), end)

  it("gives the handle, which fails after `ready`, in the same step or later; what fails before it is the starter's", () => {
    const late = Effect.delay(Effect.fail("boom"), 5)
    const failing = (end: Effect.Effect<never, string>) =>
      Effect.gen(function* () {
        const [task, port] = yield* TaskGroup.superviseStart(serve(end), { name: "server" })
        return [task.name, port, yield* Effect.flip(task.join)] as const
      })
    const exit = exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          const failed = [yield* failing(late), yield* failing(Effect.fail("boom"))]
          return [...failed, yield* Effect.flip(TaskGroup.superviseStart((_: TaskGroup.Ready<number>) => late))]
        })
      )
    )
    expect(exit).toEqual(Exit.succeed([["server", 8080, "boom"], ["server", 8080, "boom"], "boom"]))
  })

  it("whose failure nobody looks at is reported, and none that came out of the start", () => {
    const logged: Array<string> = []
    const logger = Logger.make<unknown, void>(({ message }) => void logged.push(String(message)))
    const seen = (start: Effect.Effect<unknown, string, TaskGroup.TaskGroup<never>>) =>
      exitOf(Effect.provide(TaskGroup.open(Effect.exit(start)), Logger.layer([logger])))
    seen(TaskGroup.superviseStart(() => Effect.fail("boom"), { name: "before" }))
    expect(logged).toEqual([])
    seen(TaskGroup.superviseStart(serve(Effect.fail("boom")), { name: "after" }))
    expect(logged).toEqual(['Unhandled failure of supervised task "after"'])
  })
})

describe("S29 a wait in a group with a limit that only its own waiter could end", () => {
  const dead = (task: string) =>
    expect.objectContaining({
      message: expect.stringContaining(`Task "${task}" can never begin: all turns of its group "small" belong to tasks`)
    })
  const server = (ready: TaskGroup.Ready<string>) => Effect.andThen(ready("up"), Effect.sleep(10))
  const start = TaskGroup.start(server, { name: "server" })
  const inSmall = <A, E>(limit: number, effect: Effect.Effect<A, E, TaskGroup.TaskGroup<never>>, others: number = 0) =>
    exitOf(
      TaskGroup.open(
        Effect.gen(function* () {
          for (let n = 0; n < others; n++) yield* TaskGroup.spawn(Effect.sleep(20), { name: `other ${n}` })
          return yield* (yield* TaskGroup.spawn(effect, { name: "starter" })).join
        }),
        { limit, name: "small" }
      )
    )

  it("is a defect that says so: a start from the only turn, be it under a deadline or in a group of its own", () => {
    const bounded = Deadline.within(start, "1 minute")
    for (const effect of [start, bounded, Deadline.moveOn(bounded, 5), Joiner.all([start])]) {
      const exit = inSmall(1, effect as typeof start)
      expect(failuresOf(exit).map(([, error]) => error)).toContainEqual(dead("server"))
    }
  })

  it("is one for a join as well, and starts nothing", () => {
    let ran = false
    const never = TaskGroup.spawn(
      Effect.sync(() => (ran = true)),
      { name: "late" }
    )
    for (const wait of ["join", "exit"] as const) {
      const exit = inSmall(
        1,
        Effect.flatMap(never, (task) => task[wait] as Effect.Effect<unknown>)
      )
      expect(failuresOf(exit)).toEqual([["starter", dead("late")]])
    }
    expect(ran).toBe(false)
  })

  it("is none where another turn comes free, or the task has begun", () => {
    expect(inSmall(2, start)).toEqual(Exit.succeed("up"))
    expect(inSmall(2, start, 1)).toEqual(Exit.succeed("up"))
    const later = Effect.gen(function* () {
      const task = yield* TaskGroup.spawn(Effect.succeed("ran"), { kind: "daemon" })
      return yield* task.join
    })
    expect(inSmall(1, later)).toEqual(Exit.succeed("ran"))
  })

  it("is none where the wait can end in another way", () => {
    const raced = Effect.gen(function* () {
      const task = yield* TaskGroup.spawn(Effect.succeed("never"), { name: "late" })
      return yield* Effect.raceFirst(task.join, Effect.as(Effect.sleep(5), "gave up"))
    })
    expect(inSmall(1, raced)).toEqual(Exit.succeed("gave up"))
  })

  const both = TaskGroup.open(
    Effect.all([TaskGroup.spawn(start, { name: "one" }), TaskGroup.spawn(start, { name: "two" })]),
    { limit: 2, name: "small" }
  ).pipe(
    Effect.exit,
    Effect.map((exit) => {
      // Where one is so early that the turn of its server comes before the other, all is well.
      if (Exit.isFailure(exit)) expect(failuresOf(exit).map(([, error]) => error)).toEqual([dead("server")])
    })
  )

  it.sim("is one for the last of several that hold all turns, in every order", both, {
    granularity: "op",
    schedules: 1000
  })

  it.everywhere("leaves nothing behind, wherever it is cancelled", both, { check: Leaks.check })
})

describe("a group that is ended early", () => {
  it("S24 fails with GroupCancelled, as a failure of its own", () => {
    const exit = exitOf(TaskGroup.open(TaskGroup.cancel("enough"), { name: "search" }))
    expect(failuresOf(exit).map(([task, error]) => [task, String(error)])).toEqual([
      ["search", 'GroupCancelled: Group "search" was cancelled: enough']
    ])
  })
})

describe("under every interleaving", () => {
  /** Three tasks with resources, one of which fails; a nested group; a join. */
  const world = () => {
    const held = { now: 0 }
    const use = (millis: number) =>
      Effect.acquireUseRelease(
        Effect.sync(() => void held.now++),
        () => Effect.sleep(millis),
        () =>
          Effect.andThen(
            Effect.yieldNow,
            Effect.sync(() => void held.now--)
          )
      )
    const effect = TaskGroup.open(
      Effect.gen(function* () {
        const slow = yield* TaskGroup.spawn(use(30), { name: "slow" })
        yield* TaskGroup.spawn(TaskGroup.open(Effect.andThen(TaskGroup.spawn(use(20)), use(10))))
        yield* TaskGroup.spawn(Effect.andThen(use(5), Effect.fail("boom")), { name: "bad" })
        yield* slow.join
      })
    )
    return { held, effect }
  }

  let current = world()
  const start = () => (current = world()).effect
  const check = (run: Sim.Run<void, string>) => {
    expect(current.held.now).toBe(0)
    expect(Exit.isFailure(run.exit)).toBe(true)
    // Nothing but the one failure ever comes out, beside the cancellation.
    if (!run.stopped || failuresOf(run.exit).length > 0) expect(failuresOf(run.exit)).toEqual([["bad", "boom"]])
    return Leaks.check(run)
  }

  it.everywhere("S1 a group that is cancelled at any step leaves nothing behind", start, { check })

  it.sim("fails with the same failure in whatever order its fibers run", start, {
    schedules: 300,
    check,
    stop: "interrupt"
  })
})
