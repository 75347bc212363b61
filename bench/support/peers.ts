/**
 * What is measured against: installed into `peers/` by `main.ts`, and absent where that did not work, so that
 * nothing here needs it for its types.
 */
import { createRequire } from "node:module"
import type { Duplex, Readable, Writable } from "node:stream"
import { pathToFileURL } from "node:url"
import type { Submittable } from "pg"

const { resolve } = createRequire(new URL("../peers/package.json", import.meta.url))

/** The module; undefined where it is not installed. */
export const peer = async <Name extends keyof Peers>(name: Name): Promise<Peers[Name] | undefined> => {
  try {
    return (await import(pathToFileURL(resolve(name)).href)) as Peers[Name]
  } catch {
    return undefined
  }
}

/** As much of each peer as is used here. */
interface Peers {
  readonly "async-mutex": { readonly Semaphore: new (permits: number) => { runExclusive: Run } }
  readonly "csv-parse": {
    readonly parse: (options: { readonly columns: true }) => Duplex & AsyncIterable<Record<string, string>>
  }
  readonly effection: {
    readonly run: <A>(
      operation: () => Generator<unknown, A>
    ) => PromiseLike<A> & { readonly halt: () => PromiseLike<void> }
    readonly spawn: <A>(operation: () => Generator<unknown, A>) => Operation<Operation<A>>
    readonly suspend: () => Operation<void>
    readonly ensure: (finalizer: () => void) => Operation<void>
    readonly until: <A>(promise: PromiseLike<A>) => Operation<A>
  }
  readonly got: {
    readonly default: (url: string) => { readonly json: () => Promise<unknown> }
  }
  readonly "p-limit": { readonly default: (concurrency: number) => Run }
  readonly "p-map": {
    readonly default: <A, B>(items: Iterable<A>, f: (item: A) => Promise<B>, options: Concurrency) => Promise<Array<B>>
    readonly pMapIterable: <A, B>(
      items: Iterable<A>,
      f: (item: A) => Promise<B>,
      options: Concurrency & { readonly backpressure?: number }
    ) => AsyncIterable<B>
  }
  readonly "p-queue": {
    readonly default: new (options: Concurrency) => {
      readonly add: Run
      readonly size: number
      readonly pending: number
    }
  }
  readonly papaparse: {
    readonly default: {
      readonly parse: (
        input: Readable,
        options: {
          readonly header: true
          readonly skipEmptyLines: true
          readonly chunk: (results: { readonly data: ReadonlyArray<Record<string, string>> }) => void
          readonly complete: () => void
          readonly error: (error: Error) => void
        }
      ) => void
    }
  }
  readonly "pg-copy-streams": { readonly from: (sql: string) => Submittable & Writable }
  readonly piscina: { readonly default: new (options: Threads) => Pool }
  readonly tinypool: { readonly default: new (options: Threads) => Pool }
  readonly workerpool: {
    readonly default: {
      readonly worker: (jobs: object) => void
      readonly pool: (
        file: string,
        options: { readonly minWorkers: number; readonly maxWorkers: number; readonly workerType: "thread" }
      ) => {
        readonly exec: (job: string, args: ReadonlyArray<unknown>) => PromiseLike<number>
        readonly terminate: () => PromiseLike<unknown>
      }
    }
  }
  readonly rxjs: {
    readonly from: <A>(items: Iterable<A>) => Observable<A>
    readonly map: <A, B>(f: (item: A) => B) => Operator<A, B>
    readonly mergeMap: <A, B>(f: (item: A) => PromiseLike<B>, concurrency: number) => Operator<A, B>
    readonly bufferCount: <A>(size: number) => Operator<A, Array<A>>
    readonly tap: <A>(f: (item: A) => void) => Operator<A, A>
    readonly lastValueFrom: <A>(observable: Observable<A>) => Promise<A>
  }
  readonly "streaming-iterables": {
    readonly map: <A, B>(f: (item: A) => B, items: AnyIterable<A>) => AsyncIterable<B>
    readonly parallelMap: <A, B>(
      concurrency: number,
      f: (item: A) => Promise<B>,
      items: AnyIterable<A>
    ) => AsyncIterable<B>
    readonly batch: <A>(size: number, items: AnyIterable<A>) => AsyncIterable<Array<A>>
  }
  readonly udsv: {
    readonly inferSchema: (text: string) => unknown
    readonly initParser: (schema: unknown) => {
      readonly stringObjs: unknown
      readonly chunk: (text: string, what: unknown, onRow: (texts: Record<string, string>) => void) => void
      readonly end: () => void
    }
  }
  readonly undici: {
    readonly Pool: new (
      origin: string,
      options: { readonly connections: number; readonly pipelining: number }
    ) => {
      readonly request: (options: { readonly path: string; readonly method: "GET" }) => Promise<{
        readonly body: { readonly json: () => Promise<unknown> }
      }>
      readonly dispatch: (
        options: { readonly path: string; readonly method: "GET" },
        handler: {
          readonly onRequestStart: () => void
          readonly onResponseStart: () => void
          readonly onResponseData: (controller: unknown, chunk: Uint8Array) => void
          readonly onResponseEnd: () => void
          readonly onResponseError: (controller: unknown, error: Error) => void
        }
      ) => boolean
      readonly close: () => Promise<void>
    }
  }
}

type Run = <A>(f: () => Promise<A>) => Promise<A>
type AnyIterable<A> = Iterable<A> | AsyncIterable<A>
type Operator<A, B> = (source: Observable<A>) => Observable<B>
interface Concurrency {
  readonly concurrency: number
}
interface Threads {
  readonly filename: string
  readonly minThreads: number
  readonly maxThreads: number
}
interface Pool {
  readonly run: (argument: unknown, options: { readonly name: string }) => Promise<number>
  readonly destroy: () => Promise<void>
}
interface Operation<A> {
  readonly [Symbol.iterator]: () => Iterator<unknown, A>
}
interface Observable<A> {
  readonly pipe: <B, C, D, E>(
    one: Operator<A, B>,
    two: Operator<B, C>,
    three: Operator<C, D>,
    four: Operator<D, E>
  ) => Observable<E>
}
