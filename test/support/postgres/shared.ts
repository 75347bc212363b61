/** The server that all tests share: that of `DATABASE_URL`, or one of their own, which Vitest starts and ends. */
import * as Server from "./Server.ts"

export default async (): Promise<() => Promise<void>> => {
  const given = process.env["DATABASE_URL"]
  if (given !== undefined && given !== "") {
    process.env["SKEIN_TEST_POSTGRES"] = given
    return async () => {}
  }
  // What the operating system has is kept when the server is killed; no test pulls the plug of this one.
  const server = await Server.open({ settings: { fsync: "off", full_page_writes: "off" } })
  process.env["SKEIN_TEST_POSTGRES"] = server.url()
  return server.close
}
