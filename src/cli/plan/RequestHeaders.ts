/** Headers as a command line gives them: `Name: value`, or `@file` with one a line, so that secrets stay out of it. */
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Secrets from "../../concurrency/base/Secrets.ts"
import * as ErrorText from "../../concurrency/base/ErrorText.ts"
import type * as Main from "../../node/Main.ts"
import { CommandError } from "../usage/CommandError.ts"

/** As it is remembered: what is secret by its name, without its value. */
export const kept = (text: string): string => {
  const header = parse(text)
  return header !== undefined && Secrets.isSecret(header.name) ? `${header.name}: ${Secrets.mark}` : text
}

/** Whether it can be a header, or the name of a file. */
export const isHeader = (text: string): boolean => /^@./.test(text) || parse(text) !== undefined

export const read = (
  given: ReadonlyArray<string>
): Effect.Effect<Readonly<Record<string, string>>, CommandError, Main.Services> =>
  Effect.gen(function* () {
    const headers: Record<string, string> = {}
    for (const text of given) {
      const lines = text.startsWith("@") ? yield* linesOf(text.slice(1)) : [text]
      for (const line of lines) {
        const header = parse(line)
        if (header === undefined) {
          return yield* Effect.fail(
            new CommandError(`${text.slice(1)} has a line that is no header, as in "Name: value".`)
          )
        }
        if (header.value === Secrets.mark) {
          const why = `The value of --header ${header.name} was not kept, as it is secret`
          const fix = `Write it into a file as "${header.name}: value", run the same command again with --header @FILE, and then this`
          return yield* Effect.fail(new CommandError(`${why}. ${fix}.`))
        }
        headers[header.name.toLowerCase()] = header.value
      }
    }
    return headers
  })

const linesOf = (file: string): Effect.Effect<ReadonlyArray<string>, CommandError, Main.Services> =>
  Effect.gen(function* () {
    const fs = yield* FileSystem.FileSystem
    const text = yield* Effect.mapError(
      fs.readFileString(file),
      (error) => new CommandError(`Could not read the headers from ${file}: ${ErrorText.of(error)}.`)
    )
    return text.split("\n").filter((line) => line.trim() !== "")
  })

const parse = (text: string): { readonly name: string; readonly value: string } | undefined => {
  const [, name, value] = /^([!#$%&'*+.^_`|~\w-]+):[ \t]*([^\r\n\0]*?)\s*$/.exec(text) ?? []
  return name === undefined || value === undefined ? undefined : { name, value }
}
