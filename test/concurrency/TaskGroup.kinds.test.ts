/** Daemons, services and restarts: who keeps a group open, who ends when, and who starts again. */
import { describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Schedule from "effect/Schedule"
import { Cancel, TaskGroup } from "skein"
import { cancelledAfter, conforms, defectOf, failsAfter, failuresOf, interruptionsOf } from "../conformance/support.ts"
import { Leaks, Sim } from "skein/testing"

const daemon = { kind: "daemon" } as const
const service = { kind: "service" } as const

const numbers = (count: number): ReadonlyArray<number> => Array.from({ length: count }, (_, index) => index)

const torn = Effect.onInterrupt(Effect.never, () => Effect.die("torn"))

/** Waits until it is cancelled, and writes down why. */
const asks = (reasons: Array<Cancel.Reason>): Effect.Effect<never> =>
  Cancel.cleanup(Effect.never, (reason) => Effect.sync(() => void reasons.push(Option.getOrThrow(reason))))

describe("a daemon", () => {
  conforms(
    "does not keep its group open: it is cancelled and awaited when body and tasks are done",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("daemon", undefined, { cleanup: 7 }), daemon)
          yield* TaskGroup.spawn(works("task", 30))
          return yield* works("body", 10)
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("body"))
      expect(log).toEqual(["body done", "task done", "daemon cancelled"])
      expect(time).toBe(37)
    }
  )

  conforms(
    "may end by itself, and the group goes on",
    ({ works }) => TaskGroup.open(Effect.andThen(TaskGroup.spawn(works("daemon", 5), daemon), works("body", 10))),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("body"))
      expect(log).toEqual(["daemon done", "body done"])
    }
  )

  conforms(
    "that fails is a failure of the group",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(failsAfter(5, "no"), { ...daemon, name: "daemon" })
          yield* TaskGroup.spawn(works("task"))
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["daemon: no"])
      expect(log).toEqual(["task cancelled"])
      expect(time).toBe(5)
    }
  )

  conforms(
    "whose cleanup fails when the group has no more use for it fails the group",
    ({ works }) =>
      TaskGroup.open(Effect.andThen(TaskGroup.spawn(torn, { ...daemon, name: "daemon" }), works("body", 5))),
    ({ failures }) => expect(failures).toEqual(["daemon: torn"])
  )

  conforms(
    "serves the tasks until the last of them is done, those spawned while the group closes included",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("daemon"), daemon)
          yield* TaskGroup.spawn(
            Effect.andThen(
              Effect.sleep(10),
              Effect.suspend(() => TaskGroup.spawn(works("late", 10)))
            )
          )
          yield* say("body done")
        })
      ),
    ({ log }) => expect(log).toEqual(["body done", "late done", "daemon cancelled"])
  )

  it("learns that its group has no more use for it", () => {
    const reasons: Array<Cancel.Reason> = []
    Effect.runSync(Sim.run(TaskGroup.open(TaskGroup.spawn(asks(reasons), daemon), { name: "home" })))
    expect(reasons).toEqual([{ kind: "shutdown", by: "home", message: 'the tasks of group "home" are done' }])
  })

  it("spawned while the daemons are being cancelled is cancelled at once", () => {
    const log: Array<string> = []
    const late = Effect.onInterrupt(Effect.never, () => Effect.sync(() => log.push("late")))
    const first = Effect.gen(function* () {
      const group = yield* TaskGroup.current()
      return yield* Effect.onInterrupt(Effect.never, () => Effect.delay(group.spawn(late, daemon), 5))
    })
    const run = Effect.runSync(Effect.tap(Sim.run(TaskGroup.open(TaskGroup.spawn(first, daemon))), Leaks.check))
    expect(Exit.isSuccess(run.exit)).toBe(true)
    expect(log).toEqual(["late"])
    expect(run.time).toBe(5)
  })

  it("does not count towards the limit of its group", () => {
    const group = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(Effect.never, daemon)
        yield* TaskGroup.spawn(Effect.never, service)
        const task = yield* TaskGroup.spawn(Effect.succeed("ran"))
        return yield* task.join
      }),
      { limit: 1 }
    )
    expect(Effect.runSync(Sim.run(group)).exit).toEqual(Exit.succeed("ran"))
  })
})

