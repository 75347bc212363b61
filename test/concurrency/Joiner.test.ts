/** Each joiner: its result, who is cancelled, what is kept of failures, and that no run of it leaves anything behind. */
import { describe, expect, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { pipe } from "effect/Function"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { Cancel, Deadline, Joiner, Task, TaskGroup } from "skein"
import {
  cancelledAfter,
  conforms,
  defectOf,
  failsAfter,
  failsRegardless,
  failuresOf,
  interruptionsOf
} from "../conformance/support.ts"
import { Leaks, Sim } from "skein/testing"

const after = <A>(millis: number, value: A): Effect.Effect<A> => Effect.delay(Effect.succeed(value), millis)

/** Waits until it is cancelled, and then throws in its cleanup. */
const torn = Effect.onInterrupt(Effect.never, () => Effect.die("torn"))

/** Waits until it is cancelled, and writes down why. */
const asks = (reasons: Array<Cancel.Reason>): Effect.Effect<never> =>
  Cancel.cleanup(Effect.never, (reason) => Effect.sync(() => void reasons.push(Option.getOrThrow(reason))))

const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isSuccess(exit)) return exit.value
  throw new Error(Cause.pretty(exit.cause))
}

describe("all", () => {
  conforms(
    "gives the results in the order of the input, whatever the order of completion",
    ({ works }) => Joiner.all([works("slow", 20), works("fast", 10)]),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["slow", "fast"]))
      expect(log).toEqual(["fast done", "slow done"])
      expect(time).toBe(20)
    }
  )

  it("keeps the shape of records and takes any iterable", () => {
    expect(valueOf(Joiner.all({ b: after(2, 1), a: after(1, "x") }))).toEqual({ b: 1, a: "x" })
    expect(valueOf(Joiner.all(new Set([after(2, 1), after(1, 2)])))).toEqual([1, 2])
    const generated = Joiner.all(
      (function* () {
        yield after(2, 1)
        yield after(1, 2)
      })()
    )
    expect(valueOf(generated)).toEqual([1, 2])
    expect(valueOf(pipe([after(1, "piped")], Joiner.all))).toEqual(["piped"])
  })

  it("can be run again, but for what can be gone through once: that says so, and is not taken for empty", () => {
    const again = Joiner.all(new Set([after(2, 1), after(1, 2)]))
    expect([valueOf(again), valueOf(again)]).toEqual([
      [1, 2],
      [1, 2]
    ])
    const once = Joiner.all([after(1, 1)].values())
    expect(valueOf(once)).toEqual([1])
    expect(String(defectOf(Effect.runSync(Sim.run(once)).exit))).toContain("gives its effects once")
  })

  it("gives nothing of nothing", () => {
    expect(valueOf(Joiner.all([]))).toEqual([])
    expect(valueOf(Joiner.all({}))).toEqual({})
    expect(valueOf(Joiner.all([], { limit: 1, within: "1 second" }))).toEqual([])
  })

  conforms(
    "cancels the rest at the first failure, and waits for its cleanup",
    ({ works }) => Joiner.all([works("sibling", 50, { cleanup: 5 }), failsAfter(10, "no"), works("done", 1)]),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["1: no"])
      expect(log).toEqual(["done done", "sibling cancelled"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "keeps what else fails while it is cancelled, typed failures and defects",
    () => Joiner.all({ a: failsAfter(1, "first"), b: failsRegardless(5, "late"), c: torn }),
    ({ failures }) => expect(failures).toEqual(["a: first", "c: torn", "b: late"])
  )

  it("does not start the rest when one fails at once", () => {
    const started: Array<string> = []
    const exit = Effect.runSync(
      Sim.run(Joiner.all([Effect.fail("no"), Effect.sync(() => started.push("second"))]))
    ).exit
    expect(failuresOf(exit)).toEqual(["0: no"])
    expect(started).toEqual([])
  })

  conforms(
    "with a limit starts nothing after a failure, not even in the moment before it is cancelled",
    ({ say }) => Joiner.all([failsAfter(5, "no"), say("started")], { limit: 1 }),
    ({ failures, log }) => {
      expect(failures).toEqual(["0: no"])
      expect(log).toEqual([])
    }
  )

  it("keeps what fails while it is cancelled from outside", () => {
    const exit = valueOf(cancelledAfter(Joiner.all([failsRegardless(20, "late"), torn]), 10))
    expect(failuresOf(exit)).toEqual(["1: torn", "0: late"])
    expect(interruptionsOf(exit)).toBe(1)
  })

  it("tells the siblings who failed", () => {
    const reasons: Array<Cancel.Reason> = []
    Effect.runSync(Sim.run(Joiner.all({ bad: failsAfter(1, "no"), victim: asks(reasons) })))
    expect(reasons).toEqual([{ kind: "sibling", by: "bad", message: 'task "bad" failed' }])
  })

  it("dies, as a join does, when one of them is cancelled by itself, and does not wait for the others", () => {
    const leaves = Effect.flatMap(Task.current, (self) => Option.getOrThrow(self).cancel("bored"))
    const run = Effect.runSync(Sim.run(Joiner.all([after(100, 1), Effect.delay(leaves, 5)])))
    expect(defectOf(run.exit)).toBeInstanceOf(Task.TaskCancelled)
    expect(String(defectOf(run.exit))).toContain("bored")
    expect(run.time).toBe(5)
  })
})

