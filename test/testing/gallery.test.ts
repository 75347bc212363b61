import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import { Interrupt, Kill, Leaks, Sim } from "skein/testing"
import * as BlindRetry from "./gallery/BlindRetry.ts"
import * as CheckThenAct from "./gallery/CheckThenAct.ts"
import * as CleanupSkipped from "./gallery/CleanupSkipped.ts"
import * as DoubleInit from "./gallery/DoubleInit.ts"
import * as DoubleRelease from "./gallery/DoubleRelease.ts"
import * as LockOrder from "./gallery/LockOrder.ts"
import * as LostUpdate from "./gallery/LostUpdate.ts"
import * as LostWakeUp from "./gallery/LostWakeUp.ts"
import * as LruOverflow from "./gallery/LruOverflow.ts"
import * as MissedSignal from "./gallery/MissedSignal.ts"
import * as OrphanFiber from "./gallery/OrphanFiber.ts"
import * as PermitLeak from "./gallery/PermitLeak.ts"
import * as PublishBeforePersist from "./gallery/PublishBeforePersist.ts"
import * as StaleCache from "./gallery/StaleCache.ts"
import * as Starvation from "./gallery/Starvation.ts"
import * as SwallowedCancellation from "./gallery/SwallowedCancellation.ts"
import * as TimeoutRace from "./gallery/TimeoutRace.ts"
import * as UnboundedQueue from "./gallery/UnboundedQueue.ts"

const schedules = process.env["SKEIN_DEEP"] ? 20_000 : 2_000
/** Of a program that has no bug, each of them is played. */
const schedulesOfTwin = process.env["SKEIN_DEEP"] ? 20_000 : 500

type Program = Effect.Effect<unknown, unknown>
type Check = (run: Sim.Run<unknown, unknown>) => Effect.Effect<unknown, unknown>

/** How the kit looks for a bug, and what it holds each run to. */
interface Tool {
  readonly search: (program: Program) => Effect.Effect<unknown, Sim.BugFound | Sim.OutsideNondeterminism>
  readonly check: Check
  readonly stop?: "interrupt" | "kill"
  readonly late?: Sim.ExploreOptions<unknown, unknown>["late"]
}

const succeeds: Check = ({ exit }) => exit

const order: Tool = { check: succeeds, search: (program) => Sim.explore(program, { schedules }) }

/** As many schedules as there are by default. */
const fewOrders = (late?: Tool["late"]): Tool => ({
  check: succeeds,
  late,
  search: (program) => Sim.explore(program, { late })
})

const leaks: Tool = { check: Leaks.check, search: (program) => Leaks.none(program, { schedules }) }

const interruption: Tool = { check: Leaks.check, stop: "interrupt", search: (program) => Interrupt.everywhere(program) }

const kill = (check: Check): Tool => ({
  check,
  stop: "kill",
  search: (program) => Kill.everywhere(program, { check })
})

interface Entry {
  readonly bug: { readonly broken: Program; readonly fixed: Program }
  readonly tool: Tool
  /** Part of what is said of it. */
  readonly why: string
  /** The columns of the table. */
  readonly fibers: ReadonlyArray<string>
}