describe("services", () => {
  conforms(
    "S19 are cancelled last, in the reverse order of spawning, each when the one before has cleaned up",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("database", undefined, { cleanup: 3 }), service)
          yield* TaskGroup.spawn(works("daemon", undefined, { cleanup: 20 }), daemon)
          yield* TaskGroup.spawn(works("cache", undefined, { cleanup: 9 }), service)
          yield* TaskGroup.spawn(works("server", undefined, { cleanup: 5 }), service)
          return yield* works("body", 10)
        })
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("body"))
      expect(log).toEqual([
        "body done",
        "daemon cancelled",
        "server cancelled",
        "cache cancelled",
        "database cancelled"
      ])
      expect(time).toBe(10 + 20 + 5 + 9 + 3)
    }
  )

  conforms(
    "stay until the cleanup of everything that uses them is done when a task fails",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("database"), service)
          yield* TaskGroup.spawn(works("server"), service)
          yield* TaskGroup.spawn(works("daemon", undefined, { cleanup: 9 }), daemon)
          yield* TaskGroup.spawn(works("task", undefined, { cleanup: 6 }))
          yield* TaskGroup.spawn(failsAfter(10, "no"), { name: "bad" })
          return yield* works("body", undefined, { cleanup: 3 })
        })
      ),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["bad: no"])
      expect(log).toEqual([
        "body cancelled",
        "task cancelled",
        "daemon cancelled",
        "server cancelled",
        "database cancelled"
      ])
      expect(time).toBe(19)
    }
  )

  it("stay as long when the group is cancelled from outside", () => {
    const log: Array<string> = []
    const one = (name: string, cleanup: number) =>
      Effect.onInterrupt(Effect.never, () =>
        Effect.delay(
          Effect.sync(() => log.push(name)),
          cleanup
        )
      )
    const group = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(one("database", 1), service)
        yield* TaskGroup.spawn(one("server", 2), service)
        yield* TaskGroup.spawn(one("daemon", 3), daemon)
        return yield* one("body", 4)
      })
    )
    const run = Effect.runSync(Sim.run(cancelledAfter(group, 10)))
    const exit = Exit.isSuccess(run.exit) ? run.exit.value : run.exit
    expect(log).toEqual(["daemon", "body", "server", "database"])
    expect([interruptionsOf(exit), failuresOf(exit), run.time]).toEqual([1, [], 17])
  })

  conforms(
    "that fail are failures of the group; the others still end last",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("database"), service)
          yield* TaskGroup.spawn(failsAfter(5, "no"), { ...service, name: "server" })
          yield* TaskGroup.spawn(works("task", undefined, { cleanup: 5 }))
        })
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["server: no"])
      expect(log).toEqual(["task cancelled", "database cancelled"])
    }
  )

  conforms(
    "whose cleanup fails fail the group, and the ones before them are cleaned up all the same",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(works("database"), service)
          yield* TaskGroup.spawn(torn, { ...service, name: "server" })
          yield* Effect.sleep(5)
        })
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["server: torn"])
      expect(log).toEqual(["database cancelled"])
    }
  )

  it("learn that their group has no more use for them", () => {
    const reasons: Array<Cancel.Reason> = []
    Effect.runSync(Sim.run(TaskGroup.open(TaskGroup.spawn(asks(reasons), service), { name: "home" })))
    expect(reasons.map(({ by, kind }) => [kind, by])).toEqual([["shutdown", "home"]])
  })
})

