/** What the API of `server.ts` sends. */
import * as Schema from "effect/Schema"

export class Place extends Schema.Class<Place>("Place")({
  name: Schema.String,
  lat: Schema.Finite,
  lng: Schema.Finite,
  country: Schema.String,
  admin1: Schema.String,
  admin2: Schema.String
}) {}

export const Page = Schema.Struct({ page: Schema.Int, places: Schema.Array(Place) })

export const Size = Schema.Struct({ pages: Schema.Int, total: Schema.Int })
