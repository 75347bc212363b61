/** What can be seen of tasks from outside: the tree, the events, handles to groups, and groups that end early. */
import { describe, expect } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import { Cancel, Deadline, Registry, Task, TaskGroup } from "skein"
import { cancelledAfter, conforms, defectOf, failsAfter, failuresOf, leak } from "../conformance/support.ts"
import { Leaks, Sim } from "skein/testing"
import { it } from "skein/testing/vitest"

const valueOf = <A, E>(effect: Effect.Effect<A, E>): A => {
  const { exit } = Effect.runSync(Effect.tap(Sim.run(effect), Leaks.check))
  if (Exit.isSuccess(exit)) return exit.value
  throw new Error(String(exit))
}

/** Runs the effect under a registry of its own and gives what its listener hears, and what is left in the tree. */
const heard = <A, E>(effect: Effect.Effect<A, E>) => {
  const events: Array<Registry.Event> = []
  const registry = Registry.make((event) => void events.push(event))
  const run = Effect.runSync(Sim.run(Effect.provideService(effect, Registry.Registry, registry)))
  const words = events.map(({ kind, task }) => `${kind} ${task.name}`)
  return { run, events, words, left: Registry.treeOf(registry) }
}

describe("the tree", () => {
  it("shows groups and tasks with their kinds, states, parents and since when, as JSON", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        yield* Effect.sleep(5)
        yield* TaskGroup.spawn(Effect.never, { name: "poll", kind: "daemon" })
        yield* TaskGroup.spawn(Effect.never, { name: "db", kind: "service" })
        const busy = Effect.onInterrupt(Effect.never, () => Effect.sleep(50))
        const leaving = yield* TaskGroup.spawn(busy, { name: "leaving" })
        yield* Effect.sleep(5)
        yield* TaskGroup.spawn(leaving.cancel(), { name: "canceller" })
        const tree = yield* TaskGroup.tree
        return JSON.parse(JSON.stringify(tree))
      }),
      { name: "main" }
    )
    const { run } = heard(program)
    const tree = Exit.isSuccess(run.exit) ? run.exit.value : undefined
    const [body, poll, db, leaving, canceller] = tree.groups[0].tasks
    const common = { group: "main", parent: body.id, waitsFor: null, groups: [] }
    expect(tree.formatVersion).toBe(1)
    expect([tree.groups.length, tree.groups[0].name, tree.groups[0].state]).toEqual([1, "main", "open"])
    expect(body).toEqual({
      ...common,
      id: body.id,
      name: "main",
      kind: "body",
      parent: null,
      state: "running",
      since: 0
    })
    expect(poll).toEqual({ ...common, id: poll.id, name: "poll", kind: "daemon", state: "running", since: 5 })
    expect(db).toEqual({ ...common, id: db.id, name: "db", kind: "service", state: "running", since: 5 })
    expect(leaving).toEqual({
      ...common,
      id: leaving.id,
      name: "leaving",
      kind: "task",
      state: "cancelling",
      since: 10
    })
    const waitsFor = 'the cleanup of task "leaving"'
    expect(canceller).toEqual({
      ...common,
      id: canceller.id,
      name: "canceller",
      kind: "task",
      state: "running",
      since: 10,
      waitsFor
    })
  })

  it("shows groups under the task that opened them, however deep, and the spawner apart from the group", () => {
    const inner = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(Effect.sleep(50), { name: "grandchild" })
        yield* Effect.sleep(50)
      }),
      { name: "inner" }
    )
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const group = yield* TaskGroup.current()
        yield* TaskGroup.spawn(inner, { name: "opener" })
        yield* TaskGroup.spawn(group.spawn(Effect.never, { name: "guest", kind: "daemon" }), { name: "host" })
        yield* Effect.sleep(10)
        return yield* TaskGroup.tree
      }),
      { name: "outer" }
    )
    const [outer] = valueOf(program).groups
    const named = (name: string) => outer!.tasks.find((task) => task.name === name)!
    expect(outer!.tasks.map((task) => task.name)).toEqual(["outer", "opener", "guest"])
    const [nested] = named("opener").groups
    expect(nested!.tasks.map((task) => [task.name, task.kind, task.group])).toEqual([
      ["inner", "body", "inner"],
      ["grandchild", "task", "inner"]
    ])
    expect(nested!.tasks[0]!.parent).toBe(named("opener").id)
    expect(nested!.tasks[1]!.parent).toBe(nested!.tasks[0]!.id)
    // Spawned by the code of a task that has ended since, into the group of that task's spawner.
    expect([named("guest").group, typeof named("guest").parent]).toEqual(["outer", "number"])
    expect(named("guest").parent).not.toBe(named("outer").id)
  })

  it("tells the states of a group: open, closing, cancelling; a closed one is gone", () => {
    const states: Array<string | undefined> = []
    const look = Effect.map(TaskGroup.tree, ({ groups }) => void states.push(groups[0]?.state))
    const task = Effect.gen(function* () {
      yield* look
      yield* Effect.sleep(10)
      yield* look
      yield* Effect.onInterrupt(Effect.sleep(50), () => look)
    })
    Effect.runSync(
      Sim.run(
        Effect.andThen(
          Effect.exit(TaskGroup.open(Effect.andThen(TaskGroup.spawn(task), TaskGroup.spawn(failsAfter(20, "no"))))),
          look
        )
      )
    )
    expect(states).toEqual(["open", "closing", "cancelling", undefined])
  })

  it("says what a task waits for, until it has it", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const slow = yield* TaskGroup.spawn(Effect.sleep(50), { name: "slow" })
        yield* TaskGroup.spawn(slow.join, { name: "joiner" })
        yield* TaskGroup.spawn(slow.exit, { name: "watcher" })
        yield* TaskGroup.spawn(Effect.andThen(slow.join, Effect.sleep(10)), { name: "goes on" })
        const before = yield* waits
        yield* Effect.sleep(55)
        return [before, yield* waits]
      })
    )
    const end = 'the end of task "slow"'
    expect(valueOf(program)).toEqual([{ joiner: end, watcher: end, "goes on": end }, {}])
  })

  it("says that a task waits for its turn, until that comes", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        yield* TaskGroup.spawn(Effect.sleep(10), { name: "first" })
        yield* TaskGroup.spawn(Effect.sleep(10), { name: "second" })
        const before = yield* waits
        yield* Effect.sleep(15)
        return [before, yield* waits]
      }),
      { name: "narrow", limit: 1 }
    )
    expect(valueOf(program)).toEqual([{ second: 'its turn in group "narrow"' }, {}])
  })

  it("S17 forgets tasks that have ended: a group that lives long stays small, and ends with nothing", () => {
    const sizes: Array<number> = []
    const size = Effect.map(TaskGroup.tree, ({ groups }) => void sizes.push(groups[0]?.tasks.length ?? 0))
    Effect.runSync(
      Sim.run(
        Effect.andThen(
          TaskGroup.open(
            Effect.forEach(Array.from({ length: 100 }), () =>
              Effect.andThen(
                Effect.flatMap(TaskGroup.spawn(Effect.sleep(1)), (task) => task.join),
                size
              )
            )
          ),
          size
        )
      )
    )
    expect(Math.max(...sizes)).toBeLessThanOrEqual(2)
    expect(sizes.at(-1)).toBe(0)
  })

  it("counts its own tasks and keeps its own orphans", () => {
    const abandoned = TaskGroup.open(TaskGroup.spawn(Effect.uninterruptible(Effect.sleep(50))), {
      cleanup: 5,
      abandon: true
    }).pipe(Deadline.within(10), Effect.ignore)
    const program = Effect.gen(function* () {
      yield* abandoned
      const orphans = yield* TaskGroup.orphans
      yield* Effect.sleep(100)
      return [...orphans.map(({ name }) => name), (yield* TaskGroup.orphans).length]
    })
    const apart = Effect.provideService(program, Registry.Registry, Registry.make())
    const [mine, other] = valueOf(Effect.all([program, apart], { concurrency: 2 }))
    expect(mine).toEqual(["group-1 / task-2", 0])
    expect(other).toEqual(mine)
  })

  it("is that of the registry that was provided, and of no other", () => {
    const program = TaskGroup.open(
      Effect.map(TaskGroup.tree, ({ groups }) => groups.map(({ name }) => name)),
      {
        name: "mine"
      }
    )
    const apart = Effect.provideService(program, Registry.Registry, Registry.make())
    expect(valueOf(TaskGroup.open(apart, { name: "outer" }))).toEqual(["mine"])
  })

  it("is empty after every end: success, failure, cancellation, deadline", () => {
    const tasks = Effect.andThen(TaskGroup.spawn(Effect.sleep(20)), Effect.sleep(10))
    const ends: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
      TaskGroup.open(tasks),
      TaskGroup.open(Effect.andThen(tasks, Effect.fail("no"))),
      TaskGroup.open(Effect.andThen(tasks, TaskGroup.cancel())),
      cancelledAfter(TaskGroup.open(tasks), 5),
      TaskGroup.open(tasks, { within: 5 }),
      Deadline.within(TaskGroup.open(tasks), 0)
    ]
    for (const end of ends) expect(heard(end).left).toEqual({ formatVersion: 1, groups: [] })
  })
})

