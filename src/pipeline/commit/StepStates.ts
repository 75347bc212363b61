/** The states of steps that have one: what the checkpoint kept of them, and what the next one will. */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import type { Stand } from "../fate/Succession.ts"
import type { Checkpoint } from "../Journal.ts"
import { BadState, StepsChanged } from "../RunError.ts"
import type { Scan, Step } from "../Step.ts"

type Kept = NonNullable<Checkpoint["steps"]>

const Place = Schema.Struct({ state: Schema.Json, position: Schema.Json })
const decodePlace = Schema.decodeUnknownEffect(Place)

/** What is kept of a step that keeps keys: that there is one of its name. */
const keysOnly = "keys"

export class StepStates {
  /** How each step stands when the run begins. */
  readonly stands: ReadonlyMap<string, Stand>
  /** What is committed. */
  private kept: Kept
  private readonly pipeline: string
  private readonly scans: ReadonlyMap<string, Scan>

  private constructor(pipeline: string, steps: ReadonlyArray<Scan>, stands: ReadonlyMap<string, Stand>, kept: Kept) {
    this.pipeline = pipeline
    this.scans = new Map(steps.map((step) => [step.name, step]))
    this.stands = stands
    this.kept = kept
  }

  /** Fails where the checkpoint is of other steps, or of other states. */
  static open(
    pipeline: string,
    steps: ReadonlyArray<Step>,
    checkpoint: Checkpoint | undefined,
    onStepsChanged: "refuse" | "begin"
  ): Effect.Effect<StepStates, StepsChanged | BadState, unknown> {
    return Effect.gen(function* () {
      const before = checkpoint?.steps ?? {}
      const scans = steps.filter((step) => step._tag === "Scan")
      const names = steps.flatMap((step) => (step._tag === "Scan" || step._tag === "Unique" ? [step.name] : []))
      const differs = [
        ...names
          .filter((name) => checkpoint !== undefined && !Object.hasOwn(before, name))
          .map((name) => `its step "${name}" is new`),
        ...Object.keys(before)
          .filter((name) => !names.includes(name))
          .map((name) => `its step "${name}" is gone`)
      ]
      if (differs.length > 0 && onStepsChanged === "refuse")
        return yield* new StepsChanged({ pipeline, changes: differs })
      const stands = new Map<string, Stand>()
      const kept: Record<string, Schema.Json> = {}
      for (const { _tag, name } of steps) if (_tag === "Unique") kept[name] = keysOnly
      for (const step of scans) {
        const { name } = step
        const was = Object.hasOwn(before, name) ? before[name] : undefined
        const stand = was === undefined ? { state: step.initial, position: null } : yield* decoded(pipeline, step, was)
        stands.set(name, stand)
        kept[name] = was ?? (yield* encoded(pipeline, step, stand))
      }
      return new StepStates(pipeline, scans, stands, kept)
    })
  }

  /** What will be kept once what these say is settled; none where no step keeps anything. */
  next(stands: ReadonlyMap<string, Stand>): Effect.Effect<Kept | undefined, BadState, unknown> {
    const { kept, pipeline, scans } = this
    if (stands.size === 0) return Effect.succeed(Object.keys(kept).length === 0 ? undefined : kept)
    return Effect.map(
      Effect.forEach(stands, ([name, stand]) =>
        Effect.map(encoded(pipeline, scans.get(name)!, stand), (json) => [name, json] as const)
      ),
      (changed) => ({ ...kept, ...Object.fromEntries(changed) })
    )
  }

  settle(kept: Kept | undefined): void {
    if (kept !== undefined) this.kept = kept
  }
}

const encoded = (
  pipeline: string,
  step: Scan,
  { position, state }: Stand
): Effect.Effect<Schema.Json, BadState, unknown> =>
  Effect.mapBoth(
    Effect.suspend(() => Schema.encodeUnknownEffect(Schema.toCodecJson(step.state))(state)),
    {
      onFailure: (error) => new BadState({ pipeline, step: step.name, tried: "keep", reason: error.message }),
      onSuccess: (state): Schema.Json => ({ state: state as Schema.Json, position })
    }
  )

const decoded = (pipeline: string, step: Scan, was: Schema.Json): Effect.Effect<Stand, BadState, unknown> =>
  Effect.flatMap(decodePlace(was), ({ position, state }) =>
    Effect.map(Schema.decodeUnknownEffect(Schema.toCodecJson(step.state))(state), (state) => ({ state, position }))
  ).pipe(
    Effect.mapError((error) => new BadState({ pipeline, step: step.name, tried: "go on from", reason: error.message }))
  )
