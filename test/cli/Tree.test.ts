/** A snapshot as `skein tree` prints it. */
import { expect, it } from "vitest"
import type { GroupView, RunView, Snapshot, StepView, TaskView } from "../../src/inspect/context/Snapshot.ts"
import * as Tree from "../../src/cli/view/Tree.ts"

let ids = 0
const task = (name: string, fields: Partial<TaskView> = {}): TaskView => ({
  id: (ids += 1),
  name,
  kind: "task",
  parent: null,
  group: "server",
  state: "running",
  since: 1000,
  waitsFor: null,
  groups: [],
  work: null,
  places: [],
  ...fields
})
const group = (name: string, tasks: ReadonlyArray<TaskView>, fields: Partial<GroupView> = {}): GroupView => ({
  name,
  state: "open",
  tasks,
  ...fields
})
const snapshot = (fields: Partial<Snapshot>): Snapshot => ({
  formatVersion: 1,
  at: 4000,
  process: null,
  groups: [],
  orphans: [],
  runs: [],
  findings: [],
  history: { kept: 0, dropped: 0 },
  withoutPlaces: null,
  ...fields
})
const lines = (fields: Partial<Snapshot>, options: Partial<Tree.Options> = {}) =>
  Tree.lines(snapshot(fields), { depth: 20, limit: 30, ...options }).slice(1)
const times = <A>(n: number, make: (i: number) => A): ReadonlyArray<A> => Array.from({ length: n }, (_, i) => make(i))
const at = (line: number) => [{ file: "/srv/job.ts", line, column: 5 }]

it("a group has the state, wait and place of its body, and the groups that its body and its tasks have open", () => {
  const inner = group("inner", [task("deep")], { state: "cancelling" })
  const body = task("server", {
    kind: "body",
    waitsFor: 'the end of task "a"',
    places: at(3),
    groups: [group("own", [])]
  })
  expect(lines({ groups: [group("server", [body, task("a", { groups: [inner], state: "cancelling" })])] })).toEqual([
    'group server  waits for the end of task "a"  at /srv/job.ts:3:5',
    "├─ own",
    "└─ a  cancelling 3.0 s",
    "   └─ inner (cancelling)",
    "      └─ deep  3.0 s"
  ])
})

it("tasks that differ in numbers only are one line, with what is in the first of them", () => {
  const request = (i: number) =>
    task(`request ${i}`, {
      since: 1000 + i,
      waitsFor: `a row of shard ${i}`,
      groups: [
        group(
          `fan ${i}`,
          times(5, (j) => task(`part ${j}`))
        )
      ]
    })
  expect(lines({ groups: [group("server", [task("accept", { kind: "daemon" }), ...times(2000, request)])] })).toEqual([
    "group server",
    "├─ accept  daemon 3.0 s",
    "└─ 2,000 × request *  1.0 s to 3.0 s  waits for a row of shard *",
    "   └─ in request 0",
    "      └─ fan 0",
    "         └─ 5 × part *  3.0 s"
  ])
})

it("tasks at different places, in different states or with other things in them are apart", () => {
  const tasks = [
    ...times(3, (i) => task(`a${i}`, { places: at(1) })),
    ...times(3, (i) => task(`a${i}`, { places: at(2) })),
    ...times(3, (i) => task(`a${i}`, { state: "cancelling" })),
    ...times(2, (i) => task(`b${i}`))
  ]
  expect(lines({ groups: [group("server", tasks)] })).toEqual([
    "group server",
    "├─ 3 × a*  3.0 s  at /srv/job.ts:1:5",
    "├─ 3 × a*  3.0 s  at /srv/job.ts:2:5",
    "├─ 3 × a*  cancelling 3.0 s",
    "├─ b0  3.0 s",
    "└─ b1  3.0 s"
  ])
  // Where only some were looked at, the others are where these are.
  const some = times(10, (i) => task(`a${i}`, { places: i === 4 ? at(1) : [] }))
  expect(lines({ groups: [group("server", some)] })).toEqual(["group server", "└─ 10 × a*  3.0 s  at /srv/job.ts:1:5"])
})

it("what is left out by --depth and --limit is counted", () => {
  const names = ["ant", "bee", "cat", "dog", "elk"]
  const tasks = names.map((name) =>
    task(name, {
      groups: [
        group(
          "legs",
          times(4, (i) => task(`leg ${i}`))
        )
      ]
    })
  )
  const groups = [group("zoo", tasks), group("park", [task("tree")], { omitted: 7 })]
  expect(lines({ groups }, { depth: 1, limit: 2 })).toEqual([
    "group zoo",
    "├─ ant  3.0 s  … 4 tasks in it",
    "├─ bee  3.0 s  … 4 tasks in it",
    "└─ … and 3 more lines, of 15 tasks",
    "group park  … 7 tasks too deep to be told",
    "└─ tree  3.0 s"
  ])
  expect(lines({ groups }, { depth: 0, limit: 1 })).toEqual([
    "group zoo  … 25 tasks in it",
    "… and 1 more group, of 8 tasks"
  ])
})

it("findings come first, then runs with their steps; what is given up comes last", () => {
  const step: StepView = {
    name: "fetch",
    concurrency: 8,
    waiting: 3,
    working: 8,
    resting: 0,
    taken: 1200,
    given: 1100,
    retries: 1,
    skipped: 0,
    dead: 2,
    latency: { p50: 12, p99: 1500 }
  }
  const run: RunView = {
    name: "pages",
    partition: "eu",
    state: "running",
    steps: [step],
    settled: 1000,
    written: 900,
    dead: 2,
    inFlight: 11,
    lag: 40,
    rate: 50,
    elapsed: 20_000,
    eta: 90_000,
    commit: { at: 3500, rows: 20, took: 5, count: 3 },
    leaseUntil: 14_000
  }
  const seen: Partial<Snapshot> = {
    runs: [run],
    orphans: [{ name: "upload", from: "promise", since: 3000 }],
    findings: [{ kind: "deadlock", task: null, message: "a waits for b", advice: "let one go first", places: at(9) }],
    withoutPlaces: "nobody asked for them",
    groups: [group("server", [])]
  }
  expect(lines(seen)).toEqual([
    "! deadlock: a waits for b",
    "    let one go first",
    "    at /srv/job.ts:9:5",
    "run pages / eu: running, 1,000 done, 50/s, ETA 1m 30s, 11 in flight, lag 40, 2 dead, last commit 0.5 s ago: 20 rows in 5 ms, lease for 10 s",
    "└─ fetch: 8 of 8 working, 3 waiting, 1,200 taken, 1,100 given, p50 12 ms, p99 1.5 s, 1 retry, 2 dead",
    "group server",
    "orphan upload: given up by a promise 1.0 s ago",
    "no places in files: nobody asked for them"
  ])
})

it("nothing in it is obeyed by a terminal, or passes for a line of its own", () => {
  const bad = "a\u001B[2J\n└─ b\u202E"
  const all = lines({
    groups: [group(bad, [task(bad, { waitsFor: bad, places: [{ file: bad, line: 1, column: 1 }] })])],
    orphans: [{ name: bad, from: "group", since: 0 }],
    findings: [{ kind: "orphan", task: null, message: bad, advice: bad, places: [] }],
    withoutPlaces: bad
  })
  expect(all.length).toBe(6)
  // oxlint-disable-next-line no-control-regex -- what a terminal obeys
  expect(all.join("")).not.toMatch(/[\u0000-\u001F\u202E]/)
})
