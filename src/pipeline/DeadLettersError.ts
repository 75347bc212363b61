/** What ends the import of dead letters besides the errors of its journal and of what is read. */
import * as Schema from "effect/Schema"

/** Lines that are no dead letters. Nothing of the text was imported. */
export class BadLines extends Schema.TaggedError<BadLines>()("BadLines", {
  pipeline: Schema.String,
  /** The first of them, by their numbers, which begin with 1. */
  lines: Schema.Array(Schema.Struct({ line: Schema.Number, reason: Schema.String })),
  /** How many there are. */
  count: Schema.Number
}) {
  override get message(): string {
    const { count, lines, pipeline } = this
    const named = lines.map(({ line, reason }) => `line ${line}: ${reason}`)
    if (count > lines.length) named.push(`and ${count - lines.length} more`)
    return (
      `Could not import dead letters of pipeline "${pipeline}": ${named.join("; ")}. Nothing was imported. ` +
      "Mend these lines or take them out, and import again"
    )
  }
}
