import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { join } from "node:path"
import { DatabaseSync } from "node:sqlite"
import { Client } from "pg"
import * as Child from "../support/child.ts"
import { ask, fresh } from "../support/postgres/database.ts"
import * as Programs from "../support/programs.ts"

const total = 1500

interface Sale {
  readonly id: number
  readonly day: string
  readonly euros: number
}

const minutes = (n: number): string => new Date(Date.UTC(2026, 0, 1) + n * 60_000).toISOString()
const currency = (id: number): string => (id % 500 === 0 ? "XAU" : id % 3 === 0 ? "GBP" : "EUR")

const sales: ReadonlyArray<Sale> = Array.from({ length: total }, (_, i) => i + 1)
  .filter((id) => currency(id) !== "XAU")
  .map((id) => ({
    id,
    day: minutes(id).slice(0, 10),
    euros: Math.round(id * 10 * (currency(id) === "GBP" ? 1.25 : 1)) / 100
  }))

const makeShop = (cwd: string): string => {
  const file = join(cwd, "shop.db")
  const shop = new DatabaseSync(file, { timeout: 10_000 })
  shop.exec(`
    CREATE TABLE rates (currency TEXT PRIMARY KEY, euros REAL NOT NULL);
    INSERT INTO rates VALUES ('EUR', 1), ('GBP', 1.25);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, cents INTEGER NOT NULL, currency TEXT NOT NULL, changed TEXT NOT NULL);
    BEGIN`)
  const insert = shop.prepare("INSERT INTO orders VALUES (?, ?, ?, ?)")
  for (let id = 1; id <= total; id++) insert.run(id, id * 10, currency(id), minutes(id))
  shop.exec("COMMIT")
  shop.close()
  return file
}

const all = "SELECT id, day, euros FROM sales ORDER BY id"
const inPostgres = async (url: string) =>
  (await ask(url, all)).map(({ day, euros, id }) => ({ id: Number(id), day, euros }))

/** The lock that one of the rows waits for, for as long as it is open. */
const locked = (url: string) =>
  Effect.acquireRelease(
    Effect.promise(async () => {
      const client = new Client({ connectionString: url })
      await client.connect()
      await client.query("SELECT pg_advisory_lock(1)")
      return client
    }),
    (client) => Effect.promise(() => client.end())
  )

describe.concurrent("docs/examples/copy.ts", () => {
  it.live(
    "copies each order once when it is killed, and then what changed",
    () =>
      Effect.gen(function* () {
        const [cwd, reports] = yield* Effect.all([Child.folder, fresh])
        const shop = makeShop(cwd)
        // Where it stops in the middle of what it writes, until it may go on.
        yield* Effect.promise(() =>
          ask(
            reports,
            `CREATE TABLE sales (id bigint PRIMARY KEY, day text NOT NULL, euros double precision NOT NULL);
           CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
             $$ BEGIN PERFORM pg_advisory_xact_lock_shared(1); RETURN NEW; END $$;
           CREATE TRIGGER wait BEFORE INSERT ON sales FOR EACH ROW WHEN (NEW.id = 700) EXECUTE FUNCTION wait()`
          )
        )
        const barrier = yield* locked(reports)
        const child = yield* Programs.start("copy", cwd, [shop, reports])
        yield* Programs.until(child, async () => {
          const waiting = await ask(reports, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
          return waiting.length > 0
        })
        yield* Programs.kill(child)
        expect((yield* Effect.promise(() => inPostgres(reports))).length).toBeLessThan(700)

        yield* Effect.promise(() => barrier.end())
        yield* Programs.run("copy", cwd, [shop, reports])
        expect(yield* Effect.promise(() => inPostgres(reports))).toEqual(sales)

        const database = new DatabaseSync(shop, { timeout: 10_000 })
        database.exec(`UPDATE orders SET cents = 1, changed = '${minutes(total + 1)}' WHERE id IN (7, 8)`)
        database.close()
        expect(yield* Programs.run("copy", cwd, [shop, reports])).toMatch(/^2 orders copied, 0 not\.$/m)
        expect(yield* Effect.promise(() => inPostgres(reports))).toEqual(
          sales.map((sale) =>
            sale.id === 7 || sale.id === 8 ? { ...sale, day: minutes(total + 1).slice(0, 10), euros: 0.01 } : sale
          )
        )
      }),
    300_000
  )

  it.live(
    "comes to what its twin comes to, in SQLite as in PostgreSQL",
    () =>
      Effect.gen(function* () {
        const [cwd, reports] = yield* Effect.all([Child.folder, fresh])
        const shop = makeShop(cwd)
        const told = `${sales.length} orders copied, 3 not.\n`
        expect(yield* Programs.run("copy", cwd, [shop, "reports.db"])).toContain(told)
        expect(yield* Programs.run("twins/copy", cwd, [shop, reports])).toContain(told)
        expect(Programs.rows(join(cwd, "reports.db"), all)).toEqual(sales)
        expect(yield* Effect.promise(() => inPostgres(reports))).toEqual(sales)
      }),
    300_000
  )
})