describe("a task that restarts", () => {
  /** Fails so many times after 5 ms, each time with its number, and then works on. */
  const flaky = (failures: number, say: (line: string) => Effect.Effect<void>) => {
    let runs = 0
    return Effect.suspend(() => {
      const run = ++runs
      const outcome = run <= failures ? failsAfter(5, `failure ${run}`) : Effect.as(Effect.sleep(5), `value ${run}`)
      return Effect.ensuring(Effect.andThen(say(`start ${run}`), outcome), Effect.delay(say(`clean ${run}`), 3))
    })
  }

  conforms(
    "starts again on its schedule, when the failed instance has cleaned up, and gives the value of the last",
    ({ say }) =>
      TaskGroup.open(
        Effect.flatMap(TaskGroup.spawn(flaky(2, say), { restart: Schedule.spaced(10) }), (task) => task.join)
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("value 3"))
      expect(log).toEqual(["start 1", "clean 1", "start 2", "clean 2", "start 3", "clean 3"])
      expect(time).toBe(8 + 10 + 8 + 10 + 8)
    }
  )

  it("waits as its schedule says, and longer each time if that does", () => {
    const starts: Array<number> = []
    const task = Effect.clockWith((clock) => {
      starts.push(clock.currentTimeMillisUnsafe())
      return starts.length < 4 ? Effect.fail("no") : Effect.succeed("yes")
    })
    const restart = Schedule.exponential(10)
    Effect.runSync(Sim.run(TaskGroup.open(Effect.flatMap(TaskGroup.spawn(task, { restart }), (task) => task.join))))
    expect(starts).toEqual([0, 10, 30, 70])
  })

  conforms(
    "restarts on defects as well",
    ({ log, say }) => {
      const run = Effect.andThen(
        say("run"),
        Effect.suspend(() => (log.length === 1 ? Effect.die("bug") : Effect.succeed("value")))
      )
      return TaskGroup.open(Effect.flatMap(TaskGroup.spawn(run, { restart: Schedule.spaced(1) }), (task) => task.join))
    },
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("value"))
      expect(log).toEqual(["run", "run"])
    }
  )

  conforms(
    "fails its group with the last failure when its schedule is at its end",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.andThen(TaskGroup.spawn(flaky(9, say), { restart: Schedule.recurs(2), name: "flaky" }), works("body"))
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["flaky: failure 3"])
      expect(log.filter((line) => line.startsWith("start"))).toEqual(["start 1", "start 2", "start 3"])
      expect(log.at(-1)).toBe("body cancelled")
    }
  )

  conforms(
    "fails its group with the last failure when it restarts too often in a stretch of time",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.andThen(
          // A failure every 18 ms: the third restart within 50 is one too many.
          TaskGroup.spawn(flaky(9, say), {
            restart: Schedule.spaced(10),
            maxRestarts: { times: 2, per: 50 },
            name: "flaky"
          }),
          works("body")
        )
      ),
    ({ failures, time }) => {
      expect(failures).toEqual(["flaky: failure 3"])
      expect(time).toBe(8 + 18 + 18)
    }
  )

  it("may restart as often as it likes when it does so slowly enough", () => {
    let runs = 0
    const task = Effect.suspend(() => (++runs < 20 ? failsAfter(30, "no") : Effect.succeed("done")))
    const options = { restart: Schedule.forever, maxRestarts: { times: 2, per: 50 } }
    const { exit } = Effect.runSync(
      Sim.run(TaskGroup.open(Effect.flatMap(TaskGroup.spawn(task, options), (task) => task.join)))
    )
    expect(exit).toEqual(Exit.succeed("done"))
  })

  it("S21 never does so once its group is closing, and fails with what it failed with", () => {
    let runs = 0
    const task = Effect.suspend(() => {
      runs += 1
      return failsAfter(10, "no")
    })
    const { exit } = Effect.runSync(
      Sim.run(TaskGroup.open(TaskGroup.spawn(task, { restart: Schedule.forever, name: "task" })))
    )
    expect(failuresOf(exit)).toEqual(["task: no"])
    expect(runs).toBe(1)
  })

  it("never does so once its group is closing, when that is during the pause", () => {
    let runs = 0
    const task = Effect.suspend(() => {
      runs += 1
      return failsAfter(10, "no")
    })
    const options = { restart: Schedule.spaced(50), name: "task" }
    const { exit } = Effect.runSync(
      Sim.run(TaskGroup.open(Effect.andThen(TaskGroup.spawn(task, options), Effect.sleep(20))))
    )
    expect(failuresOf(exit)).toEqual(["task: no"])
    expect(runs).toBe(1)
  })

  it("does not hold up a group that closes until the end of its pause", () => {
    const options = { restart: Schedule.spaced("1 hour"), name: "task" }
    const run = Effect.runSync(
      Sim.run(TaskGroup.open(Effect.andThen(TaskGroup.spawn(failsAfter(10, "no"), options), Effect.sleep(20))))
    )
    expect(failuresOf(run.exit)).toEqual(["task: no"])
    expect(run.time).toBe(20)
  })

  conforms(
    "does not when it is cancelled while it runs",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(Effect.andThen(say("run"), works("task")), { restart: Schedule.forever })
          yield* Effect.sleep(5)
          yield* task.cancel()
          yield* Effect.sleep(50)
          return yield* task.state
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("cancelled"))
      expect(log).toEqual(["run", "task cancelled"])
    }
  )

  conforms(
    "does not when it is cancelled during the pause, and its last failure is forgotten",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.spawn(flaky(9, say), { restart: Schedule.spaced(100) })
          yield* Effect.sleep(50)
          yield* task.cancel()
          yield* Effect.sleep(500)
          return yield* task.state
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("cancelled"))
      expect(log).toEqual(["start 1", "clean 1"])
    }
  )

  conforms(
    "does not when it cancels itself",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const run = Effect.andThen(say("run"), Effect.interrupt)
          const task = yield* TaskGroup.spawn(run, { restart: Schedule.forever })
          return Exit.isFailure(yield* task.exit)
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(true))
      expect(log).toEqual(["run"])
    }
  )

  conforms(
    "does not when a sibling fails",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(flaky(9, say), { restart: Schedule.spaced(10) })
          yield* TaskGroup.spawn(failsAfter(12, "no"), { name: "sibling" })
          return yield* Effect.never
        })
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["sibling: no"])
      expect(log).toEqual(["start 1", "clean 1"])
    }
  )

  conforms(
    "is one task to whoever joins it, supervised or not",
    ({ say }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.supervise(flaky(9, say), { restart: Schedule.recurs(1) })
          return yield* Effect.flip(task.join)
        })
      ),
    ({ exit }) => expect(exit).toEqual(Exit.succeed("failure 2"))
  )

  conforms(
    "may be a daemon or a service",
    ({ say, works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(
            flaky(1, (line) => say(`daemon ${line}`)),
            { ...daemon, restart: Schedule.spaced(2) }
          )
          yield* TaskGroup.spawn(works("service"), { ...service, restart: Schedule.forever })
          yield* works("body", 40)
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.void)
      expect(log).toEqual([
        "daemon start 1",
        "daemon clean 1",
        "daemon start 2",
        "daemon clean 2",
        "body done",
        "service cancelled"
      ])
    }
  )

  it("10,000 times needs no stack and leaves no timer", () => {
    let runs = 0
    const task = Effect.suspend(() => (++runs <= 10_000 ? Effect.fail("no") : Effect.succeed(runs)))
    const group = TaskGroup.open(
      Effect.flatMap(TaskGroup.spawn(task, { restart: Schedule.forever }), (task) => task.join)
    )
    const { exit } = Effect.runSync(Effect.tap(Sim.run(group), Leaks.check))
    expect(exit).toEqual(Exit.succeed(10_001))
  })
})

