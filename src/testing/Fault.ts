/** What can go wrong, planned: layers around the real services, or around simulated ones. */
export { type FileCall, type FileFault, type FileRule, files } from "./fault/FaultFiles.ts"
export { http, type HttpCall, type HttpFault, type HttpRule } from "./fault/FaultHttp.ts"
export { db, sql, type SqlCall, type SqlFault, type SqlRule } from "./fault/FaultSql.ts"
export type { When } from "./fault/Rule.ts"