describe("settle", () => {
  conforms(
    "gives every exit, in the order of the input, and lets no failure disturb the others",
    ({ works }) => Joiner.settle([works("slow", 20), failsAfter(1, "no"), Effect.die("bug")]),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([Exit.succeed("slow"), Exit.fail("no"), Exit.die("bug")]))
      expect(log).toEqual(["slow done"])
    }
  )

  it("keeps the shape of records, and gives nothing of nothing", () => {
    expect(valueOf(Joiner.settle({ b: after(1, 1), a: Effect.fail("x") }))).toEqual({
      b: Exit.succeed(1),
      a: Exit.fail("x")
    })
    expect(valueOf(Joiner.settle([]))).toEqual([])
    expect(valueOf(Joiner.settle({}, { within: 1 }))).toEqual({})
  })

  conforms(
    "within a deadline gives what there is, and marks the rest as cancelled by the deadline",
    ({ works }) =>
      Joiner.settle(
        [works("in time", 5), works("too slow", 50, { cleanup: 3 }), failsRegardless(20, "late"), works("waits", 1)],
        { within: 10, limit: 3, name: "batch" }
      ),
    ({ exit, log, time }) => {
      const [inTime, tooSlow, late, waits] = Exit.isSuccess(exit) ? exit.value : []
      expect([inTime, waits]).toEqual([Exit.succeed("in time"), Exit.succeed("waits")])
      const reason = { kind: "deadline", by: "batch", message: "not done within 10ms" }
      expect(reasonOf(tooSlow)).toEqual(reason)
      expect(reasonOf(late)).toEqual(reason)
      expect(failuresOf(late!)).toEqual(["unknown: late"])
      expect(log).toEqual(["in time done", "waits done", "too slow cancelled"])
      expect(time).toBe(20)
    }
  )

  it("marks what never got its turn, or was never started, in the same way", () => {
    const queued = valueOf(Joiner.settle([Effect.never, after(1, "queued")], { limit: 1, within: 10 }))
    expect(queued.map((exit) => reasonOf(exit)?.kind)).toEqual(["deadline", "deadline"])
    const started: Array<string> = []
    const late = Joiner.settle(
      { a: Effect.sync(() => started.push("a")), b: Effect.never },
      { within: 0, name: "batch" }
    )
    const { a, b } = valueOf(late)
    expect([reasonOf(a), reasonOf(b)].map((reason) => [reason?.kind, reason?.by])).toEqual([
      ["deadline", "batch"],
      ["deadline", "batch"]
    ])
    expect(started).toEqual([])
  })

  it("leaves the deadline of someone else to him", () => {
    const run = Effect.runSync(
      Sim.run(Joiner.settle([Effect.never], { within: 20 }).pipe(Deadline.within(10, { name: "outer" })))
    )
    expect(String(Exit.isFailure(run.exit) && Cause.squash(run.exit.cause))).toContain('"outer"')
  })
})

