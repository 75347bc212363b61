/** The same jobs as workerpool wants them: registered. */
import * as jobs from "./offload_jobs.ts"
import { peer } from "./peers.ts"

const workerpool = await peer("workerpool")
workerpool!.default.worker({ ...jobs })
