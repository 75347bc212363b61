/** Seeing what runs. */
export * as Inspect from "./Inspect.ts"
export * as Timeline from "./Timeline.ts"
