/** Runs one group in a process of its own and sends the report to `main.ts`. */
import type { Group } from "./group.ts"
import { measure } from "./measure.ts"

process.on("disconnect", () => process.exit())

const { default: groups } = (await import(`../${process.argv[2]}.ts`)) as { default: Group | ReadonlyArray<Group> }
for (const group of [groups].flat()) {
  const report = await measure(group)
  await new Promise((sent) => process.send!(report, sent))
}
process.disconnect()
