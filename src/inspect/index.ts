/** Seeing what runs. */
export * as Inspect from "./Inspect.ts"
