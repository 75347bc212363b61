/**
 * The hidden files that stand beside another one while it is written, or longer: who writes to it, where a run of it stands, what
 * of it is not whole yet. All of them have their names from here, are short enough for any file system, and are never data.
 */
import { Checksum } from "../../concurrency/base/Checksum.ts"
import { folderOf, inFolder, nameOf } from "./TextFile.ts"

/** File systems take names of 255 bytes; what stands behind this much of one has room in that, for companions of companions too. */
const most = 150
/** How much of a longer name is kept, for people; a checksum tells it from others. */
const kept = 100

/** Where the companion of a file is that has this ending, as in `skein-part`. */
export const companion = (path: string, ending: string): string =>
  inFolder(folderOf(path), `.${fitted(nameOf(path))}.${ending}`)

/** A name that something can be put behind. */
export const fitted = (name: string): string => {
  if (bytesOf(name) <= most) return name
  let short = ""
  for (const character of name) {
    if (bytesOf(short + character) > kept) break
    short += character
  }
  return `${short}~${new Checksum().addText(name).text}`
}

const bytesOf = (text: string): number => new TextEncoder().encode(text).length

/** Whether a file of this name is a companion: where files are looked for by a pattern, it is none of them. */
export const isCompanion = (name: string): boolean =>
  /^\..+\.skein(\.[a-z0-9]+-[a-z0-9]+|-(part|journal|rows|new|files|note)(\..+)?)?$/s.test(name)
