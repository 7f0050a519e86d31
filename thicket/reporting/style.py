"""The look of the pages: colours as variables, for light and dark, and one column that goes down to a phone's width."""

import html

from thicket.reporting.interaction import policy, script

STYLE = """
:root { color-scheme: light dark;
  --page: #ffffff; --ink: #1b1f24; --muted: #5d6670; --line: #dde1e6; --soft: #f5f7f9; --edge: #b0b8c0;
  --specialist: #0b7d6d; --control: #8f5f0a; --student: #3f51c7; --other: #7f8a95;
  --gain: 11 125 109; --loss: 201 80 30;
  --series-1: #3f51c7; --series-2: #b9591a; --series-3: #96358a; --series-4: #1c7a48;
  --series-5: #b02a3c; --series-6: #78701c; }
@media (prefers-color-scheme: dark) { :root {
  --page: #14171b; --ink: #e4e8ec; --muted: #9aa4ae; --line: #343a41; --soft: #1c2025; --edge: #606a74;
  --specialist: #3cc4b0; --control: #e0b060; --student: #93a1ff; --other: #87919b;
  --gain: 46 176 156; --loss: 226 108 58;
  --series-1: #93a1ff; --series-2: #f0a060; --series-3: #e08ad5; --series-4: #64c890;
  --series-5: #f07a88; --series-6: #d0c860; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 2rem 1.25rem 4rem; }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem; }
h1 small { color: var(--muted); font-weight: 400; }
.banner { border-left: 4px solid rgb(var(--loss)); background: rgb(var(--loss) / .12); padding: .5rem 1rem;
  margin: 0 0 1rem; max-width: 75ch; overflow-wrap: anywhere; }
.banner p { font-weight: 600; margin: 0; } .banner ul { margin: .35rem 0 0; padding-left: 1.2rem; }
abbr { color: rgb(var(--loss)); font-weight: 700; text-decoration: none; cursor: help; }
h2 { font-size: 1.3rem; margin: 3rem 0 .5rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 1.75rem 0 .4rem; }
p { margin: .5rem 0; max-width: 75ch; }
p.lead { font-size: 1.15rem; max-width: 68ch; }
dl { margin: .5rem 0; max-width: 75ch; display: grid; gap: .15rem .75rem;
  grid-template-columns: fit-content(14rem) 1fr; }
dt { font-weight: 600; } dd { margin: 0; }
p.note, dl.note, nav, .legend { color: var(--muted); font-size: .875rem; }
nav { margin-top: 1.5rem; }
nav a { color: inherit; margin-right: 1rem; white-space: nowrap; }
.legend span { display: inline-block; margin-right: 1.25rem; }
.legend { max-width: none; }
.legend b { font-weight: 400; }
.base-ink { color: var(--ink); } .specialist-ink { color: var(--specialist); }
.control-ink { color: var(--control); } .student-ink { color: var(--student); } .other-ink { color: var(--other); }
.wide, .small { display: grid; gap: 1rem 2rem; }
.wide { grid-template-columns: repeat(auto-fill, minmax(min(420px, 100%), 1fr)); }
.small { grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem 1.25rem; }
figure { margin: 0; }
figcaption { font-weight: 600; margin: .5rem 0 .15rem; }
figcaption small { color: var(--muted); font-weight: 400; }
svg { max-width: 100%; height: auto; display: block; }
.scroll > svg { max-width: none; }
.tables { display: flex; flex-wrap: wrap; gap: 1rem 2rem; }
.tables > * { max-width: 100%; }
.tables .note { width: 0; min-width: 100%; } /* as wide as its table, which alone says how many fit side by side */
.tables th, .tables td { padding: .3rem .5rem; }
.tables thead th { max-width: 6.5rem; }
/* A shadow at the right edge, which the first layer covers where the content ends: some systems show no scroll bars. */
.scroll { overflow-x: auto; background:
  linear-gradient(to left, var(--page) 40%, transparent) right / 3rem 100% no-repeat local,
  linear-gradient(to left, var(--edge), transparent) right / .75rem 100% no-repeat; }
table { border-collapse: collapse; font-size: .875rem; font-variant-numeric: tabular-nums; }
th, td { padding: .3rem .7rem; text-align: right; vertical-align: top; white-space: nowrap; }
th, td { border-bottom: 1px solid var(--line); }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom; white-space: normal; min-width: 5rem; }
tbody th, thead th:first-child { text-align: left; position: sticky; left: 0; background: var(--page); }
tr.first th, tr.first td { border-top: 2px solid var(--line); }
td small, th small { display: block; color: var(--muted); font-weight: 400; font-size: .75rem; }
td.own { font-weight: 700; box-shadow: inset 0 0 0 2px var(--specialist); }
td.gain { background: rgb(var(--gain) / var(--heat)); } td.loss { background: rgb(var(--loss) / var(--heat)); }
td.gain small, td.loss small { color: var(--ink); opacity: .8; }
tr:target th, tr:target td { background-color: var(--soft); }
@media (max-width: 700px) { th, td { padding: .3rem .4rem; } tbody th { white-space: normal; }
  main { padding: 1.25rem 1rem; } }
table.claims td { white-space: normal; min-width: 5.5rem; }
table.claims th[scope=row] { font-weight: 400; white-space: normal; min-width: min(20rem, 45vw); max-width: 28rem; }
summary { cursor: pointer; }
details { margin: .5rem 0; } summary small { color: var(--muted); }
thead th button { all: unset; cursor: pointer; }
thead th button:focus-visible, a:focus-visible, summary:focus-visible {
  outline: 2px solid var(--student); outline-offset: 2px; }
th[aria-sort] button::after { content: " ↓"; } th[aria-sort=ascending] button::after { content: " ↑"; }
table.sorted tr.first th, table.sorted tr.first td { border-top: 0; }
input[type=search] { font: inherit; font-size: .875rem; color: inherit; background: var(--soft); padding: .2rem .5rem;
  border: 1px solid var(--line); border-radius: 4px; width: 14rem; max-width: 100%; margin: .2rem 0; }
table.samples td, table.samples thead th { text-align: left; min-width: 0; }
table.samples bdi { white-space: pre-wrap; overflow-wrap: anywhere; }
table.samples td:has(bdi) { white-space: normal; min-width: min(14rem, 32vw); max-width: 32rem; }
.lineage path { fill: none; stroke: var(--muted); stroke-width: 1.2; }
.lineage path.teacher { stroke: var(--student); stroke-dasharray: 4 3; opacity: .75; }
.lineage rect { fill: var(--soft); stroke: var(--muted); }
.lineage .specialist rect { stroke: var(--specialist); } .lineage .student rect { stroke: var(--student); }
.lineage text { fill: var(--ink); font: 600 13px system-ui, sans-serif; }
.lineage .aged rect { stroke-dasharray: 4 3; }
.lineage text.detail { fill: var(--muted); font-weight: 400; font-size: 11px; }
.lineage a:hover rect { fill: var(--line); }
"""


def document(title: str, body: str) -> str:
    """A whole page that needs nothing else, with a newline at its end. `body` is HTML, the title is text."""
    return (
        f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{html.escape(title)}</title>\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"{policy()}\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n{body}\n</main>\n{script()}\n</body>\n</html>\n"
    )
