/**
 * The page. It holds nothing of the process: that comes afterwards, with the token, and is put in as text. Its policy lets no script and
 * no style run but these two, by their hashes, and lets them speak to nobody but the server that the page is from.
 */
import { createHash } from "node:crypto"
import { lists } from "./page/Lists.ts"
import { live } from "./page/Live.ts"
import { outline } from "./page/Outline.ts"
import { page as begin } from "./page/Page.ts"
import { style } from "./page/Style.ts"
import { tree } from "./page/Tree.ts"
import { words } from "./page/Words.ts"

/** As it is in the file of this module, however the lines of that end. */
const source = (f: (...args: never) => unknown): string => `(${f.toString().replaceAll("\r\n", "\n")})`

const pieces = { words, outline, tree, lists, live }
const script = `"use strict";${source(begin)}(window,{${Object.entries(pieces)
  .map(([name, f]) => `${name}:${source(f)}`)
  .join()}})`

const hash = (text: string): string => `'sha256-${createHash("sha256").update(text).digest("base64")}'`

export const policy: string = [
  "default-src 'none'",
  `script-src ${hash(script)}`,
  `style-src ${hash(style)}`,
  "connect-src 'self'",
  "img-src data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'"
].join("; ")

const shortcuts: ReadonlyArray<readonly [string, string]> = [
  ["?", "these keys"],
  ["t", "go to the tree"],
  ["f", "go to what looks wrong"],
  ["r", "go to the runs"],
  ["/", "search; Enter goes to the tree, Escape clears"],
  ["a", "fold or unfold tasks that are alike"],
  ["p", "hold the picture, or let it go on"],
  ["↑ ↓", "in the tree: row by row; PageUp, PageDown, Home, End"],
  ["← →", "in the tree: close and open, or to the row above and below"],
  ["Enter", "in the tree: open or close"]
]

export const page: string = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<link rel="icon" href="data:,">
<title>skein watch</title>
<style>${style}</style>
<header>
<div><h1 id="title">skein watch</h1><p id="facts"></p></div>
<div class="tools"><output id="status" role="status">connecting</output><button id="hold" type="button" aria-pressed="false">Hold</button><button id="ask" type="button">Keys <kbd>?</kbd></button></div>
</header>
<section id="wrong-part" class="none" tabindex="-1" aria-labelledby="wrong"><h2 id="wrong" role="status"></h2><ol id="findings"></ol></section>
<section id="runs-part" tabindex="-1" aria-labelledby="runs-title" hidden><h2 id="runs-title">Runs</h2><div id="runs"></div></section>
<main>
<div class="above" role="search">
<h2 id="tasks-title">Tasks</h2>
<label>Find <input id="search" type="search" placeholder="name, wait, file" autocomplete="off" spellcheck="false"></label>
<label><input id="fold" type="checkbox" checked> fold those alike</label>
<output id="found" for="search fold"></output>
</div>
<div class="row head" aria-hidden="true"><span class="name">Group or task</span><span class="state">State</span><span class="age">For</span><span class="waits">Waits for</span><span class="place">At</span></div>
<div id="tree" role="tree" tabindex="0" aria-labelledby="tasks-title"><div id="tall" role="presentation"></div></div>
<div id="detail" role="region" aria-label="The chosen row"></div>
</main>
<p id="places" hidden></p>
<dialog id="help" aria-labelledby="help-title"><h2 id="help-title">Keys</h2><dl>${shortcuts
  .map(([key, what]) => `<dt><kbd>${key}</kbd></dt><dd>${what}</dd>`)
  .join("")}</dl><button id="close" type="button">Close</button></dialog>
<noscript>This page needs its script.</noscript>
<script>${script}</script>
</html>
`
