/** What a server does, seen from outside. */
import * as Effect from "effect/Effect"
import { setTimeout } from "node:timers/promises"
import { ask } from "./database.ts"

/** Waits until the condition holds in the server, for a minute at most. */
export const until = (url: string, condition: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (let n = 0; n < 3_000; n++) {
      const [row] = await ask<{ readonly ok: boolean }>(url, `SELECT (${condition}) AS ok`)
      if (row?.ok === true) return
      await setTimeout(20)
    }
    throw new Error(`it never came to this in the server: ${condition}`)
  })

/** Condition: nobody is connected to the database but who asks. */
export const isAlone = `NOT EXISTS (
  SELECT 1 FROM pg_stat_activity
  WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend')`

/** Condition: a session is in a state, or waits for something, as `pg_stat_activity` calls it. */
export const session = (pid: number, what: string): string =>
  `EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = ${pid} AND ${what})`

/** Ends a session, and waits until it is gone. */
export const terminate = (url: string, pid: number): Effect.Effect<void> =>
  Effect.andThen(
    Effect.promise(() => ask(url, "SELECT pg_terminate_backend($1)", [pid])),
    until(url, `NOT ${session(pid, "true")}`)
  )