const gallery: Record<string, Entry> = {
  "lost update": {
    bug: LostUpdate,
    tool: order,
    why: "130 should be there, but it is 1",
    fibers: ["main", "alice", "bob"]
  },
  "lock order": {
    bug: LockOrder,
    tool: order,
    why: "back waits for permits of a Semaphore",
    fibers: ["main", "out", "back"]
  },
  "lost wake-up": {
    bug: LostWakeUp,
    tool: order,
    why: "reader waits for a Latch",
    fibers: ["main", "reader", "postman"]
  },
  "check-then-act": {
    bug: CheckThenAct,
    tool: order,
    why: "one seat has been sold",
    fibers: ["main", "ann", "ben"]
  },
  "permit leak": {
    bug: PermitLeak,
    tool: interruption,
    why: "1 × permit of a semaphore is not given back",
    fibers: ["job"]
  },
  "double release": {
    bug: DoubleRelease,
    tool: order,
    why: "two work where there is room for one",
    fibers: ["main", "unwanted", "second", "third"]
  },
  "orphan fiber": {
    bug: OrphanFiber,
    tool: leaks,
    why: 'the fiber "heartbeat" is alive',
    fibers: ["main", "heartbeat"]
  },
  "cleanup skipped": {
    bug: CleanupSkipped,
    tool: interruption,
    why: "1 × temporary file is not given back",
    fibers: ["report"]
  },
  "cancellation swallowed by a promise": {
    bug: SwallowedCancellation,
    tool: order,
    why: "charged after the cancellation was confirmed",
    fibers: ["main", "payment"]
  },
  "unbounded queue": {
    bug: UnboundedQueue,
    tool: order,
    why: "9 messages wait, where memory is for 8",
    fibers: ["main", "writer"]
  },
  "timeout race that drops a resource": {
    bug: TimeoutRace,
    tool: leaks,
    why: "1 × connection is not given back",
    fibers: ["main", "pool", "user"]
  },
  starvation: {
    bug: Starvation,
    tool: order,
    why: "the visitor has waited for 40 ms",
    fibers: ["main", "worker", "visitor"]
  },
  "stale cache": {
    bug: StaleCache,
    tool: order,
    why: "the cache says what the database no longer does",
    fibers: ["main", "reader", "writer"]
  },
  "initialised twice": {
    bug: DoubleInit,
    tool: order,
    why: "2 clients were made for one server",
    fibers: ["main", "first", "second"]
  },
  "signal missed before subscribing": {
    bug: MissedSignal,
    tool: order,
    why: "reader waits for a message of a PubSub",
    fibers: ["main", "reader"]
  },
  "overflow of a cache, by loads that take different times": {
    bug: LruOverflow.distinct,
    tool: fewOrders("20 millis"),
    why: "3 entries, where room is for 2",
    fibers: ["main", "ann", "ben"]
  },
  "overflow of a cache, by loads that begin at different times": {
    bug: LruOverflow.apart,
    tool: fewOrders("20 millis"),
    why: "3 entries, where room is for 2",
    fibers: ["main", "ann", "ben"]
  },
  "overflow of a cache, by loads of drawn latencies": {
    bug: LruOverflow.latencies,
    tool: fewOrders(),
    why: "3 entries, where room is for 2",
    fibers: ["main", "ann", "ben"]
  },
  "retry without idempotence": {
    bug: BlindRetry,
    tool: order,
    why: "one order was paid 2 times",
    fibers: ["client"]
  },
  "published before stored": {
    bug: PublishBeforePersist,
    tool: kill(PublishBeforePersist.check),
    why: "stored or confirmed, but not both: order 1",
    fibers: ["shop"]
  }
}

const replayed = (program: Program, token: string, check: Check) => Effect.flatMap(Sim.replay(program, token), check)

describe.each(Object.entries(gallery))("%s", (_, { bug, fibers, tool, why }) => {
  it.effect("stays hidden in the natural order", () =>
    Effect.gen(function* () {
      const run = yield* Sim.run(bug.broken)
      assert.isTrue(Exit.isSuccess(run.exit))
      yield* tool.check(run)
    })
  )

  it.effect("is found, told, made small, and replayed by its token", () =>
    Effect.gen(function* () {
      const found = yield* Effect.flip(tool.search(bug.broken))
      assert.instanceOf(found, Sim.BugFound)
      assert.isAtMost(found.schedule, 2_000)
      assert.include(found.message, why)
      assert.include(found.message, found.token)
      assert.includeMembers(found.table.split("\n")[0]!.trim().split(/ {2,}/), [...fibers])
      assert.isAtMost(found.shrunk, found.choices)
      assert.isAtMost(found.shrunk, 12)

      assert.deepStrictEqual(yield* Effect.flip(replayed(bug.broken, found.token, tool.check)), found.cause)
      yield* replayed(bug.fixed, found.token, tool.check)
    })
  )

  it.effect(
    "is not in its corrected twin",
    () =>
      Effect.gen(function* () {
        const { check, late, stop } = tool
        const explored = yield* Sim.explore(bug.fixed, { schedules: schedulesOfTwin, check, late, stop })
        assert.strictEqual(explored.schedules, schedulesOfTwin)
        if (stop !== undefined) yield* tool.search(bug.fixed)
      }),
    60_000
  )
})