/** What the tasks of the first group wait for, by name, where that is known. */
const waits = Effect.map(TaskGroup.tree, ({ groups }) =>
  Object.fromEntries(
    groups[0]!.tasks.filter((task) => task.waitsFor !== null).map((task) => [task.name, task.waitsFor])
  )
)

describe("the events", () => {
  it("tell the life of each task in order: spawned, started, suspended, cancelling, exited", () => {
    const { words } = heard(
      TaskGroup.open(
        Effect.gen(function* () {
          const slow = yield* TaskGroup.spawn(Effect.never, { name: "slow" })
          const joiner = yield* TaskGroup.spawn(slow.exit, { name: "joiner" })
          yield* Effect.sleep(5)
          yield* slow.cancel()
          yield* joiner.join
        }),
        { name: "main" }
      )
    )
    expect(words.filter((word) => word.endsWith("slow"))).toEqual([
      "spawned slow",
      "started slow",
      "cancelling slow",
      "exited slow"
    ])
    expect(words.filter((word) => word.endsWith("joiner"))).toEqual([
      "spawned joiner",
      "started joiner",
      "suspended joiner",
      "resumed joiner",
      "exited joiner"
    ])
    expect(words[0]).toBe("started main")
    expect(words.at(-1)).toBe("exited main")
  })

  it("carry the state the task has got into, and the time", () => {
    const { events } = heard(
      TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.supervise(failsAfter(10, "no"), { name: "bad" }).pipe(Effect.flatMap((task) => task.exit))
          const stuck = Effect.onInterrupt(Effect.never, () => Effect.sleep(7))
          const leaving = yield* TaskGroup.spawn(stuck, { name: "leaving" })
          yield* leaving.cancel()
        })
      )
    )
    const life = (name: string) =>
      events.filter(({ task }) => task.name === name).map(({ at, kind, task }) => [kind, task.state, at])
    expect(life("bad")).toEqual([
      ["spawned", "running", 0],
      ["started", "running", 0],
      ["exited", "failed", 10]
    ])
    expect(life("leaving")).toEqual([
      ["spawned", "running", 10],
      ["started", "running", 10],
      ["cancelling", "cancelling", 10],
      ["exited", "cancelled", 17]
    ])
  })

  it("say what a suspended task waits for", () => {
    const { events } = heard(
      TaskGroup.open(Effect.flatMap(TaskGroup.spawn(Effect.sleep(5), { name: "slow" }), (task) => task.join))
    )
    const suspended = events.filter(({ kind }) => kind === "suspended")
    expect(suspended.map(({ task }) => [task.kind, task.waitsFor])).toEqual([["body", 'the end of task "slow"']])
  })

  it("tell of a cancellation once a task, whatever else cancels it afterwards", () => {
    const { words } = heard(
      TaskGroup.open(
        Effect.gen(function* () {
          const stuck = Effect.onInterrupt(Effect.never, () => Effect.sleep(20))
          const task = yield* TaskGroup.spawn(stuck, { name: "stuck" })
          yield* TaskGroup.spawn(task.cancel())
          yield* TaskGroup.spawn(failsAfter(5, "no"))
        })
      )
    )
    expect(words.filter((word) => word === "cancelling stuck")).toHaveLength(1)
  })

  it("say how a task has ended, and after how long by a clock that no one sets", () => {
    const { events } = heard(
      TaskGroup.open(
        Effect.gen(function* () {
          const task = yield* TaskGroup.supervise(failsAfter(10, "no"), { name: "bad" })
          yield* Effect.exit(task.join)
          yield* TaskGroup.spawn(Effect.as(Effect.sleep(0.25), "value"), { name: "good" })
        })
      )
    )
    const ends = events.filter((event) => event.kind === "exited")
    expect(ends.map(({ duration, exit, task }) => [task.name, exit, duration])).toMatchObject([
      ["bad", Exit.fail("no"), 10],
      [expect.stringContaining("group"), { _tag: "Success" }, 10],
      ["good", Exit.succeed("value"), 0.25]
    ])
  })

  it("S31 say of a task that waits in two of its fibers what is left of it", () => {
    const events: Array<string> = []
    const registry = Registry.make(({ kind, task }) => {
      if (kind === "suspended" || kind === "resumed") events.push(`${kind}: ${task.waitsFor}`)
    })
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const slow = yield* TaskGroup.spawn(Effect.sleep(20), { name: "slow" })
        const quick = yield* TaskGroup.spawn(Effect.sleep(10), { name: "quick" })
        yield* Effect.all([slow.join, quick.join], { concurrency: 2 })
      })
    )
    Effect.runSync(Sim.run(Effect.provideService(program, Registry.Registry, registry)))
    const [slow, quick] = ['the end of task "slow"', 'the end of task "quick"']
    expect(events).toEqual([
      `suspended: ${slow}`,
      `suspended: ${slow} and ${quick}`,
      `resumed: ${slow}`,
      "resumed: null"
    ])
  })

  it("are told to a listener that comes later, from then on, and to nobody after it is gone", () => {
    const events: Array<string> = []
    const program = Effect.gen(function* () {
      const registry = yield* Registry.Registry
      yield* TaskGroup.spawn(Effect.void, { name: "before" })
      const stop = registry.listen(({ kind, task }) => void events.push(`${kind} ${task.name}`))
      yield* TaskGroup.spawn(Effect.void, { name: "during" })
      stop()
      yield* TaskGroup.spawn(Effect.void, { name: "after" })
    })
    Effect.runSync(Sim.run(Effect.provideService(TaskGroup.open(program), Registry.Registry, Registry.make())))
    expect(events).toEqual(["spawned during", "started during", "exited during"])
  })
})

