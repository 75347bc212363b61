/**
 * Fetches 171,075 places, page by page, from an API that limits, fails and is slow, and writes each of them once into a
 * database and a file. Stop it with Ctrl-C and run it again: it goes on where it was.
 *
 *     npm start                              all of it
 *     npm start -- --crash 5                 the same, killed five times at random moments, and the proof that nothing was lost or doubled
 *     npm start -- --db postgres://host/db   either, into the table `places` of a PostgreSQL; the password is in PGPASSWORD
 */
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as FileSystem from "effect/FileSystem"
import * as Schema from "effect/Schema"
import { Db, Fetch, Files, Pipeline, Sink, Source } from "skein"
import { Main } from "skein/node"
import { parseArgs } from "node:util"
import { Page, Place, Size } from "./cities/place.ts"
import * as Processes from "./cities/processes.ts"
import * as Proof from "./cities/proof.ts"
import * as Show from "./cities/show.ts"

const { values: options } = parseArgs({
  options: {
    db: { type: "string", default: "out/cities.db" },
    crash: { type: "string" },
    /** Of an API that is there already, for the processes that `--crash` kills. */
    api: { type: "string" }
  }
})

const file = "out/cities.jsonl"
const Database = Db.open(options.db)

const getPage = Fetch.json(Page)

/** The job: pages → places → database and file. */
const job = (api: string, pages: number) =>
  Pipeline.from(
    Source.list(
      Array.from({ length: pages }, (_, i) => i + 1),
      { name: "pages" }
    )
  ).pipe(
    Pipeline.map((page) => getPage(`${api}/places?page=${page}`), {
      name: "fetch",
      concurrency: 16,
      onError: { deadLetter: Schema.Int, maxDead: 10 }
    }),
    Pipeline.flatMap((page) => page.places),
    Pipeline.to(
      Sink.all(Db.table("places", Place, { existing: "replace" }), Files.jsonl(file, Place, { existing: "replace" }))
    )
  )

const run = (api: string) =>
  Effect.gen(function* () {
    const { pages } = yield* Fetch.json(Size)(`${api}/pages`)
    yield* Console.log(`Fetching ${pages} pages from ${api}`)
    const summary = yield* Pipeline.run(job(api, pages), {
      name: "cities",
      require: "effectively-once",
      onFinished: "restart",
      progress: { interval: "500 millis", on: Show.progress }
    })
    yield* Show.summary(summary)
    if (summary.outcome === "done") yield* Show.countries
  }).pipe(Effect.provide([Fetch.layer({ retries: 8, timeout: "10 seconds", perHost: 16 }), Database]))

/** Kills the job again and again on its way, lets it finish, and counts. */
const crash = (api: string, times: number) =>
  Effect.gen(function* () {
    const args = ["--api", api, "--db", options.db]
    for (let kills = 0; kills < times;) {
      if (yield* Processes.killOnTheWay(kills + 1, args)) kills++
    }
    yield* Processes.runToTheEnd(args)
    yield* Effect.provide(Proof.show(file), Database)
  })

const program = Effect.gen(function* () {
  const files = yield* FileSystem.FileSystem
  yield* files.makeDirectory("out", { recursive: true })
  if (options.api !== undefined) return yield* run(options.api)
  const api = yield* Processes.server
  return yield* options.crash === undefined ? run(api) : crash(api, Number(options.crash))
})

Main.run(Effect.scoped(program))
