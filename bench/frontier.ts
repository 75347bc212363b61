/** What does it cost to add items to a frontier, to do them, and to do work that makes work, beside the statements by hand? */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import { Db, type Journal, Pipeline, Sink, Source } from "skein"
import { Drivers } from "skein/node"
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"
import * as Server from "../test/support/postgres/Server.ts"
import { type Group, perSecond, scaled } from "./support/group.ts"
import { temporary } from "./support/temporary.ts"

const n = scaled(100_000)
/** As many as are held at once. */
const atOnce = 1000
const urlOf = (i: number) => `https://host-${i % 100}.example/page/${i}`
const urls = Array.from({ length: n }, (_, i) => urlOf(i))
/** Where an address leads: all are found from the first. */
const linksOf = (url: string): ReadonlyArray<string> => {
  const i = Number(url.slice(url.lastIndexOf("/") + 1))
  return [2 * i + 1, 2 * i + 2].filter((to) => to < n).map(urlOf)
}

/** By hand: a table, and statements that take items in the order in which they came. */
interface ByHand {
  readonly begin: () => Promise<unknown>
  readonly commit: () => Promise<unknown>
  readonly add: (urls: ReadonlyArray<string>) => Promise<unknown>
  readonly take: () => Promise<ReadonlyArray<string>>
  readonly settle: (urls: ReadonlyArray<string>) => Promise<unknown>
}

interface Kind {
  readonly database: string
  readonly layer: () => Layer.Layer<Db.Db | Journal.Journal, Db.DbError>
  readonly clear: () => Promise<unknown>
  readonly hand: () => Promise<ByHand>
  /** How many are done, of a table. */
  readonly done: (table: string) => Promise<number>
}

const table = `CREATE TABLE items (url text PRIMARY KEY, place bigint NOT NULL, owner text, done integer NOT NULL);
  CREATE INDEX items_free ON items (place) WHERE done = 0 AND owner IS NULL`
let place = 0