describe("S27 a listener that throws", () => {
  const kinds = ["spawned", "started", "suspended", "resumed", "cancelling", "exited"] as const
  const hostile: ReadonlyArray<unknown> = [
    new Error("no"),
    undefined,
    Symbol("no"),
    Object.create(null),
    Object.defineProperty(new Error(), "message", {
      get() {
        throw new Error("no message")
      }
    })
  ]
  const program = TaskGroup.open(
    Effect.gen(function* () {
      const slow = yield* TaskGroup.spawn(Effect.never, { name: "slow" })
      yield* TaskGroup.spawn(slow.exit, { name: "joiner" })
      yield* Effect.sleep(5)
      yield* slow.cancel()
      return "done"
    })
  )

  it.each(kinds)("on %s is told nothing more, once reported, and the program and the others go on", (at) => {
    for (const thrown of hostile) {
      const logged: Array<unknown> = []
      const other: Array<string> = []
      let told = 0
      const registry = Registry.make(
        ({ kind }) => {
          if (kind !== at) return
          told += 1
          throw thrown
        },
        ({ kind }) => void other.push(kind)
      )
      const logger = Logger.make(({ message }) => void logged.push(message))
      const run = Effect.runSync(
        Sim.run(
          program.pipe(
            Effect.provideService(Registry.Registry, registry),
            Effect.provideService(Logger.CurrentLoggers, new Set([logger]))
          )
        )
      )
      expect(run.exit).toEqual(Exit.succeed("done"))
      expect(told).toBe(1)
      expect(logged.flat()).toHaveLength(1)
      expect(String(logged.flat()[0])).toContain("A listener of the registry threw")
      for (const kind of kinds) expect(other).toContain(kind)
    }
  })

  it("may take itself off, or add another, while it is told", () => {
    const heard: Array<string> = []
    const registry = Registry.make()
    const stop = registry.listen(({ kind }) => {
      heard.push(`first ${kind}`)
      stop()
      registry.listen(({ kind }) => void heard.push(`second ${kind}`))
    })
    Effect.runSync(Effect.provideService(TaskGroup.open(Effect.void), Registry.Registry, registry))
    expect(heard).toEqual(["first started", "second exited"])
  })
})

