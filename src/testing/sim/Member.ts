/** What a world knows of a fiber. */
import * as Context from "effect/Context"
import type * as Fiber from "effect/Fiber"
import * as Scope from "effect/Scope"
import type * as Tracer from "effect/Tracer"
import { CurrentTask } from "../../concurrency/base/TaskNode.ts"
import type { Ready, Runner } from "./Decider.ts"
import * as Operation from "./Operation.ts"

export class Member implements Runner {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly number: number
  /** The step in which it was first seen. */
  readonly born: number
  rank: number | undefined
  begun = false
  turn: Ready | undefined
  /** It has been preempted, and has not gone on since. */
  cut = false
  /** The first operation of its slice takes it back to where it was preempted. */
  resumes = false
  /** The operation of the slice before which the fiber has to make room; 0: none. */
  until = 0
  /** How many operations of the slice do not count. */
  free = 0
  /** Where among the choices it is kept after how many operations the slice was cut. */
  slot = 0
  /** The next operation is the yield that makes room: for the root, that before step 0. */
  makesRoom: boolean
  private name: string | undefined
  private readonly inherited: ReadonlyArray<string | undefined>
  private context: Context.Context<never> | undefined
  private waits: string | undefined
  /** What it has done in its slice. */
  doing: Array<string> = []

  constructor(fiber: Fiber.Fiber<unknown, unknown>, number: number, born: number) {
    this.fiber = fiber
    this.number = number
    this.born = born
    this.makesRoom = number === 0
    this.inherited = this.names()
  }

  get alive(): boolean {
    return this.fiber.pollUnsafe() === undefined
  }

  /** What it waits for, if it does: Skein knows best of its own tasks. */
  get waitsFor(): string | undefined {
    return this.fiber.getRef(CurrentTask)?.info.waitsFor ?? this.waits
  }

  /** Its turn begins. */
  begin(): void {
    this.waits = undefined
    this.doing = []
  }

  /** The scope it has come into, once for each. */
  newScope(): Scope.Scope | undefined {
    if (this.fiber.context === this.context) return undefined
    this.context = this.fiber.context
    return Context.getOrUndefined(this.context, Scope.Scope)
  }

  /** Notes an operation; gives what it waits for, if it does. */
  note(operation: Tracer.EffectPrimitive<unknown>): string | undefined {
    this.name ??= this.ownName()
    const wait = Operation.waitOf(operation)
    if (wait !== undefined) this.waits = wait
    const label = wait === undefined ? Operation.labelOf(operation) : `waits for ${wait}`
    if (label !== undefined && !(label === "yields" && this.makesRoom)) this.doing.push(label)
    if (label !== "yields") return wait
    this.makesRoom = false
    return "its turn"
  }

  /** The name of its task, of its span or of its `Effect.fn`, but not that of whoever started it. */
  private ownName(): string | undefined {
    const task = this.fiber.getRef(CurrentTask)
    if (task?.fiber === this.fiber) return task.name
    return this.names().find((name) => name !== undefined && !this.inherited.includes(name))
  }

  private names(): ReadonlyArray<string | undefined> {
    const { span, stackFrame } = this.fiber.cache
    return [span?._tag === "Span" ? span.name : undefined, stackFrame?.name]
  }

  toString(): string {
    return this.name ?? this.ownName() ?? (this.number === 0 ? "main" : `fiber ${this.number}`)
  }
}
