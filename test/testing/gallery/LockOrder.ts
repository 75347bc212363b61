/** Each of two transfers locks its own account first and then waits for the one that the other has locked. */
import * as Effect from "effect/Effect"
import * as Semaphore from "effect/Semaphore"

interface Account {
  readonly id: number
  readonly lock: Semaphore.Semaphore
}

const transfers = (inOrder: (from: Account, to: Account) => readonly [Account, Account]) =>
  Effect.gen(function* () {
    const here: Account = { id: 1, lock: yield* Semaphore.make(1) }
    const there: Account = { id: 2, lock: yield* Semaphore.make(1) }
    const transfer = (from: Account, to: Account) => {
      const [first, second] = inOrder(from, to)
      return first.lock.withPermit(second.lock.withPermit(Effect.void))
    }
    const out = transfer(here, there).pipe(Effect.withSpan("out"))
    const back = transfer(there, here).pipe(Effect.withSpan("back"))
    yield* Effect.all([out, back], { concurrency: 2 })
  })

export const broken = transfers((from, to) => [from, to])

/** One order for all. */
export const fixed = transfers((from, to) => (from.id < to.id ? [from, to] : [to, from]))