describe("a group with a limit", () => {
  conforms(
    "lets the next task in when one is cancelled by its handle, and skips those cancelled while they wait",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const first = yield* TaskGroup.spawn(works("first"))
          const skipped = yield* TaskGroup.spawn(works("skipped"))
          const third = yield* TaskGroup.spawn(works("third", 10))
          yield* Effect.sleep(5)
          yield* skipped.cancel()
          yield* first.cancel()
          return yield* third.join
        }),
        { limit: 1 }
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("third"))
      expect(log).toEqual(["first cancelled", "third done"])
      expect(time).toBe(15)
    }
  )

  it("holds its place in the queue by the order of spawning", () => {
    const order: Array<number> = []
    const tasks = [0, 1, 2, 3].map((n) =>
      TaskGroup.spawn(
        Effect.delay(
          Effect.sync(() => order.push(n)),
          10 - n
        )
      )
    )
    Effect.runSync(Sim.run(TaskGroup.open(Effect.all(tasks), { limit: 1 })))
    expect(order).toEqual([0, 1, 2, 3])
  })

  it("lets nobody barge in while it is busy letting in many", () => {
    const order: Array<number> = []
    const gate = Effect.runSync(Deferred.make<void>())
    const group = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(Deferred.await(gate))
        yield* Effect.forEach(numbers(200), (n) => TaskGroup.spawn(Effect.sync(() => order.push(n))))
        yield* Deferred.succeed(gate, undefined)
        yield* TaskGroup.spawn(Effect.sync(() => order.push(200)))
      }),
      { limit: 1 }
    )
    expect(Effect.runSync(Sim.run(group)).exit).toEqual(Exit.void)
    expect(order).toEqual(numbers(201))
  })

  it("lets others run as well while it lets in many", () => {
    const order: Array<unknown> = []
    const gate = Effect.runSync(Deferred.make<void>())
    const program = Effect.gen(function* () {
      yield* Effect.forkChild(
        Effect.andThen(
          Deferred.await(gate),
          Effect.sync(() => order.push("another"))
        )
      )
      yield* TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Deferred.await(gate))
          yield* Effect.forEach(numbers(200), (n) => TaskGroup.spawn(Effect.sync(() => order.push(n))))
          yield* Effect.yieldNow
          yield* Deferred.succeed(gate, undefined)
        }),
        { limit: 1 }
      )
    })
    Effect.runSync(Sim.run(program))
    expect(order.indexOf("another")).toBeLessThan(100)
  })

  it("runs 20,000 tasks that are done at once without running out of stack", () => {
    const tasks = Array.from({ length: 20_000 }, () => TaskGroup.spawn(Effect.void))
    const gate = Effect.runSync(Deferred.make<void>())
    const group = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(Deferred.await(gate))
        yield* Effect.all(tasks)
        yield* Deferred.succeed(gate, undefined)
      }),
      { limit: 1 }
    )
    const { exit } = Effect.runSync(Effect.tap(Sim.run(group), Leaks.check))
    expect(exit).toEqual(Exit.void)
  })

  it("that would let nothing run is a defect, and an infinite one is none", () => {
    for (const limit of [0, -1, 1.5, NaN]) {
      const { exit } = Effect.runSync(Sim.run(TaskGroup.open(Effect.succeed(1), { limit })))
      expect(String(defectOf(exit))).toContain(`limit must be a whole number, 1 or more; got ${limit}`)
    }
    expect(Effect.runSync(Sim.run(TaskGroup.open(TaskGroup.spawn(Effect.void), { limit: Infinity }))).exit._tag).toBe(
      "Success"
    )
  })
})
