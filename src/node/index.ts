/** What only Node can give: the entry point of a program, a look inside, HTTP connections, drivers of databases, and worker threads. */
export * as Drivers from "./Drivers.ts"
export * as Host from "./Host.ts"
export * as Http from "./Http.ts"
export * as Inspector from "./Inspector.ts"
export * as Main from "./Main.ts"
export * as Postgres from "./Postgres.ts"
export * as Sqlite from "./Sqlite.ts"
export * as Workers from "./Workers.ts"
