/** What the page shows: types alone, for the script is made of functions. */
export type { Finding, GroupView, RunView, Snapshot, StepView, TaskView } from "../../../inspect/context/Snapshot.ts"
export type { Orphan } from "../../../concurrency/base/TaskInfo.ts"
