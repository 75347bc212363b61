/** What looking at a program can fail with. */
import * as Schema from "effect/Schema"

/** No run of that name lives in this process. */
export class NoSuchRun extends Schema.TaggedError<NoSuchRun>()("NoSuchRun", {
  run: Schema.String,
  /** Those that do. */
  runs: Schema.Array(Schema.String)
}) {
  override get message(): string {
    const others = this.runs.length === 0 ? "none does" : `these do: ${this.runs.join(", ")}`
    return `No run "${this.run}" lives in this process; ${others}`
  }
}
