/** How the page looks, by day and by night. Colours are not all that tells things apart: waits are thin, and ends have signs. */
export const style: string = `
:root {
  --font: system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
  --page: #ffffff; --text: #1d2430; --faint: #5d6675; --line: #dfe3e9; --band: #eef3fb; --accent: #2458c5;
  --run: #4f7fd6; --wait: #8f9aab; --failed: #b3261e; --cancelled: #8a5a00;
  color-scheme: light dark;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #14171c; --text: #e3e7ee; --faint: #98a2b3; --line: #2c323c; --band: #1f2733; --accent: #8ab0ff;
    --run: #5b8bea; --wait: #737e90; --failed: #ff8a80; --cancelled: #f0b95a;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; margin: 0; }
body { display: flex; flex-direction: column; background: var(--page); color: var(--text); font: 13px/1.45 var(--font); }
header { display: flex; flex-wrap: wrap; gap: 8px 24px; align-items: center; justify-content: space-between; padding: 10px 16px; border-bottom: 1px solid var(--line); }
h1 { margin: 0; font-size: 15px; font-weight: 600; overflow-wrap: anywhere; }
.heading p { margin: 0; color: var(--faint); font-variant-numeric: tabular-nums; }
.tools { display: flex; flex-wrap: wrap; gap: 8px 14px; align-items: center; }
.tools label { color: var(--faint); }
#found { min-width: 9em; color: var(--faint); font-variant-numeric: tabular-nums; }
input, select, button { font: inherit; color: var(--text); background: var(--page); border: 1px solid var(--line); border-radius: 5px; padding: 3px 8px; }
input { width: 15em; }
button { min-width: 30px; cursor: pointer; }
button:hover { background: var(--band); }
.zoom { display: inline-flex; gap: 4px; }
:focus-visible { outline: 2px solid var(--accent); outline-offset: 1px; }
main { position: relative; flex: 1; min-height: 120px; overflow-x: hidden; overflow-y: auto; }
main:focus-visible { outline-offset: -2px; }
canvas { position: sticky; top: 0; display: block; touch-action: pan-y; }
.unseen { position: absolute; top: 0; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
#detail { height: 132px; overflow: auto; padding: 8px 16px; border-top: 1px solid var(--line); unicode-bidi: isolate; }
#detail strong { font-weight: 600; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 0 12px; margin: 2px 0 0; }
dt { color: var(--faint); }
dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
footer { display: flex; flex-wrap: wrap; gap: 2px 24px; justify-content: space-between; padding: 6px 16px; border-top: 1px solid var(--line); color: var(--faint); font-size: 12px; }
footer p { margin: 0; }
.legend span { display: inline-flex; vertical-align: middle; align-items: center; gap: 6px; margin-right: 14px; }
.legend i { display: inline-block; width: 18px; height: 10px; }
.legend .run { background: var(--run); }
.legend .wait { height: 2px; background: var(--wait); }
.legend .cancelling { border-bottom: 2px solid var(--cancelled); background: var(--run); }
.legend .failed { color: var(--failed); }
.legend .cancelled { color: var(--cancelled); }
kbd { padding: 0 3px; border: 1px solid var(--line); border-radius: 3px; font: inherit; font-size: 11px; }
@media (max-width: 700px) { #keys { display: none; } }
`
