/** Where elements are read from or written to, if not one file under its path. */

/** Files that match a pattern; see `Files.glob`. */
export interface Glob {
  readonly _tag: "Glob"
  readonly pattern: string
  readonly root: string | undefined
}

/** What the program is given to read; see `Files.stdin`. */
export interface Stdin {
  readonly _tag: "Stdin"
}

/** What the program gives; see `Files.stdout`. */
export interface Stdout {
  readonly _tag: "Stdout"
}

/** Files that are read one after the other: as the list has them, or those of a glob by their names. */
export type Several = ReadonlyArray<string> | Glob

/** Where reading goes on in one of several files, or in one of those that had a name in turn. */
export type FilePosition = {
  /** Its path, as it was given or found; of a file that is followed, which one it is under whatever name. */
  readonly file: string
  /** How many of its bytes come before, when they are plain and in UTF-8. */
  readonly at: number
}
