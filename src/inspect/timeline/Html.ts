/**
 * A timeline as one file for a browser. Nothing in it is loaded from elsewhere, and nothing that the entries say is markup or script: they
 * are JSON without `<`, and the policy of the page lets no script and no style run but these two, by their hashes.
 */
import * as Base64 from "effect/encoding/Base64"
import { sha256Of } from "../../concurrency/base/Sha256.ts"
import type { Entry } from "../context/Entry.ts"
import * as Lines from "./Lines.ts"
import { layout } from "./page/Layout.ts"
import { paint } from "./page/Paint.ts"
import { style } from "./page/Style.ts"
import { view } from "./page/View.ts"

export const html = (entries: Iterable<Entry>, title: string): string => {
  const data = Lines.encode(entries).replaceAll("<", "\\u003c")
  const script = `"use strict";(${source(view)})(window,${source(layout)},${source(paint)})`
  const policy = `default-src 'none'; script-src ${hash(script)}; style-src ${hash(style)}; base-uri 'none'; form-action 'none'`
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="referrer" content="no-referrer">
<title>${text(title)}</title>
<style>${style}</style>
<header>
<div class="heading"><h1>${text(title)}</h1><p id="summary"></p></div>
<div class="tools" role="search">
<label>Find <input id="search" type="search" placeholder="name or group" autocomplete="off" spellcheck="false"></label>
<label>Show <select id="outcome"><option value="">all<option>failed<option>cancelled<option>succeeded<option value="running">not ended</select></label>
<output id="found" for="search outcome"></output>
<span class="zoom"><button id="out" type="button" aria-label="Zoom out">−</button><button id="in" type="button" aria-label="Zoom in">+</button><button id="fit" type="button">Fit</button></span>
</div>
</header>
<main id="rows" tabindex="0" role="listbox" aria-label="Tasks" aria-describedby="keys">
<canvas id="canvas" aria-hidden="true"></canvas>
<div id="option" role="option" aria-selected="true" class="unseen"></div>
<div id="tall"></div>
</main>
<section id="detail" aria-label="Details" role="region"></section>
<footer>
<p class="legend"><span><i class="run"></i>runs</span><span><i class="wait"></i>waits</span><span><i class="cancelling"></i>is being cancelled</span><span><b class="failed">×</b>failed</span><span><b class="cancelled">○</b>cancelled</span></p>
<p id="keys"><kbd>↑</kbd> <kbd>↓</kbd> task · <kbd>←</kbd> <kbd>→</kbd> time · <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd> zoom · <kbd>Enter</kbd> whole task · <kbd>p</kbd> its spawner · <kbd>w</kbd> who woke it last · <kbd>/</kbd> find · drag, <kbd>Ctrl</kbd> and wheel</p>
</footer>
<script type="application/json" id="entries">
${data}</script>
<script>${script}</script>
</html>
`
}

/** As it is in the file of this module, however the lines of that end. */
const source = (f: (...args: never) => unknown): string => `(${f.toString().replaceAll("\r\n", "\n")})`

const hash = (text: string): string => `'sha256-${Base64.encode(sha256Of(new TextEncoder().encode(text)))}'`

const text = (given: string): string =>
  given.replace(/[&<>"'\p{Cc}\u2028-\u202E\u2066-\u2069\p{Cs}]/gu, (c) =>
    /[&<>"']/.test(c) ? `&#${c.charCodeAt(0)};` : "·"
  )