describe("race", () => {
  conforms(
    "gives what the first to end gives, and cancels the others and waits for their cleanup",
    ({ works }) => Joiner.race([works("slow", 20, { cleanup: 5 }), works("fast", 10), works("slower", 30)]),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("fast"))
      expect(log).toEqual(["fast done", "slower cancelled", "slow cancelled"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "fails with what the first to end fails with",
    ({ works }) => Joiner.race({ slow: works("slow", 20), bad: failsAfter(10, "no") }),
    ({ failures, log }) => {
      expect(failures).toEqual(["bad: no"])
      expect(log).toEqual(["slow cancelled"])
    }
  )

  it("drops the failure of a loser, but not its defect", () => {
    expect(valueOf(Joiner.race([after(1, "won"), failsRegardless(5, "lost")]))).toBe("won")
    expect(failuresOf(Effect.runSync(Sim.run(Joiner.race([after(1, "won"), torn]))).exit)).toEqual(["1: torn"])
  })

  it("S20 tells the losers who won", () => {
    const reasons: Array<Cancel.Reason> = []
    Effect.runSync(Sim.run(Joiner.race([asks(reasons), after(1, "won")])))
    expect(reasons).toEqual([{ kind: "sibling", by: "1", message: 'task "1" was enough' }])
  })
})

describe("first", () => {
  conforms(
    "gives the first success, whoever fails before it",
    ({ works }) => Joiner.first([failsAfter(1, "no"), works("slow", 20), works("fast", 10), Effect.die("bug")]),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed("fast"))
      expect(log).toEqual(["fast done", "slow cancelled"])
    }
  )

  conforms(
    "fails with every failure when all have failed",
    () => Joiner.first([failsAfter(10, "slow"), failsAfter(5, "fast"), Effect.delay(Effect.die("bug"), 7)]),
    ({ exit, failures }) => {
      expect(failures).toEqual(["1: fast", "2: bug", "0: slow"])
      expect(Exit.isFailure(exit) && exit.cause.reasons.map((reason) => reason._tag)).toEqual(["Fail", "Die", "Fail"])
    }
  )

  it("counts one that is cancelled by itself as failed", () => {
    const { exit } = Effect.runSync(Sim.run(Joiner.first([Effect.interrupt, failsAfter(1, "no")])))
    expect(failuresOf(exit)).toEqual(["0: TaskCancelled", "1: no"])
  })

  it("says of a deadline what had failed by then", () => {
    const { exit } = Effect.runSync(Sim.run(Joiner.first([failsAfter(1, "no"), Effect.never], { within: 10 })))
    expect(failuresOf(exit)).toEqual(["unknown: DeadlineExceeded", "0: no"])
  })

  it("does not fail by what it has put up with when it is cancelled itself", () => {
    const exit = valueOf(cancelledAfter(Joiner.first([failsAfter(1, "tolerated"), torn]), 10))
    expect(failuresOf(exit)).toEqual(["1: torn"])
    expect(interruptionsOf(exit)).toBe(1)
  })
})

