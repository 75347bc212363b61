#!/usr/bin/env node
/** The program of the `skein` command. */
import * as Main from "../node/Main.ts"
import { skein } from "./skein.ts"

Main.run(skein(process.argv.slice(2)), {
  debug: process.argv.includes("--debug"),
  debugHint: "run it again with --debug to see where"
})