describe("S31 what a task waits for", () => {
  /** Whoever looks sees nobody wait for a task that has ended, and the waiter wait for one that has not. */
  const look = Effect.flatMap(TaskGroup.tree, ({ groups }) => {
    const names = groups[0]!.tasks.map(({ name }) => name)
    for (const { name, waitsFor } of groups[0]!.tasks) {
      const known = Array.from(waitsFor?.matchAll(/"(slow|quick)"/g) ?? [], ([, task]) => task!)
      const gone = known.find((task) => !names.includes(task))
      if (gone !== undefined) return Effect.die(`${name} waits for ${gone}, which has ended`)
      if (name === "waiter" && names.includes("slow") && !known.includes("slow")) return Effect.die("nothing is known")
    }
    return Effect.void
  })
  const program = TaskGroup.open(
    Effect.gen(function* () {
      const slow = yield* TaskGroup.spawn(Effect.sleep(2), { name: "slow" })
      const quick = yield* TaskGroup.spawn(Effect.sleep(1), { name: "quick" })
      const waits = Effect.all([slow.join, quick.exit, Deadline.within(slow.exit, "1 minute")], { concurrency: 3 })
      const waiter = yield* TaskGroup.spawn(waits, { name: "waiter" })
      yield* Effect.sleep(0.5)
      yield* TaskGroup.spawn(Effect.forEach([0, 1, 2, 3], () => Effect.andThen(look, Effect.sleep(0.5))))
      yield* waiter.join
    })
  )

  it.sim("is so now, in every order", program, { granularity: "op", schedules: 1000 })

  it.everywhere("is so wherever it is cancelled", program)
})