describe("quorum", () => {
  conforms(
    "gives the first k successes in the order of completion",
    ({ works }) => Joiner.quorum([works("c", 30), works("b", 20), failsAfter(5, "no"), works("a", 10)], 2),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(["a", "b"]))
      expect(log).toEqual(["a done", "b done", "c cancelled"])
    }
  )

  conforms(
    "fails as soon as k is out of reach, with every failure",
    ({ works }) => pipe([failsAfter(5, "one"), works("a", 50), failsAfter(7, "two"), works("b", 1)], Joiner.quorum(3)),
    ({ failures, log, time }) => {
      expect(failures).toEqual(["0: one", "2: two"])
      expect(log).toEqual(["b done", "a cancelled"])
      expect(time).toBe(7)
    }
  )

  it("of zero starts nothing", () => {
    const started: Array<string> = []
    expect(valueOf(Joiner.quorum([Effect.sync(() => started.push("a"))], 0))).toEqual([])
    expect(valueOf(Joiner.quorum([], 0))).toEqual([])
    expect(started).toEqual([])
  })

  it("of more than there are, or of no number, dies before anything starts", () => {
    const started: Array<string> = []
    const effects = [Effect.sync(() => started.push("a"))]
    expect(String(defectOf(Effect.runSync(Sim.run(Joiner.quorum(effects, 2))).exit))).toContain(
      "Joiner.quorum needs at least 2 effects and got 1"
    )
    for (const k of [-1, 1.5, NaN]) {
      expect(String(defectOf(Effect.runSync(Sim.run(Joiner.quorum(effects, k))).exit))).toContain(
        `k must be a whole number, zero or more; got ${k}`
      )
    }
    expect(started).toEqual([])
  })
})

describe("until", () => {
  conforms(
    "gives the results so far, the one that satisfies the predicate last, and cancels the others",
    ({ works }) => Joiner.until([works("c", 30), works("b", 20), works("a", 10)], (name) => name === "b"),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(["a", "b"]))
      expect(log).toEqual(["a done", "b done", "c cancelled"])
    }
  )

  conforms(
    "gives all results when none satisfies it",
    ({ works }) =>
      pipe(
        [works("b", 20), works("a", 10)],
        Joiner.until((name: string) => name === "z")
      ),
    ({ exit }) => expect(exit).toEqual(Exit.succeed(["a", "b"]))
  )

  conforms(
    "fails at the first failure",
    ({ works }) => Joiner.until([works("b", 20), failsAfter(10, "no")], () => false),
    ({ failures, log }) => {
      expect(failures).toEqual(["1: no"])
      expect(log).toEqual(["b cancelled"])
    }
  )

  it("takes failures as results when they are made ones", () => {
    const exits = [failsAfter(5, "no"), after(10, 1), Effect.never].map((effect) => Effect.exit(effect))
    expect(valueOf(Joiner.until(exits, Exit.isSuccess))).toEqual([Exit.fail("no"), Exit.succeed(1)])
  })

  it("gives nothing of nothing, and dies of a predicate that throws", () => {
    expect(valueOf(Joiner.until([], () => true))).toEqual([])
    const thrown = Joiner.until([after(1, 1), Effect.never], () => {
      throw new TypeError("bad predicate")
    })
    expect(failuresOf(Effect.runSync(Sim.run(thrown)).exit)).toEqual(["0: TypeError"])
  })
})

describe("hedge", () => {
  /** An effect whose attempts take so long, or fail after so long, one after another; and when each was started. */
  const attempts = (...plans: ReadonlyArray<Effect.Effect<string, string>>) => {
    const starts: Array<number> = []
    const effect = Effect.suspend(() => plans[starts.push(starts.length) - 1] ?? Effect.never)
    return { starts, effect }
  }

  conforms(
    "starts another attempt when the last takes too long; the first success wins and the others are cancelled",
    ({ works }) => {
      const { effect } = attempts(works("first", 100, { cleanup: 5 }), works("second", 30), works("third", 100))
      return Joiner.hedge(effect, { after: 20, max: 3 })
    },
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("second"))
      expect(log.toSorted()).toEqual(["first cancelled", "second done", "third cancelled"])
      expect(time).toBe(55)
    }
  )

  conforms(
    "does not start another when the first is fast enough, and leaves no timer",
    ({ works }) => works("first", 10).pipe(Joiner.hedge({ after: 20, max: 3 })),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed("first"))
      expect(log).toEqual(["first done"])
      expect(time).toBe(10)
    }
  )

  it("starts no more than max, two by default", () => {
    const two = attempts()
    Effect.runSync(Sim.run(Joiner.hedge(two.effect, { after: 1, within: 100 })))
    expect(two.starts.length).toBe(2)
    const four = attempts()
    Effect.runSync(Sim.run(Joiner.hedge(four.effect, { after: 1, max: 4, within: 100 })))
    expect(four.starts.length).toBe(4)
  })

  conforms(
    "puts up with a failure while another attempt runs",
    ({ works }) => {
      const { effect } = attempts(works("first", 50), failsAfter(1, "no"))
      return Joiner.hedge(effect, { after: 20 })
    },
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed("first"))
      expect(time).toBe(50)
    }
  )

  conforms(
    "fails with every failure when all attempts that were started have failed, and starts no other",
    () => {
      const { effect } = attempts(failsAfter(30, "one"), failsAfter(15, "two"), after(1, "never started"))
      return Joiner.hedge(effect, { after: 20, max: 3 })
    },
    ({ failures, time }) => {
      expect(failures).toEqual(["0: one", "1: two"])
      expect(time).toBe(35)
    }
  )

  it("dies of a max that is no number of attempts", () => {
    for (const max of [0, -1, 1.5]) {
      const { exit } = Effect.runSync(Sim.run(Joiner.hedge(Effect.never, { after: 1, max })))
      expect(String(defectOf(exit))).toContain(`max must be a whole number, 1 or more; got ${max}`)
    }
  })
})

