/** Seeing what runs. */
export * as Observe from "./Observe.ts"
export * as Timeline from "./Timeline.ts"