describe("S31 the tree at any depth", () => {
  const nested = (depth: number, inside: Effect.Effect<Registry.Tree>): Effect.Effect<Registry.Tree> =>
    depth === 0
      ? inside
      : TaskGroup.open(
          Effect.suspend(() => nested(depth - 1, inside)),
          { name: `g${depth}` }
        )

  it("is whole with 10,000 groups inside each other", async () => {
    const { groups } = await Effect.runPromise(nested(10_000, TaskGroup.tree))
    let depth = 0
    for (let group = groups.find(({ name }) => name === "g10000"); group !== undefined; depth += 1) {
      group = group.tasks[0]!.groups[0]
    }
    expect(depth).toBe(10_000)
  })

  it("can be written as JSON, which says how much is left out", async () => {
    const tree = Effect.provideService(nested(10_000, TaskGroup.tree), Registry.Registry, Registry.make())
    let [group] = JSON.parse(JSON.stringify(await Effect.runPromise(tree))).groups as [Registry.GroupInfo]
    let depth = 1
    for (; group.omitted === undefined; depth += 1) group = group.tasks[0]!.groups[0]!
    expect(depth).toBeGreaterThan(400)
    expect(group.omitted).toBe(10_000 - depth + 1)
  })
})

describe("a handle to a group", () => {
  it("spawns from outside of it, and what fails is a failure of that group", () => {
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const group = yield* TaskGroup.current<string>()
        yield* TaskGroup.open(group.spawn(failsAfter(5, "from far"), { name: "guest" }), { name: "inner" })
        return yield* Effect.never
      }),
      { name: "outer" }
    )
    expect(failuresOf(Effect.runSync(Sim.run(program)).exit)).toEqual(["guest: from far"])
  })

  it("gives its tasks the deadline of the group they are in, not that of the code that spawns them", () => {
    const remaining = Effect.map(Deadline.remaining, Option.isSome)
    const program = TaskGroup.open(
      Effect.gen(function* () {
        const group = yield* TaskGroup.current()
        const task = yield* Deadline.within(group.spawn(Effect.delay(remaining, 50)), 10)
        return yield* task.join
      })
    )
    expect(valueOf(program)).toBe(false)
  })

  it("tells its name and state, and refuses tasks once the group is closed", () => {
    const program = Effect.gen(function* () {
      const { before, group } = yield* TaskGroup.open(
        Effect.gen(function* () {
          const group = yield* TaskGroup.current()
          return { group, before: yield* group.info }
        }),
        { name: "g" }
      )
      const late = yield* Effect.exit(group.spawn(Effect.void, { name: "late" }))
      return { name: group.name, before: before.state, after: (yield* group.info).state, late }
    })
    const { late, ...rest } = valueOf(program)
    expect(rest).toEqual({ name: "g", before: "open", after: "closed" })
    expect(defectOf(late)).toBeInstanceOf(TaskGroup.GroupClosed)
  })
})