describe("completed", () => {
  conforms(
    "streams the results in the order of completion",
    ({ works }) => Stream.runCollect(Joiner.completed({ c: works("c", 30), a: works("a", 10), b: works("b", 20) })),
    ({ exit, time }) => {
      expect(exit).toEqual(Exit.succeed(["a", "b", "c"]))
      expect(time).toBe(30)
    }
  )

  conforms(
    "gives each result as soon as it is there",
    ({ say, works }) =>
      Stream.runForEach(Joiner.completed([works("b", 20), works("a", 10)]), (name) => say(`got ${name}`)),
    ({ log }) => expect(log).toEqual(["a done", "got a", "b done", "got b"])
  )

  conforms(
    "that ends early has cancelled the rest, and waited for it, before the code after it goes on",
    ({ say, works }) =>
      Effect.andThen(
        Stream.runCollect(Stream.take(Joiner.completed([works("slow", 20, { cleanup: 5 }), works("fast", 10)]), 1)),
        say("after")
      ),
    ({ log, time }) => {
      expect(log).toEqual(["fast done", "slow cancelled", "after"])
      expect(time).toBe(15)
    }
  )

  conforms(
    "cancels the rest when its reader fails",
    ({ works }) =>
      Stream.runForEach(Joiner.completed([works("slow", 20), works("fast", 10)]), () => Effect.fail("reader")),
    ({ failures, log }) => {
      expect(failures).toEqual(["unknown: reader"])
      expect(log).toEqual(["fast done", "slow cancelled"])
    }
  )

  conforms(
    "gives the results that came before a failure, and then fails with it, the rest cancelled",
    ({ say, works }) =>
      Stream.runForEach(Joiner.completed([works("slow", 20), failsAfter(15, "no"), works("fast", 10)]), (name) =>
        say(`got ${name}`)
      ),
    ({ failures, log }) => {
      expect(failures).toEqual(["1: no"])
      expect(log).toEqual(["fast done", "got fast", "slow cancelled"])
    }
  )

  it("does not lose what came before a failure to a slow reader", () => {
    const got: Array<string> = []
    const read = Stream.runForEach(Joiner.completed([after(1, "a"), after(2, "b"), failsAfter(3, "no")]), (name) =>
      Effect.andThen(
        Effect.sleep(50),
        Effect.sync(() => got.push(name))
      )
    )
    expect(failuresOf(Effect.runSync(Sim.run(read)).exit)).toEqual(["2: no"])
    expect(got).toEqual(["a", "b"])
  })

  it("reports a defect of the cleanup once, whether it ends early or fails", () => {
    const early = Effect.runSync(Sim.run(Stream.runCollect(Stream.take(Joiner.completed([after(1, "a"), torn]), 1))))
    expect(failuresOf(early.exit)).toEqual(["1: torn"])
    const failing = Effect.runSync(Sim.run(Stream.runCollect(Joiner.completed([failsAfter(1, "no"), torn]))))
    expect(failuresOf(failing.exit)).toEqual(["0: no", "1: torn"])
  })

  it("does not report again what its reader has dealt with", () => {
    const joined = Joiner.completed([after(1, "a"), Effect.delay(Effect.die("bug"), 5)])
    const read = Stream.runCollect(Stream.catchCause(joined, () => Stream.make("b")))
    expect(valueOf(read)).toEqual(["a", "b"])
  })

  it("is empty of nothing, and can be run again", () => {
    expect(valueOf(Stream.runCollect(Joiner.completed([])))).toEqual([])
    const again = Joiner.completed([after(2, "b"), after(1, "a")])
    expect([valueOf(Stream.runCollect(again)), valueOf(Stream.runCollect(again))]).toEqual([
      ["a", "b"],
      ["a", "b"]
    ])
  })
})

