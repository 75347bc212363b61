/** The name of a pipeline, which names files too, and so may not be everything. */
import * as Flag from "effect/cli/Flag"
import * as Effect from "effect/Effect"
import type * as FileSystem from "effect/FileSystem"
import * as Path from "effect/Path"
import { createHash } from "node:crypto"
import { CommandError } from "./CommandError.ts"
import * as Paths from "./Paths.ts"

export const rule = "letters, digits, dots, dashes and underscores, at most 100, the first a letter or a digit"

export const isName = (text: string): boolean => /^[a-z0-9][\w.-]{0,99}$/i.test(text)

export const flag: Flag.Flag<string> = Paths.text("name").pipe(
  Flag.withMetavar("<name>"),
  Flag.filter(isName, () => rule)
)

export const check = (text: string): Effect.Effect<string, CommandError> =>
  isName(text)
    ? Effect.succeed(text)
    : Effect.fail(new CommandError(`${JSON.stringify(text)} cannot be the name of a pipeline here. Use ${rule}.`))

/** From the path of a file in the working folder, so that two files have two names; elsewhere with a hash of its path. */
export const ofFile = (file: string): Effect.Effect<string, never, FileSystem.FileSystem | Path.Path> =>
  Effect.gen(function* () {
    const path = yield* Path.Path
    const whole = path.resolve(file)
    const folder = yield* Paths.real(path.dirname(whole))
    const relative = path.relative(yield* Paths.real("."), path.join(folder, path.basename(whole)))
    const outside = path.isAbsolute(relative) || relative.split(path.sep)[0] === ".."
    const name = asName(outside ? path.basename(whole) : relative)
    if (!outside && name !== "" && name.length <= 100) return name
    return hashed(name, yield* Paths.real(file))
  })

/** From the URL of a database that is no file. */
export const ofServer = (url: string): string => {
  const parsed = URL.parse(url)
  // Said or not, it is the port that PostgreSQL has.
  const place = `${(parsed?.host ?? "").replace(/:5432$/, "")}${parsed?.pathname ?? ""}`
  return hashed(asName(place.split("/").at(-1) ?? ""), place)
}

/** As version 0.1 named what was given no name: two files of one base name had the same. */
export const ofBase = (path: string): string => {
  const name = asName(path.split(/[/\\]/).at(-1) ?? "").slice(0, 100)
  return name === "" ? "fetch" : name
}

const asName = (path: string): string =>
  path
    .replace(/\.[^./\\]*$/, "")
    .replaceAll(/[^\w.-]+/g, "-")
    .replace(/^[^a-z0-9]+/i, "")

const hashed = (name: string, path: string): string => {
  const hash = createHash("sha256").update(path).digest("hex").slice(0, 8)
  return `${name === "" ? "fetch" : name.slice(0, 90)}-${hash}`
}
