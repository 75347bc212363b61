/** Why a server could not begin. */
import * as Schema from "effect/Schema"

/** Nothing is served: the address could not be listened on. */
export class ServeError extends Schema.TaggedError<ServeError>()("ServeError", {
  host: Schema.String,
  port: Schema.Number,
  /** What the system says. */
  detail: Schema.String
}) {
  override get message(): string {
    const { detail, host, port } = this
    return `Could not listen on ${host}, port ${port}: ${detail}. Give another host or port; port 0 takes one that is free.`
  }
}
