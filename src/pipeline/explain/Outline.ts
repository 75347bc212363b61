/** A job as boxes and arrows, from what the engine itself makes of it. */
import { grouped, type Neighbours } from "../flow/Flow.ts"
import { type Delivery, ranks, whyNoMore } from "../Guarantee.ts"
import { boundsOf } from "../run/Bounds.ts"
import { keeps, keepsLetters } from "../run/Place.ts"
import type { Description } from "../run/Running.ts"
import type { RunOptions } from "../Run.ts"
import type { Source } from "../Source.ts"
import { type Branch, isMeeting, type Meeting, sourcesOf } from "../Step.ts"
import * as Words from "./Words.ts"

export interface Box {
  readonly id: string
  readonly kind: "from" | "step" | "meet" | "to" | "dead" | "keeps" | "gives"
  readonly name: string
  /** What there is to say of it, a phrase each. */
  readonly notes: ReadonlyArray<string>
}

export interface Arrow {
  readonly from: string
  readonly to: string
  /** Of what goes aside, or is only said of it. */
  readonly label?: string
}

export interface Outline {
  readonly boxes: ReadonlyArray<Box>
  readonly arrows: ReadonlyArray<Arrow>
}

export const outline = (job: Description, options: Partial<RunOptions<unknown>>): Outline => {
  const boxes: Array<Box> = []
  const arrows: Array<Arrow> = []
  const add = (kind: Box["kind"], name: string, notes: ReadonlyArray<string>): string => {
    const id = `${kind}${boxes.length + 1}`
    boxes.push({ id, kind, name, notes })
    return id
  }
  const keeping: Array<string> = []

  /** Gives the last of its boxes, behind which there is more. */
  const flow = ({ source, steps }: Branch, more: ReadonlyArray<string>): string => {
    let last = isMeeting(source) ? meet(source, more) : add("from", source.name, [position(source), ...more])
    for (const group of grouped(steps)) {
      const id = add("step", group.map(({ name }) => name).join(" + "), notesOf(group))
      if (group.some(keepsLetters)) keeping.push(id)
      arrows.push({ from: last, to: id })
      last = id
    }
    return last
  }
  const meet = ({ _tag, inputs }: Meeting, more: ReadonlyArray<string>): string => {
    const lasts = inputs.map((input) => flow(input, []))
    const { name, note } = meetings[_tag]
    const id = add("meet", name, [note, ...more])
    for (const last of lasts) arrows.push({ from: last, to: id })
    return id
  }
  const last = flow(job, [window(options)])
  const sinks = (job.sink.members ?? [job.sink]).map((sink) => {
    const id = add("to", sink.name, [sink.guarantee, ...writing(job, options)])
    arrows.push({ from: last, to: id })
    if (typeof job.sinkStep.onError !== "string") keeping.push(id)
    return id
  })
  if (keeping.length > 0) {
    const dead = add("dead", "dead letters", [`kept with the place of the run; Pipeline.replay runs them again`])
    for (const id of keeping) arrows.push({ from: id, to: dead, label: "fails on" })
  }
  const place = add("keeps", keeps(job) ? "its place" : "nothing", [placeOf(job)])
  const guarantee = add("gives", job.guarantee, why(job))
  for (const id of sinks) arrows.push({ from: id, to: guarantee, label: "gives" })
  arrows.push({ from: guarantee, to: place, label: "keeps" })
  return { boxes, arrows }
}

const meetings: { readonly [Tag in Meeting["_tag"]]: { readonly name: string; readonly note: string } } = {
  Merge: { name: "merge", note: "elements of all of these, as they come" },
  Zip: { name: "zip", note: "pairs of elements of these, in order; it ends with the shorter one" }
}

const notesOf = (steps: Neighbours): ReadonlyArray<string> => {
  const [first] = steps
  return [
    ...(first._tag === "Each" ? [Words.workers(first)] : []),
    ...(steps.length === 1 ? Words.step(first) : steps.map((step) => `${step.name}: ${Words.step(step).join("; ")}`))
  ]
}

const position = (source: Source<unknown, unknown, unknown, unknown>): string => {
  if (!source.resumable) return "without positions: every run reads it from its beginning"
  return source.account === undefined
    ? "with positions: a run goes on behind what is settled"
    : "keeps account of its elements: a run takes those that are not done"
}

const window = (options: Partial<RunOptions<unknown>>): string => {
  const { window } = boundsOf(options)
  const more = options.window?.items === undefined ? ", or two batches where the sink prefers larger ones" : ""
  return `at most ${Words.count(window.items, "element")} and ${Words.bytes(window.bytes)} are open at once${more}`
}

const writing = ({ sinkStep }: Description, options: Partial<RunOptions<unknown>>): ReadonlyArray<string> => [
  `at most ${Words.count(boundsOf(options).maxRows, "element")} a write${options.maxRows === undefined ? ", or what it prefers" : ""}`,
  ...(options.commitEvery === undefined
    ? []
    : [`a commit every ${Words.time(options.commitEvery)}, or once half a window is ready, or it is full`]),
  ...(sinkStep.retry === undefined ? [] : [Words.retry(sinkStep.retry)]),
  Words.failing(sinkStep)
]

const placeOf = (job: Description): string => {
  const { sink } = job
  const members = sink.members ?? [sink]
  const tables = members.filter(({ guarantee }) => guarantee === "exactly-once").map(({ name }) => name)
  if (tables.length > 0) return `in the database of ${tables.join(" and ")}, in the transactions that write its rows`
  if (sink.home !== undefined) {
    const homes = members.filter(({ home }) => home !== undefined).map(({ name }) => name)
    return `in the journal of the program, or in one beside ${homes[0] ?? sink.name} where it gives none`
  }
  return keeps(job)
    ? "in the journal of the program: Files.journal, or that of a database; Journal.memory is gone with the process"
    : "there is no place to go on from and nothing else to keep, so that it needs no journal"
}

const meaning: { readonly [G in Delivery]: string } = {
  "exactly-once": "nothing is lost and nothing is there twice, however often a run is killed and goes on",
  "effectively-once": "nothing is lost, and nothing is there twice once the next run has opened the sink",
  "at-least-once": "nothing is lost; what was open when a run was killed may be written once more",
  "at-most-once": "a run that is killed is not gone on with"
}

const why = (job: Description): ReadonlyArray<string> => {
  const { guarantee, sink } = job
  const outside = job.source.resumable
    ? ["what steps do to others may be done again: Pipeline.idempotencyKey is the same then"]
    : []
  if (guarantee === "exactly-once") return [meaning[guarantee], ...outside]
  const weakest = (sink.members ?? [sink]).filter((one) => one.guarantee === ranks.find((rank) => rank === guarantee))
  const names = weakest.map(({ name }) => name).join(" and ")
  const because = {
    "effectively-once": `${names}: what was not committed is undone when it is opened again, and not in a transaction`,
    "at-least-once": `${names}: what it has done is not undone after a crash`,
    "at-most-once": sourcesOf(job)
      .filter(({ resumable }) => !resumable)
      .map(({ name }) => `${name}: it has no positions`)
      .join("; ")
  }[guarantee]
  return [meaning[guarantee], `not more because of ${because}`, whyNoMore[guarantee], ...outside]
}
