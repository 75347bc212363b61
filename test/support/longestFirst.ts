/** The order of test files in which no long one is begun last, when the others have ended and the machine has nothing else to do. */
import { readFileSync } from "node:fs"
import { BaseSequencer, type TestSpecification } from "vitest/node"

/** A program that starts is a second, and such tests are short to write. */
const startsPrograms = ({ moduleId }: TestSpecification): boolean =>
  /node:child_process|\/(child|programs|scene|Server)\.ts"/.test(readFileSync(moduleId, "utf8"))

/** By what Vitest remembers of an earlier run; without one, those that start programs, then the others, the larger ones first. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: Array<TestSpecification>): Promise<Array<TestSpecification>> {
    const sorted = await super.sort(files)
    if (files.every((file) => this.ctx.cache.getTestSpecificationResult(file) !== undefined)) return sorted
    const [first, then] = [sorted.filter(startsPrograms), sorted.filter((file) => !startsPrograms(file))]
    return [...first, ...then]
  }
}
