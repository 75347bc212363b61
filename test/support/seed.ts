/**
 * Random programs are the same ones in each run, so that who breaks one is who sees it. `SKEIN_SEED=any-text` takes others, and deep
 * tests others each time.
 */
import * as Arbitrary from "effect/Arbitrary"

const { SKEIN_DEEP, SKEIN_SEED } = process.env
const seed = SKEIN_SEED ?? (SKEIN_DEEP === undefined ? "skein" : undefined)
if (seed !== undefined) Arbitrary.configureGlobal({ check: { seed } })
