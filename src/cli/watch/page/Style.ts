/** How the page looks, by day and by night. Colours are not all that tells things apart: states are words as well. */
export const style: string = `
:root {
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  --code: ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  --page: #ffffff; --text: #1d2430; --faint: #5d6675; --line: #dfe3e9; --band: #eef3fb; --chosen: #dde8fb; --accent: #2458c5;
  --bar: #a9c1ec; --good: #1c7a3f; --bad: #b3261e; --odd: #8a5a00; --wash: #fdf1ef; --row: 24px;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --text: #e3e7ee; --faint: #98a2b3; --line: #2c323c; --band: #1f2733; --chosen: #26354f; --accent: #8ab0ff;
    --bar: #35558f; --good: #6fce91; --bad: #ff8a80; --odd: #f0b95a; --wash: #2a1d1e;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; background: var(--page); color: var(--text); font: 13px/1.45 var(--font); overflow-wrap: anywhere; }
h1, h2, h3, p { margin: 0; }
h1 { font-size: 15px; font-weight: 600; unicode-bidi: isolate; }
h2 { font-size: 12px; font-weight: 600; }
h3 { font-size: 13px; font-weight: 600; }
header { display: flex; flex-wrap: wrap; gap: 6px 24px; align-items: center; justify-content: space-between; padding: 9px 16px; border-bottom: 1px solid var(--line); }
.facts, #facts, #places { color: var(--faint); font-variant-numeric: tabular-nums; }
.tools { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; }
button, input[type=search] { font: inherit; color: var(--text); background: var(--page); border: 1px solid var(--line); border-radius: 5px; padding: 2px 9px; }
button { cursor: pointer; }
button:hover { background: var(--band); }
button[aria-pressed=true] { background: var(--chosen); }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
#status { max-width: 60ch; font-weight: 600; }
#status::before { content: ""; display: inline-block; width: 8px; height: 8px; margin-right: 6px; border-radius: 50%; background: currentColor; }
#status.live { color: var(--good); }
#status.held, #status.trouble { color: var(--odd); }
#status.ended { color: var(--bad); }
section { flex: none; padding: 8px 16px; border-bottom: 1px solid var(--line); }
section:focus-visible { outline-offset: -2px; }
#wrong-part.none h2 { color: var(--faint); font-weight: 400; }
#wrong-part.some { max-height: 34vh; overflow: auto; background: var(--wash); }
#wrong-part.some h2 { color: var(--bad); }
#findings { margin: 0; padding: 0; list-style: none; }
#findings li { display: grid; grid-template-columns: 1fr auto; gap: 0 16px; padding: 5px 0; border-top: 1px solid var(--line); margin-top: 5px; unicode-bidi: isolate; }
#findings p { grid-column: 1; }
#findings b { margin-right: 8px; color: var(--bad); font-weight: 600; }
#findings .show { grid-column: 2; grid-row: 1 / span 3; align-self: center; max-width: 26ch; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.advice { color: var(--faint); }
.places { font: 12px/1.45 var(--code); }
#runs-part { max-height: 40vh; overflow: auto; }
article + article { margin-top: 10px; }
.line { display: flex; gap: 10px; align-items: baseline; }
.state.running { color: var(--good); }
.state.failed { color: var(--bad); }
.state.paused, .state.draining { color: var(--odd); }
.wide { overflow-x: auto; margin-top: 3px; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: 1px 12px 1px 0; text-align: right; white-space: nowrap; font-weight: 400; }
thead th { color: var(--faint); font-size: 12px; }
th:first-child { text-align: left; min-width: 12em; max-width: 30em; overflow: hidden; text-overflow: ellipsis; }
td .bar, .bar { display: block; height: 3px; border-radius: 2px; background: linear-gradient(var(--bar), var(--bar)) 0 / calc(var(--part) * 100%) 100% no-repeat var(--band); }
.bad { color: var(--bad); font-weight: 600; }
.odd { color: var(--odd); }
main { display: flex; flex: 1 0 400px; flex-direction: column; min-height: 0; }
.above { display: flex; flex-wrap: wrap; gap: 4px 14px; align-items: center; padding: 7px 16px; border-bottom: 1px solid var(--line); }
.above label { color: var(--faint); }
.above input[type=search] { width: 15em; }
#found { color: var(--faint); font-variant-numeric: tabular-nums; }
#tree { position: relative; flex: 1; min-height: 0; overflow: hidden auto; scrollbar-gutter: stable; }
#tree:focus-visible { outline: none; }
#tree:focus-visible .row.chosen { outline: 2px solid var(--accent); outline-offset: -2px; }
#tall { position: relative; }
.row { position: absolute; top: var(--top); left: 0; right: 0; height: var(--row); display: grid; align-items: center; column-gap: 14px; padding: 0 16px; cursor: default; font-variant-numeric: tabular-nums; unicode-bidi: isolate;
  grid-template-columns: minmax(180px, 5fr) 104px 72px minmax(104px, 4fr) minmax(104px, 3fr); }
.row.head { position: static; flex: none; border-bottom: 1px solid var(--line); color: var(--faint); font-size: 12px; overflow: hidden; scrollbar-gutter: stable; --depth: 0; }
.row.head .name, .row.head .place { font: inherit; font-weight: 400; }
.row:not(.head):hover { background: var(--band); }
.row.chosen { background: var(--chosen); }
.row span { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.name { padding-left: calc(var(--depth) * 16px + 16px); position: relative; }
.row.group .name, .row.fold .name { font-weight: 600; }
.row.open .name::before, .row.shut .name::before { content: "▾"; position: absolute; left: calc(var(--depth) * 16px); width: 14px; color: var(--faint); font-weight: 400; text-align: center; }
.row.shut .name::before { content: "▸"; }
.row .state { color: var(--faint); }
.row.cancelling .state { color: var(--odd); }
.row.failed .state, .row.orphan .state { color: var(--bad); }
.age { text-align: right; color: var(--faint); }
.place { color: var(--faint); font: 12px/1.5 var(--code); }
#detail { flex: none; height: 136px; overflow: auto; padding: 8px 16px; border-top: 1px solid var(--line); unicode-bidi: isolate; }
#detail strong { font-weight: 600; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 12px; margin: 2px 0 0; }
dt { color: var(--faint); }
dd { margin: 0; font-variant-numeric: tabular-nums; }
#places { padding: 0 16px 6px; font-size: 12px; }
dialog { max-width: min(30em, 92vw); padding: 14px 18px; border: 1px solid var(--line); border-radius: 8px; background: var(--page); color: var(--text); }
dialog::backdrop { background: #0006; }
dialog dl { margin: 8px 0 12px; gap: 3px 16px; }
kbd { padding: 0 4px; border: 1px solid var(--line); border-radius: 3px; font: inherit; font-size: 12px; }
@media (max-width: 760px) {
  :root { --row: 42px; }
  html, body { height: auto; }
  header, section, .above, #detail { padding-left: 10px; padding-right: 10px; }
  #tree { flex: none; height: 70vh; }
  #detail { height: auto; min-height: 136px; }
  #findings li { grid-template-columns: 1fr; }
  #findings .show { grid-column: 1; grid-row: auto; justify-self: start; margin-top: 3px; max-width: 100%; }
  .row { grid-template-columns: 1fr auto auto; grid-template-rows: 1fr 1fr; column-gap: 10px; padding: 2px 10px; border-bottom: 1px solid var(--line); }
  .row.head { display: none; }
  .name { grid-area: 1 / 1; padding-left: calc(min(var(--depth), 8) * 9px + 14px); }
  .row.open .name::before, .row.shut .name::before { left: calc(min(var(--depth), 8) * 9px - 2px); }
  .state { grid-area: 1 / 2; }
  .age { grid-area: 1 / 3; }
  .waits { grid-area: 2 / 1; padding-left: calc(min(var(--depth), 8) * 9px + 14px); color: var(--faint); }
  .place { grid-area: 2 / 2 / 3 / 4; max-width: 45vw; text-align: right; }
  th:first-child { min-width: 7em; max-width: 12em; }
}
@media (prefers-reduced-motion: no-preference) { .bar { transition: background-size 0.3s; } }
@media (forced-colors: active) { .row.chosen { outline: 2px solid Highlight; outline-offset: -2px; } }
`
