import { availableParallelism } from "node:os"
import { defineConfig } from "vitest/config"
import { LongestFirst } from "./test/support/longestFirst.ts"

const condition = "skein-source"

export default defineConfig({
  // `skein` and `skein/node` are the sources, in tests and in the workers that they start: no test needs a build.
  ssr: { resolve: { conditions: [condition, "module", "node", "development|production"] } },
  test: {
    include: ["test/**/*.test.ts"],
    environment: "node",
    globalSetup: ["test/support/state.ts", "test/support/linked.ts", "test/support/postgres/shared.ts"],
    setupFiles: ["test/support/seed.ts"],
    pool: "forks",
    sequence: { sequencer: LongestFirst },
    maxWorkers: Math.max(2, availableParallelism() - 1),
    maxConcurrency: Math.max(2, availableParallelism()),
    execArgv: [`--conditions=${condition}`],
    // A machine that others load takes many times as long as one that is quiet.
    testTimeout: 180_000,
    hookTimeout: 180_000,
    coverage: { provider: "v8", include: ["src/**/*.ts"], reporter: ["text-summary", "html"] }
  }
})