describe("trySpawn", () => {
  conforms(
    "starts the task while the group takes tasks, closing included",
    ({ works }) =>
      TaskGroup.open(
        Effect.gen(function* () {
          const task = Option.getOrThrow(yield* TaskGroup.trySpawn(works("task", 10)))
          yield* TaskGroup.spawn(
            Effect.andThen(
              Effect.sleep(5),
              Effect.suspend(() => TaskGroup.trySpawn(works("late", 10)))
            )
          )
          return task.name.startsWith("task-")
        })
      ),
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed(true))
      expect(log).toEqual(["task done", "late done"])
    }
  )

  conforms(
    "gives none while the group cancels, and starts nothing",
    ({ say }) => {
      const tried: Array<boolean> = []
      const attempt = Effect.map(TaskGroup.trySpawn(say("started")), (task) => void tried.push(Option.isSome(task)))
      return TaskGroup.open(
        Effect.gen(function* () {
          yield* TaskGroup.spawn(Effect.onInterrupt(Effect.never, () => attempt))
          yield* Effect.sleep(5)
          yield* TaskGroup.cancel()
        })
      ).pipe(Effect.catchTag("GroupCancelled", () => Effect.succeed(tried)))
    },
    ({ exit, log }) => {
      expect(exit).toEqual(Exit.succeed([false]))
      expect(log).toEqual([])
    }
  )

  it("gives none when the group is closed", () => {
    const log: Array<string> = []
    const program = Effect.gen(function* () {
      const late = yield* TaskGroup.open(leak(TaskGroup.trySpawn(Effect.sync(() => log.push("started")))))
      return yield* late
    })
    expect(valueOf(program)).toEqual(Option.none())
    expect(log).toEqual([])
  })

  it("makes its failures those of the group", () => {
    const program = TaskGroup.open(
      Effect.andThen(TaskGroup.trySpawn(failsAfter(5, "no"), { name: "bad" }), Effect.never)
    )
    expect(failuresOf(Effect.runSync(Sim.run(program)).exit)).toEqual(["bad: no"])
  })
})

