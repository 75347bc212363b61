/** Pipelines that flow into one, as data; those that cannot are refused. */
import { type Branch, isMeeting, type Meeting, type Step, stepsOf } from "../Step.ts"

/** Steps that have no name of their own are called by their place in the whole. */
export const meetingOf = (tag: Meeting["_tag"], branches: ReadonlyArray<Branch>): Meeting => {
  const inputs: Array<Branch> = []
  let before = 0
  for (const branch of branches) {
    if (tag === "Zip") checkPairs(branch)
    inputs.push(numbered(branch, before, 0))
    before += stepsOf(branch).length
  }
  return { _tag: tag, inputs, resumable: inputs.every(({ source }) => source.resumable) }
}

/** The branch behind so many other steps; `within` is how many of its own tree come before it there. */
const numbered = ({ source, steps }: Branch, before: number, within: number): Branch => {
  const inputs: Array<Branch> = []
  let place = within
  if (isMeeting(source)) {
    for (const input of source.inputs) {
      inputs.push(numbered(input, before, place))
      place += stepsOf(input).length
    }
  }
  return {
    source: isMeeting(source) ? { ...source, inputs } : source,
    steps: steps.map((step, i) => {
      const own = place + i + 1
      return step.name === nameAt(step, own) ? { ...step, name: nameAt(step, before + own) } : step
    })
  }
}

const nameAt = (step: Step, place: number): string =>
  `${step._tag === "Each" ? step.kind : step._tag.toLowerCase()}-${place}`

/** What is paired has to come in one and the same order in every run, and nothing of it may come later. */
const checkPairs = (branch: Branch): void => {
  const refuse = (what: string, why: string) =>
    new RangeError(`Pipeline.zip cannot pair what comes out of ${what}: ${why}`)
  if (hasMerge(branch))
    throw refuse("a merge", "its elements come in no order of their own. Zip first, and merge what that gives")
  for (const step of stepsOf(branch)) {
    if (!("onError" in step)) continue
    const { key, name, onError, order } = step
    if (typeof onError !== "string") {
      throw refuse(
        `step "${name}"`,
        "what is replayed of its dead letters would find its partner gone. Keep dead letters behind the zip"
      )
    }
    if (order === "completion" || key !== undefined) {
      throw refuse(
        `step "${name}"`,
        'its results do not keep the order of their inputs. Leave out key, and order: "completion"'
      )
    }
  }
}

const hasMerge = ({ source }: Branch): boolean =>
  isMeeting(source) && (source._tag === "Merge" || source.inputs.some(hasMerge))
