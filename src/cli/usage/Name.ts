/** The name of a pipeline, which names files too, and so may not be everything. */
import * as Effect from "effect/Effect"
import { CommandError } from "./CommandError.ts"

export const rule = "letters, digits, dots, dashes and underscores, at most 100, the first a letter or a digit"

export const isName = (text: string): boolean => /^[a-z0-9][\w.-]{0,99}$/i.test(text)

/** The name of what is kept in a file or database, from its path. */
export const ofPath = (path: string): string => {
  const base = path.split(/[/\\]/).at(-1) ?? ""
  const name = base
    .replace(/\.[^.]*$/, "")
    .replaceAll(/[^\w.-]+/g, "-")
    .replace(/^[^a-z0-9]+/i, "")
    .slice(0, 100)
  return name === "" ? "fetch" : name
}

export const check = (text: string): Effect.Effect<string, CommandError> =>
  isName(text)
    ? Effect.succeed(text)
    : Effect.fail(new CommandError(`${JSON.stringify(text)} cannot be the name of a pipeline here. Use ${rule}.`))