describe("notStarted", () => {
  it("lets the function of a start be called without one", () => {
    const server = (ready: TaskGroup.Ready<number>) => Effect.as(ready(8080), "ended")
    expect(valueOf(server(TaskGroup.notStarted))).toBe("ended")
    expect(valueOf(TaskGroup.open(TaskGroup.start(server)))).toBe(8080)
  })
})

describe("TaskGroup.cancel", () => {
  conforms(
    "ends the innermost group, cancels and awaits what is in it, and fails with GroupCancelled",
    ({ say, works }) =>
      TaskGroup.open(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(works("task", undefined, { cleanup: 5 }))
            yield* Effect.sleep(10)
            yield* TaskGroup.cancel("seen enough")
            yield* say("never said")
          }),
          { name: "inner" }
        ).pipe(
          Effect.catchTag("GroupCancelled", ({ group, reason }) => Effect.succeed([group, reason])),
          Effect.tap(say("outer goes on"))
        )
      ),
    ({ exit, log, time }) => {
      expect(exit).toEqual(Exit.succeed(["inner", "seen enough"]))
      expect(log).toEqual(["task cancelled", "outer goes on"])
      expect(time).toBe(15)
    }
  )

  it("gives the reason to what it cancels, with the name of the task that asked", () => {
    const reasons: Array<Cancel.Reason> = []
    const asks = Cancel.cleanup(Effect.never, (reason) =>
      Effect.sync(() => void reasons.push(Option.getOrThrow(reason)))
    )
    Effect.runSync(
      Sim.run(
        TaskGroup.open(
          Effect.gen(function* () {
            yield* TaskGroup.spawn(asks)
            yield* TaskGroup.spawn(Effect.andThen(Effect.sleep(5), TaskGroup.cancel("bored")), { name: "asker" })
            return yield* asks
          })
        )
      )
    )
    const reason = { kind: "explicit", by: "asker", message: "bored" }
    expect(reasons).toEqual([reason, reason])
  })

  it("twice is once, and the first reason is kept", () => {
    const again = Effect.onInterrupt(Effect.never, () => TaskGroup.cancel("second"))
    const program = TaskGroup.open(Effect.andThen(TaskGroup.spawn(again), TaskGroup.cancel("first"))).pipe(
      Effect.catchTag("GroupCancelled", ({ reason }) => Effect.succeed(reason))
    )
    expect(valueOf(program)).toBe("first")
  })

  it("after the close does nothing", () => {
    const program = Effect.flatten(TaskGroup.open(leak(TaskGroup.cancel())))
    expect(valueOf(Effect.as(program, "went on"))).toBe("went on")
  })

  it("S24 lets what fails after it surface", () => {
    const program = TaskGroup.open(
      Effect.ensuring(Effect.andThen(TaskGroup.cancel(), Effect.never), Effect.die("broken cleanup")),
      { name: "g" }
    )
    expect(failuresOf(Effect.runSync(Sim.run(program)).exit)).toEqual(["g: broken cleanup"])
  })
})

it("a task's handle and its node in the tree tell the same", () => {
  const program = TaskGroup.open(
    Effect.gen(function* () {
      const task = yield* TaskGroup.spawn(Effect.sleep(10), { name: "t", kind: "daemon" })
      const self = Option.getOrThrow(yield* Task.current)
      const { groups } = yield* TaskGroup.tree
      const node = groups[0]!.tasks[1]!
      return [
        [node.id, node.name, node.kind, node.state, node.since, node.parent],
        [task.id, task.name, task.kind, yield* task.state, task.startedAt, self.id]
      ]
    })
  )
  const [node, handle] = valueOf(program)
  expect(node).toEqual(handle)
})
