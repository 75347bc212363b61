/**
 * Schemas of the errors of structured concurrency, for whoever sends them somewhere else. The classes are none by themselves, so
 * that a browser loads Schema only where something is encoded; the errors of pipelines and of their ends are schemas as they are.
 */
import * as Schema from "effect/Schema"
import * as SchemaGetter from "effect/SchemaGetter"
import { ScopeCancelled } from "./concurrency/CancelError.ts"
import { DeadlineExceeded, DeadlineOver } from "./concurrency/DeadlineError.ts"
import { TooFewEffects } from "./concurrency/JoinerError.ts"
import { AlreadyHeld, TooManyPermits } from "./concurrency/LimiterError.ts"
import { OffloadError, PoolClosed, WorkerCrashed } from "./concurrency/OffloadError.ts"
import { TaskCancelled, TaskFailed, TurnDeadlock } from "./concurrency/TaskError.ts"
import { GroupCancelled, GroupClosed, NeverReady } from "./concurrency/TaskGroupError.ts"

export type ErrorClass =
  | typeof ScopeCancelled
  | typeof DeadlineExceeded
  | typeof DeadlineOver
  | typeof TooFewEffects
  | typeof TooManyPermits
  | typeof AlreadyHeld
  | typeof OffloadError
  | typeof WorkerCrashed
  | typeof PoolClosed
  | typeof TaskCancelled
  | typeof TurnDeadlock
  | typeof TaskFailed
  | typeof GroupClosed
  | typeof GroupCancelled
  | typeof NeverReady

type Fields<C extends ErrorClass> = ConstructorParameters<C>[0]

/** The fields of the error; what it came of, which may be anything, is JSON. */
export type Encoded<C extends ErrorClass> = { readonly _tag: InstanceType<C>["_tag"] } & {
  readonly [K in keyof Fields<C>]: unknown extends Fields<C>[K] ? Schema.Json : Fields<C>[K]
}

/**
 * The schema of an error of structured concurrency by its class: what it decodes are instances of that class.
 *
 * @example
 * ```ts
 * import * as Schema from "effect/Schema"
 * import { Deadline } from "skein"
 * import { schemaOf } from "skein/schemas"
 *
 * const codec = schemaOf(Deadline.DeadlineExceeded)
 * const sent = Schema.encodeSync(codec)(new Deadline.DeadlineExceeded({ deadline: "search", duration: 500 }))
 * sent // => { _tag: "DeadlineExceeded", deadline: "search", duration: 500 }
 *
 * const received = Schema.decodeSync(codec)(sent)
 * received instanceof Deadline.DeadlineExceeded // => true
 * received.message // => 'Deadline "search" exceeded: not done within 500ms, so it was cancelled'
 * ```
 */
export const schemaOf = <C extends ErrorClass>(type: C): Schema.Codec<InstanceType<C>, Encoded<C>> =>
  schemas.get(type) as Schema.Codec<InstanceType<C>, Encoded<C>>

const text = Schema.String
const number = Schema.Number
const maybe = Schema.optionalKey(Schema.String)
const cause = Schema.Defect()

const schema = <T extends { readonly _tag: string }, const F extends Schema.Struct.Fields>(
  type: new (fields: Schema.Struct.Type<F>) => T,
  tag: T["_tag"],
  fields: F
): readonly [unknown, unknown] => [
  type,
  Schema.TaggedStruct(tag, fields).pipe(
    Schema.decodeTo(Schema.instanceOf(type, { identifier: tag }), {
      // A struct of these fields, which the compiler cannot see while they are generic.
      decode: SchemaGetter.transform((decoded) => new type(decoded as Schema.Struct.Type<F>)),
      encode: SchemaGetter.passthrough({ strict: false })
    })
  )
]

const schemas = new Map([
  schema(ScopeCancelled, "ScopeCancelled", { scope: text, reason: text }),
  schema(DeadlineExceeded, "DeadlineExceeded", { deadline: maybe, duration: number, task: maybe }),
  schema(DeadlineOver, "DeadlineOver", { deadline: maybe, expired: Schema.Boolean }),
  schema(TooFewEffects, "TooFewEffects", { joiner: text, needed: number, given: number }),
  schema(TooManyPermits, "TooManyPermits", { asked: number, limit: number }),
  schema(AlreadyHeld, "AlreadyHeld", { task: text }),
  schema(OffloadError, "OffloadError", { job: text, cause }),
  schema(WorkerCrashed, "WorkerCrashed", { pool: text, job: maybe, cause }),
  schema(PoolClosed, "PoolClosed", { pool: text, job: text }),
  schema(TaskCancelled, "TaskCancelled", { task: text, reason: text }),
  schema(TurnDeadlock, "TurnDeadlock", { group: text, task: text }),
  schema(TaskFailed, "TaskFailed", { task: text, cause }),
  schema(GroupClosed, "GroupClosed", { group: text, task: text, state: text }),
  schema(GroupCancelled, "GroupCancelled", { group: text, reason: text }),
  schema(NeverReady, "NeverReady", { task: text })
])
