/** How often an element reaches the sink when runs are interrupted and resumed; see `docs/guarantees.md`. */
import type { NoPosition } from "./Source.ts"

/** What a sink can promise when its source can be resumed. */
export type Guarantee = "exactly-once" | "effectively-once" | "at-least-once"

/** What a job can promise. */
export type Delivery = Guarantee | "at-most-once"

/** From weakest to strongest. */
export const ranks: readonly ["at-least-once", "effectively-once", "exactly-once"] = [
  "at-least-once",
  "effectively-once",
  "exactly-once"
]

/** What source and sink can promise together: nothing more than the sink, and little without positions. */
export type Meet<P, G extends Guarantee> = [Extract<P, NoPosition>] extends [never] ? G : "at-most-once"

/** The guarantee of several sinks together is that of the weakest. */
export type Weakest<G extends Guarantee> = "at-least-once" extends G
  ? "at-least-once"
  : "effectively-once" extends G
    ? "effectively-once"
    : "exactly-once"

/** The guarantees that a job with guarantee `G` satisfies: its own and all weaker ones. */
export type AtMost<G extends Delivery> = G extends "exactly-once"
  ? Delivery
  : G extends "effectively-once"
    ? Exclude<Delivery, "exactly-once">
    : G extends "at-least-once"
      ? "at-least-once" | "at-most-once"
      : "at-most-once"

/** `Q` where a job with guarantee `G` satisfies it, else what the compiler says: why not, and what to do. */
export type Satisfied<Q extends Delivery, G extends Delivery> =
  Q extends AtMost<G>
    ? Q
    : G extends "effectively-once"
      ? "This job is effectively-once: for exactly-once, write to nothing but tables, as Db.table does"
      : G extends "at-least-once"
        ? "This job is at-least-once: for more, write to tables (Db.table, exactly-once) or files (Files.jsonl, effectively-once)"
        : "This job is at-most-once: for more, read from a source with positions, such as Source.list or Files.lines"

/** The same, to be read where the job is there: what keeps a guarantee from being stronger. */
export const whyNoMore: { readonly [G in Exclude<Delivery, "exactly-once">]: Satisfied<"exactly-once", G> } = {
  "effectively-once": "This job is effectively-once: for exactly-once, write to nothing but tables, as Db.table does",
  "at-least-once":
    "This job is at-least-once: for more, write to tables (Db.table, exactly-once) or files (Files.jsonl, effectively-once)",
  "at-most-once":
    "This job is at-most-once: for more, read from a source with positions, such as Source.list or Files.lines"
}
