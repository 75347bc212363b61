/** Names of folders that come from data: kept inside of their root on every system, or refused. */
import { Refusal } from "../Format.ts"

const fix = "Give other names in `partition`, as by replacing what is not a letter or a digit."

/** The folder of an element, by its parts, or why it cannot be one. */
export const folderName = (given: unknown): ReadonlyArray<string> | Refusal => {
  if (typeof given !== "string") return new Refusal(`\`partition\` gave ${typeof given} for it, and no text`, fix)
  const refuse = (reason: string) => new Refusal(`its folder ${shown(given)} ${reason}`, fix)
  if (given === "") return new Refusal("`partition` gave an empty text for it", fix)
  if (/^[/\\]|^[a-z]:/i.test(given)) return refuse("is an absolute path")
  if (!given.isWellFormed()) return refuse("has half of a character in it")
  const parts = given.split("/")
  for (const part of parts) {
    const wrong = wrongWith(part)
    if (wrong !== undefined) return refuse(wrong)
  }
  return given.length > 1024 ? refuse("is longer than 1,024 characters") : parts
}

const wrongWith = (part: string): string | undefined => {
  if (part === "") return "has an empty part"
  if (part === "." || part === "..") return `has a \`${part}\` in it`
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(part)) return "has a control character in it"
  if (part.includes("\\")) return "has a `\\` in it, which parts folders on some systems"
  if (part.startsWith(".")) return "has a part that begins with a dot, which hides it"
  if (/[. ]$/.test(part)) return "has a part that ends in a dot or a space, which some systems leave out"
  if (/^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\.|$)/i.test(part))
    return "has a part that names a device on some systems"
  return new TextEncoder().encode(part).length > 255 ? "has a part of more than 255 bytes" : undefined
}

/** What is one folder on systems that do not tell case, or ways to write a letter, apart. */
export const folded = (folder: string): string => folder.normalize("NFKC").toLowerCase()

export const shown = (folder: string): string => JSON.stringify(folder.length > 80 ? `${folder.slice(0, 80)}…` : folder)