const folder = temporary("frontier")
const name = "frontier.db"
const file = folder.path(name)
let database: DatabaseSync | undefined
const sqlite: Kind = {
  database: "SQLite",
  layer: () => Db.open(file).pipe(Layer.provide(Drivers.layer)),
  clear: async () => {
    database?.close()
    database = undefined
    folder.remove(name, `${name}-wal`, `${name}-shm`)
  },
  hand: async () => {
    const db = (database = new DatabaseSync(file))
    db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = full; ${table}`)
    const insert = db.prepare("INSERT OR IGNORE INTO items VALUES (?, ?, NULL, 0)")
    const take = db.prepare(`UPDATE items SET owner = 'me' WHERE url IN (SELECT url FROM items
      WHERE done = 0 AND owner IS NULL ORDER BY place LIMIT ${atOnce}) RETURNING url`)
    const settle = db.prepare(`UPDATE items SET done = 1, owner = NULL WHERE owner = 'me'
      AND url IN (SELECT value FROM json_each(?))`)
    return {
      begin: async () => db.exec("BEGIN IMMEDIATE"),
      commit: async () => db.exec("COMMIT"),
      add: async (urls) => {
        for (const url of urls) insert.run(url, place++)
      },
      take: async () => take.all().map(({ url }) => String(url)),
      settle: async (urls) => settle.run(JSON.stringify(urls))
    }
  },
  done: async (table) => {
    const db = new DatabaseSync(file)
    const [row] = db.prepare(`SELECT count(*) AS n FROM ${table} WHERE done = 1`).all()
    db.close()
    return Number(row?.["n"])
  }
}

const given = process.env["DATABASE_URL"]
const server = given === undefined ? await Server.open() : undefined
const url = given ?? server!.url()
const client = new Client({ connectionString: url })
await client.connect()
const postgres: Kind = {
  database: "PostgreSQL",
  layer: () => Db.open(url).pipe(Layer.provide(Drivers.layer)),
  clear: () => client.query("DROP TABLE IF EXISTS items, skein_run, skein_dead, skein_frontier; CHECKPOINT"),
  hand: async () => {
    await client.query(table)
    return {
      begin: () => client.query("BEGIN"),
      commit: () => client.query("COMMIT"),
      add: (urls) =>
        client.query({
          name: "add",
          text: `INSERT INTO items SELECT *, NULL, 0 FROM unnest($1::text[], $2::int8[]) ON CONFLICT DO NOTHING`,
          values: [urls, urls.map(() => place++)]
        }),
      take: async () => {
        const { rows } = await client.query({
          name: "take",
          text: `UPDATE items SET owner = 'me' WHERE url IN (SELECT url FROM items
            WHERE done = 0 AND owner IS NULL ORDER BY place LIMIT ${atOnce} FOR UPDATE SKIP LOCKED) RETURNING url`
        })
        return rows.map(({ url }) => String(url))
      },
      settle: (urls) =>
        client.query({
          name: "settle",
          text: "UPDATE items SET done = 1, owner = NULL WHERE owner = 'me' AND url = ANY($1)",
          values: [urls]
        })
    }
  },
  done: async (table) => {
    const { rows } = await client.query(`SELECT count(*)::int AS n FROM ${table} WHERE done = 1`)
    return Number(rows[0].n)
  }
}

const frontier = Source.frontier("urls", Schema.String, { atOnce })
const inLanes = Source.frontier("urls", Schema.String, { atOnce, lane: (url) => new URL(url).host, perLane: 20 })
const runOf = (source: Source.Frontier<string>, visit: (url: string) => unknown) =>
  Pipeline.run(Pipeline.from(source).pipe(Pipeline.map(visit), Pipeline.to(Sink.discard)), {
    name: "work",
    window: { items: 2 * atOnce }
  })

type Work = (start: () => void, stop: () => void) => Promise<number>

const ours =
  (kind: Kind, seeds: ReadonlyArray<string>, work: Effect.Effect<unknown, unknown, Journal.Journal>): Work =>
  (start, stop) =>
    Effect.gen(function* () {
      yield* frontier.add(seeds)
      start()
      yield* work
      stop()
      return yield* Effect.promise(() => kind.done("skein_frontier"))
    }).pipe(Effect.provide(kind.layer()), Effect.runPromise)

const byHand =
  (kind: Kind, seeds: ReadonlyArray<string>, work: (hand: ByHand) => Promise<unknown>): Work =>
  async (start, stop) => {
    const hand = await kind.hand()
    await hand.add(seeds)
    start()
    await work(hand)
    stop()
    return await kind.done("items")
  }

const all = (links: (url: string) => ReadonlyArray<string>) => async (hand: ByHand) => {
  for (let taken = await hand.take(); taken.length > 0; taken = await hand.take()) {
    await hand.begin()
    await hand.settle(taken)
    const found = taken.flatMap(links)
    if (found.length > 0) await hand.add(found)
    await hand.commit()
    await new Promise(setImmediate)
  }
}
const add = async (hand: ByHand) => {
  await hand.begin()
  await hand.add(urls)
  await hand.commit()
}

const rate = (kind: Kind, work: Work, done = n) =>
  perSecond({
    ops: n,
    checksum: done,
    work: async ({ start, stop }) => {
      await kind.clear()
      return await work(start, stop)
    }
  })

const groupsOf = (kind: Kind): ReadonlyArray<Group> => {
  const { database } = kind
  const common = { unit: "items a second", better: "more", baseline: "by hand" } as const
  const size = n.toLocaleString("en")
  return [
    {
      title: `${size} items added to a frontier in ${database}, at once`,
      ...common,
      rows: [
        { name: "by hand", kind: "floor", measure: rate(kind, byHand(kind, [], add), 0) },
        { name: "frontier.add", kind: "ours", measure: rate(kind, ours(kind, [], frontier.add(urls)), 0) }
      ]
    },
    {
      title: `${size} items of a frontier in ${database} done, ${atOnce.toLocaleString("en")} at once`,
      ...common,
      rows: [
        {
          name: "by hand",
          kind: "floor",
          measure: rate(
            kind,
            byHand(
              kind,
              urls,
              all(() => [])
            )
          )
        },
        {
          name: "Source.frontier",
          kind: "ours",
          measure: rate(
            kind,
            ours(
              kind,
              urls,
              runOf(frontier, (url) => url)
            )
          )
        }
      ]
    },
    {
      title: `${size} items in ${database} found from one, each of which adds two`,
      ...common,
      rows: [
        { name: "by hand", kind: "floor", measure: rate(kind, byHand(kind, [urls[0]!], all(linksOf))) },
        {
          name: "Source.frontier",
          kind: "ours",
          measure: rate(
            kind,
            ours(
              kind,
              [urls[0]!],
              runOf(frontier, (url) => frontier.add(linksOf(url)))
            )
          )
        },
        {
          name: "Source.frontier, 100 lanes",
          kind: "ours",
          measure: rate(
            kind,
            ours(
              kind,
              [urls[0]!],
              runOf(inLanes, (url) => inLanes.add(linksOf(url)))
            )
          )
        }
      ],
      notes: ["By hand: no leases, priorities, depth or checkpoint; one process."]
    }
  ]
}

const groups: ReadonlyArray<Group> = [
  ...groupsOf(sqlite),
  ...groupsOf(postgres).map((group, i, { length }) =>
    i < length - 1
      ? group
      : {
          ...group,
          close: async () => {
            folder.close()
            await client.end()
            await server?.close()
          }
        }
  )
]
export default groups
