/** What a program does right now and did last, as data, in a page and as logs, metrics and spans. */
export * as Inspect from "./Inspect.ts"
export * as Observe from "./Observe.ts"
export * as Timeline from "./Timeline.ts"
