"""The page's one style sheet: by day, by night, on a phone and on paper. Its colours are those of the chat page."""

STYLE = """
:root {
  color-scheme: light dark;
  --paper: #faf8f4; --surface: #ffffff; --raised: #f1eee7; --ink: #1f2124; --muted: #5b5d64; --line: #e4e0d8;
  --good: #0d655d; --good-soft: #dcebe6; --bad: #8d3b12; --bad-soft: #f9e8dc;
  --s0: #0d655d; --s1: #a2491a; --s2: #5a4a9c;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #141618; --surface: #1b1e21; --raised: #25292d; --ink: #e8e6e1; --muted: #a3a6ad; --line: #2e3338;
    --good: #79cdbf; --good-soft: #1d3733; --bad: #f0a878; --bad-soft: #3a2618;
    --s0: #79cdbf; --s1: #eda36f; --s2: #b3a5f0;
  }
}
*, *::before, *::after { box-sizing: border-box; }
html { background: var(--paper); color: var(--ink); -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 76rem; padding: 2.5rem clamp(1rem, 4vw, 3rem) 4rem; overflow-wrap: break-word;
  font: 400 1rem/1.55 Inter, system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", sans-serif;
}
h1, h2 { font-family: ui-serif, "New York", "Source Serif 4", "Noto Serif", Georgia, serif; font-weight: 500; }
h1 { font-size: clamp(1.8rem, 1.3rem + 2vw, 2.6rem); line-height: 1.15; letter-spacing: -0.015em; margin: 0; }
h2 { font-size: 1.45rem; line-height: 1.25; margin: 0 0 0.35rem; }
h3 { font-size: 1rem; font-weight: 600; margin: 1.5rem 0 0.5rem; }
p { margin: 0 0 0.75rem; max-width: 46rem; }
a { color: var(--good); text-underline-offset: 0.2em; }
code { font: 0.875em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace; }
.muted { color: var(--muted); }
.small { font-size: 0.8125rem; line-height: 1.45; }
.lede { max-width: 60rem; font-size: 1.125rem; margin-top: 0.5rem; color: var(--muted); }
.eyebrow { margin: 0 0 0.4rem; color: var(--muted); font-size: 0.875rem; }
nav ul { display: flex; flex-wrap: wrap; gap: 0.25rem 1.25rem; list-style: none; padding: 0; margin: 1rem 0 0; }
section { margin-top: 3.25rem; }
.skip { position: absolute; left: -99rem; }
.skip:focus { left: 1rem; top: 0.5rem; background: var(--surface); padding: 0.4rem 0.8rem; }

.finding, .broken {
  margin: 1.25rem 0 0; padding: 0.9rem 1.1rem; max-width: 56rem; border-radius: 10px; background: var(--good-soft);
}
.broken { background: var(--bad-soft); }
.finding + .finding, .broken + .broken { margin-top: 0.6rem; }

.scroll { overflow-x: auto; margin: 0.9rem 0 0; border: 1px solid var(--line); border-radius: 12px;
  background: var(--surface); }
table { border-collapse: collapse; width: max-content; min-width: 100%; font-size: 0.9rem; line-height: 1.4; }
caption { text-align: left; padding: 0.8rem 0.9rem 0.3rem; font-weight: 600; }
caption .muted { font-weight: 400; }
th, td { padding: 0.55rem 0.9rem; text-align: left; vertical-align: top; border-top: 1px solid var(--line); }
thead th { border-top: 0; color: var(--muted); font-weight: 500; font-size: 0.8125rem; white-space: nowrap; }
tbody th { font-weight: 600; white-space: nowrap; position: sticky; left: 0; background: var(--surface); }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.after { margin-top: 0.9rem; }
.wrap { width: 11rem; }
.wide { width: 24rem; }
.change { display: block; font-size: 0.75rem; color: var(--muted); font-weight: 400; white-space: normal; }
.better { color: var(--good); }
.worse { color: var(--bad); }
.nothing { color: var(--muted); }
.measured { display: block; }
.measured + .measured { margin-top: 0.15rem; }

.grid { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 19.5rem), 1fr)); gap: 1rem;
  margin-top: 1rem; }
.pair { grid-template-columns: repeat(auto-fit, minmax(min(100%, 24rem), 1fr)); }
figure, .answer, .facts {
  margin: 0; padding: 0.9rem 1rem 0.7rem; border: 1px solid var(--line); border-radius: 12px;
  background: var(--surface);
}
figcaption { display: flex; flex-wrap: wrap; justify-content: space-between; gap: 0.1rem 1rem; margin-bottom: 0.5rem;
  font-size: 0.9rem; }
figcaption strong { font-weight: 600; }
.keys { display: flex; flex-wrap: wrap; gap: 0 0.8rem; color: var(--muted); font-size: 0.8125rem; }
.key { display: inline-flex; align-items: center; gap: 0.35rem; }
.swatch { width: 20px; height: 10px; overflow: visible; }
figure > svg { display: block; width: 100%; height: auto; }
svg text { fill: var(--muted); font-size: 11px; font-family: inherit; font-variant-numeric: tabular-nums; }
svg .row { fill: var(--ink); font-size: 12px; }
svg .rule { stroke: var(--line); }
.diagonal { stroke: var(--muted); stroke-dasharray: 2 3; }
.curve { fill: none; stroke-width: 1.8; stroke-linejoin: round; stroke-linecap: round; }
.curve.s0 { stroke: var(--s0); }
.curve.s1 { stroke: var(--s1); stroke-dasharray: 6 3; }
.curve.s2 { stroke: var(--s2); stroke-dasharray: 1.5 3.5; }
.curve.s3 { stroke: var(--muted); stroke-dasharray: 3 2; stroke-width: 1.2; }
.dot { stroke: var(--surface); stroke-width: 1; }
.dot.s0 { fill: var(--s0); }
.dot.s1 { fill: var(--s1); }
.dot.s2 { fill: var(--s2); }
.whisker { stroke-width: 1.5; opacity: 0.55; }
.whisker.s0 { stroke: var(--s0); }
.whisker.s1 { stroke: var(--s1); }
.area.s0 { fill: var(--s0); fill-opacity: 0.35; stroke: var(--s0); }
.area.s1 { fill: var(--s1); fill-opacity: 0.12; stroke: var(--s1); stroke-dasharray: 4 2; }
.bar { display: block; width: 5rem; height: 4px; margin: 0.2rem 0 0 auto; }
.bar .empty { fill: var(--raised); }
.bar .full { fill: var(--s0); }

.answer h3 { margin: 0; font-size: 1.02rem; }
.answer .before { margin: 0 0 0.3rem; }
.answer dl { display: grid; grid-template-columns: max-content minmax(0, 1fr); gap: 0.5rem 1rem; margin: 0.6rem 0 0; }
.answer dt { font-weight: 600; font-size: 0.875rem; line-height: 1.7; }
.answer dd { margin: 0; }
.said { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.continued { color: var(--muted); }
.about { display: flex; flex-wrap: wrap; gap: 0 0.9rem; font-size: 0.8125rem; color: var(--muted); }
.facts h3 { margin: 0 0 0.5rem; font-size: 0.9rem; }
.facts dl { display: grid; grid-template-columns: minmax(0, 1fr) max-content; gap: 0.45rem 1rem; margin: 0.3rem 0;
  font-size: 0.9rem; }
.facts dt { color: var(--muted); }
.facts dd { margin: 0; text-align: right; font-variant-numeric: tabular-nums; }
.facts p { font-size: 0.9rem; margin: 0.6rem 0 0.2rem; }
summary { cursor: pointer; padding: 0.3rem 0; font-weight: 600; }
footer { margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--line); }

@media (max-width: 40rem) {
  body { padding-top: 1.5rem; }
  th, td { padding: 0.5rem 0.7rem; }
  tbody th { white-space: normal; width: 8rem; max-width: 8rem; }
  .wide { width: 15rem; }
  section { margin-top: 2.5rem; }
}
@media print {
  :root {
    color-scheme: light;
    --paper: #fff; --surface: #fff; --raised: #eee; --ink: #000; --muted: #444; --line: #ccc;
    --good: #0d655d; --good-soft: #eef5f2; --bad: #8d3b12; --bad-soft: #f9efe8;
    --s0: #0d655d; --s1: #a2491a; --s2: #5a4a9c;
  }
  body { max-width: none; padding: 0; font-size: 9.5pt; }
  nav, .skip { display: none; }
  section { margin-top: 1.5rem; }
  h2 { break-after: avoid; }
  figure, .answer, .facts, tr { break-inside: avoid; }
  .scroll { overflow: visible; }
  table { font-size: 8pt; }
  th, td { padding: 0.25rem 0.35rem; }
  thead th { font-size: 7.5pt; white-space: normal; }
  .change, .about { font-size: 7.5pt; }
  .wrap, .wide { width: auto; }
  table { width: 100%; }
  .grid { grid-template-columns: 1fr 1fr; }
  tbody th { position: static; }
}
"""
