/** Seeing what runs. */
export * as Timeline from "./Timeline.ts"