/** Every joiner of the same effects, by name. */
const every = <E>(
  effects: ReadonlyArray<Effect.Effect<string, E>>,
  options?: Joiner.Options
): Record<string, Effect.Effect<unknown, unknown>> => ({
  all: Joiner.all(effects, options),
  settle: Joiner.settle(effects, options),
  race: Joiner.race(effects, options),
  first: Joiner.first(effects, options),
  quorum: Joiner.quorum(effects, effects.length, options),
  until: Joiner.until(effects, () => false, options),
  completed: Stream.runCollect(Joiner.completed(effects, options)),
  hedge: Joiner.hedge(Joiner.all(effects), { after: 10, max: 3, ...options })
})

describe("every joiner", () => {
  const names = Object.keys(every([]))

  it.each(names)("%s runs no more than `limit` at once", (name) => {
    let running = 0
    let most = 0
    const work = Effect.acquireUseRelease(
      Effect.sync(() => (most = Math.max(most, ++running))),
      () => Effect.fail("again").pipe(Effect.delay(10)),
      () => Effect.sync(() => running--)
    )
    const joiner =
      name === "hedge"
        ? Joiner.hedge(Effect.delay(work, 5), { after: 1, max: 6, limit: 2 })
        : every([work, work, work, work, work], { limit: 2 })[name]!
    Effect.runSync(Effect.tap(Sim.run(joiner), Leaks.check))
    expect([most, running]).toEqual([2, 0])
  })

  it.each(names)("%s dies of a limit that lets nothing run", (name) => {
    for (const limit of [0, -1, 0.5, NaN]) {
      const { exit } = Effect.runSync(Sim.run(every([Effect.succeed("a")], { limit })[name]!))
      expect(String(defectOf(exit))).toContain(`limit must be a whole number, 1 or more; got ${limit}`)
    }
    expect(Exit.isSuccess(Effect.runSync(Sim.run(every([Effect.succeed("a")], { limit: Infinity })[name]!)).exit)).toBe(
      true
    )
  })

  it.each(names.filter((name) => name !== "settle"))("%s fails with DeadlineExceeded by its name", (name) => {
    const joiner = every([Effect.never], { within: 10, name: "mine" })[name]!
    const run = Effect.runSync(Effect.tap(Sim.run(joiner), Leaks.check))
    const error = Exit.isFailure(run.exit) && Cause.squash(run.exit.cause)
    expect(error).toBeInstanceOf(Deadline.DeadlineExceeded)
    expect(String(error)).toContain('"mine"')
    expect(run.time).toBe(10)
  })

  it.each(names)("%s names its group and its tasks in the tree", (name) => {
    const look = Effect.map(TaskGroup.tree, ({ groups: [group] }) => [
      group!.name,
      ...group!.tasks.slice(1).map((task) => task.name)
    ])
    const effects = { left: Effect.delay(Effect.die("too late"), 50), right: Effect.never }
    const joiners: Record<string, Effect.Effect<unknown, unknown>> = {
      all: Joiner.all(effects),
      settle: Joiner.settle(effects),
      race: Joiner.race(effects),
      first: Joiner.first(effects),
      quorum: Joiner.quorum(effects, 2),
      until: Joiner.until(effects, () => true),
      completed: Stream.runDrain(Joiner.completed(effects)),
      hedge: Joiner.hedge(Effect.never, { after: 1 })
    }
    const program = Effect.gen(function* () {
      const fiber = yield* Effect.forkChild(joiners[name]!)
      yield* Effect.sleep(10)
      const seen = yield* look
      fiber.interruptUnsafe()
      return seen
    })
    expect(valueOf(program)).toEqual(name === "hedge" ? [name, "0", "1"] : [name, "left", "right"])
  })

  it.each(["race", "first", "quorum"])("S20 %s of nothing dies and says why", (name) => {
    const joiner = name === "quorum" ? Joiner.quorum([], 1) : every([])[name]!
    const defect = defectOf(Effect.runSync(Sim.run(joiner)).exit)
    expect(defect).toBeInstanceOf(Joiner.TooFewEffects)
    expect(String(defect)).toContain(`Joiner.${name} needs at least 1 effect and got 0`)
  })

  it.each(names)("%s gives its tasks the reason for which it is cancelled, and keeps what fails meanwhile", (name) => {
    const reasons: Array<Cancel.Reason> = []
    const cancelled = cancelledAfter(every([asks(reasons), torn])[name]!, 50)
    const exit = valueOf(cancelled)
    expect(new Set(reasons.map(({ by, kind }) => `${kind} by ${by}`))).toEqual(
      // A stream is read by one fiber and fed by another.
      new Set([name === "completed" ? "parent by outside" : "signal by tester"])
    )
    expect(new Set(failuresOf(exit).map((failure) => failure.split(" ").at(-1)))).toEqual(new Set(["torn"]))
    expect(interruptionsOf(exit)).toBe(1)
  })

  it.each(names)("%s leaves what its effects spawn to the group around it", (name) => {
    const log: Array<string> = []
    const server = TaskGroup.spawn(
      Effect.delay(
        Effect.sync(() => log.push("served")),
        50
      ),
      { name: "server" }
    )
    const starts = Effect.as(server, "started")
    const joiners: Record<string, Effect.Effect<unknown, never, TaskGroup.TaskGroup<never>>> = {
      all: Joiner.all([starts]),
      settle: Joiner.settle([starts]),
      race: Joiner.race([starts]),
      first: Joiner.first([starts]),
      quorum: Joiner.quorum([starts], 1),
      until: Joiner.until([starts], () => false),
      completed: Stream.runDrain(Joiner.completed([starts])),
      hedge: Joiner.hedge(starts, { after: 1 })
    }
    const program = TaskGroup.open(
      Effect.andThen(
        joiners[name]!,
        Effect.sync(() => log.push("joined"))
      )
    )
    const run = Effect.runSync(Sim.run(program))
    expect(log).toEqual(["joined", "served"])
    expect(run.time).toBe(50)
  })

  it.each(names)(
    "%s comes to the same in a group that fails meanwhile: cancelled, and no failure of its own",
    (name) => {
      const program = TaskGroup.open(
        Effect.andThen(TaskGroup.spawn(failsAfter(10, "sibling"), { name: "bad" }), every([Effect.never])[name]!)
      )
      expect(failuresOf(Effect.runSync(Sim.run(program)).exit)).toEqual(["bad: sibling"])
    }
  )
})

it("S26 a joiner of 20,000 effects costs no more than its tasks, and no stack", () => {
  const effects = Array.from({ length: 20_000 }, (_, index) => Effect.succeed(index))
  expect(valueOf(Joiner.all(effects)).length).toBe(20_000)
  expect(valueOf(Joiner.quorum(effects, 10_000)).length).toBe(10_000)
  const waiting = effects.map(() => Effect.never)
  expect(failuresOf(Effect.runSync(Sim.run(Joiner.all([...waiting, failsAfter(1, "no")]))).exit)).toEqual(["20000: no"])
})

const reasonOf = (exit: Exit.Exit<unknown, unknown> | undefined): Cancel.Reason | undefined =>
  exit !== undefined && Exit.isFailure(exit) ? Option.getOrUndefined(Cancel.reasonOf(exit.cause)) : undefined
