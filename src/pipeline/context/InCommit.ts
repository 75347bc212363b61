/** Whether what goes on is a commit of a pipeline: rows by the thousand, and a wait for the disk. */
import * as Context from "effect/Context"

/** A driver may run the transaction of a commit elsewhere than others: nothing in it depends on what the program has told its connection. */
export const InCommit: Context.Reference<boolean> = Context.Reference("skein/InCommit", { defaultValue: () => false })
