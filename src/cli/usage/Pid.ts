/** Which process is meant. */
import * as Argument from "effect/cli/Argument"
import * as Option from "effect/Option"

export const argument: Argument.Argument<Option.Option<number>> = Argument.String("pid").pipe(
  Argument.filterMap(
    (text) => (/^[1-9]\d{0,9}$/.test(text) ? Option.some(Number(text)) : Option.none()),
    () => "the number of a process, as `skein ps` lists them"
  ),
  Argument.withDescription("The number of the process; not needed where there is only one"),
  Argument.optional
)
