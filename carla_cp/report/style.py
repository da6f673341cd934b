"""The page's look."""

STYLE = """
:root { --ink: #1d2330; --soft: #667085; --line: #e4e7ec; --paper: #ffffff; --ground: #f5f6f8; --bad: #d1242f; }
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 15px/1.5 system-ui, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
main { max-width: 1320px; margin: 0 auto; padding: 32px clamp(10px, 3vw, 24px) 64px; }
h1 { font-size: 28px; margin: 0 0 4px; letter-spacing: -0.01em; }
h2 { font-size: 18px; margin: 0 0 4px; }
p { margin: 0 0 12px; } .soft, .note { color: var(--soft); } .note { font-size: 13px; max-width: 90ch; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px; padding: 20px 22px;
  margin-top: 18px; overflow-x: auto; }
.pair { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(440px, 100%), 1fr)); gap: 0 18px; }
.plot svg { max-width: 100%; height: auto; display: block; }
.plot.wide svg { width: 100%; } .plot.panels svg { min-width: 620px; } h3 { font-size: 15px; margin: 18px 0 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; font-size: 13.5px; }
th { text-align: right; font-weight: 600; color: var(--soft); font-size: 12px; white-space: nowrap; }
th, td { padding: 6px 8px; border-bottom: 1px solid var(--line); }
td { text-align: right; white-space: nowrap; } th.left, td.left { text-align: left; }
tbody tr:last-child td { border-bottom: 0; } tbody tr:hover { background: #f8fafc; }
.dot { display: inline-block; width: 10px; height: 10px; border-radius: 5px; margin-right: 8px; }
.interval { color: var(--soft); font-size: 12px; } .bad { color: var(--bad); font-weight: 600; }
.track { display: inline-block; position: relative; width: 110px; height: 8px; border-radius: 4px; background: #edf0f3;
  vertical-align: middle; margin-left: 10px; }
.track i { position: absolute; top: 0; bottom: 0; border-radius: 4px; background: #f2b8bb; }
.track b { position: absolute; top: -2px; bottom: -2px; width: 3px; margin-left: -1px; background: var(--bad); }
code { font: 13px/1.5 ui-monospace, "DejaVu Sans Mono", monospace; background: #f2f4f7; border-radius: 6px;
  padding: 8px 12px; display: block; white-space: pre-wrap; overflow-wrap: anywhere; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: 4px 18px; margin: 0 0 12px; }
dt { color: var(--soft); } dd { margin: 0; }
table.matrix { width: auto; } table.matrix td { text-align: center; border: 2px solid var(--paper); min-width: 84px;
  line-height: 1.35; }
table.matrix td.left { text-align: left; } table.matrix th { text-align: center; } td.soft { color: var(--soft); }
summary { cursor: pointer; color: var(--soft); } details[open] summary { margin-bottom: 12px; }
details.part { margin-top: 10px; } small { font-size: 11.5px; }
"""
