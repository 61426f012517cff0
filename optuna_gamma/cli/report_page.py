"""The report as one file of HTML that loads nothing."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
import hashlib
import html
from importlib.metadata import version
from typing import Any

from optuna_gamma.cli.report_words import Facts
from optuna_gamma.cli.report_words import headline
from optuna_gamma.cli.report_words import remarks
from optuna_gamma.cli.report_words import summary
from optuna_gamma.cli.report_words import table
from optuna_gamma.visualization.style import get_plotlyjs


@dataclass(frozen=True)
class Picture:
    """A section of the report.

    Attributes:
        heading: What it is about.
        caption: How to read it.
        figures: Plotly figures, side by side where there is room.
    """

    heading: str
    caption: str
    figures: list[Any]


_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c2024; --soft: #5b636b;
  --line: #d9dde1; --raised: #f5f7f9; --accent: #b8501a; }
@media (prefers-color-scheme: dark) { :root { --ground: #15181b; --ink: #e6e8ea; --soft: #a4acb4;
  --line: #343a40; --raised: #1e2226; --accent: #f0945a; } }
@media print { :root { color-scheme: light; --ground: #fff; --ink: #000; --soft: #444;
  --line: #bbb; --raised: #fff; --accent: #8a3a10; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 24px 20px 64px; max-width: 960px; background: var(--ground);
  color: var(--ink); font: 16px/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.7em; line-height: 1.2; margin: 0 0 4px; }
h2 { font-size: 1.25em; margin: 40px 0 6px; }
p { margin: 8px 0; max-width: 46em; }
.lead { font-size: 1.1em; } .soft, footer { color: var(--soft); }
.key { border-left: 4px solid var(--accent); padding-left: 12px; }
ul { padding-left: 22px; max-width: 46em; } li { margin: 4px 0; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.93em;
  overflow-wrap: normal; }
th, td { text-align: right; padding: 5px 12px 5px 0; border-bottom: 1px solid var(--line);
  white-space: nowrap; }
th { color: var(--soft); font-weight: 600; vertical-align: bottom; }
.side { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 380px), 1fr)); }
.plot { min-width: 0; }
pre { background: var(--raised); border: 1px solid var(--line); border-radius: 6px; padding: 12px;
  overflow-x: auto; font-size: 0.85em; }
.js-plotly-plot text[class$="title"], .js-plotly-plot [class$="tick"] text,
.js-plotly-plot .legendtext, .js-plotly-plot .annotation-text { fill: var(--soft) !important; }
@media (max-width: 500px) { body { padding: 16px 12px 48px; } }
@media print { body { max-width: none; padding: 0; font-size: 11pt; } .modebar { display: none; }
  section, tr { break-inside: avoid; } h2 { break-after: avoid; } .wide { overflow: visible; } }
"""

_SCRIPT = """
(async () => {
  const touch = matchMedia("(pointer: coarse)").matches, drawn = [];
  for (const source of document.querySelectorAll("script[data-figure]")) {
    const figure = JSON.parse(source.textContent), plot = source.nextElementSibling;
    if (touch) figure.layout.dragmode = false;  // a finger scrolls the page
    await Plotly.newPlot(plot, figure.data, figure.layout, {
      responsive: true, displaylogo: false, displayModeBar: touch ? false : "hover",
      modeBarButtonsToRemove: ["select2d", "lasso2d", "autoScale2d"],
    });
    drawn.push(plot);
    await new Promise((resolve) => setTimeout(resolve));  // the page stays alive meanwhile
  }
  // Paper has its own width.
  const fit = (size) => drawn.forEach((plot) => Plotly.relayout(plot, size));
  addEventListener("beforeprint", () => fit({width: 660, autosize: false}));
  addEventListener("afterprint", () => fit({width: null, autosize: true}));
  document.documentElement.dataset.drawn = drawn.length;
})();
"""


def page(facts: Facts, pictures: Sequence[Picture], now: str) -> str:
    """Return the report.

    Args:
        facts: What is told.
        pictures: What is shown.
        now: When that was.
    """
    scripts = [get_plotlyjs(), _SCRIPT] if pictures else []
    allowed = " ".join(map(_hash, scripts)) or "'none'"
    # Whatever a study holds, only these scripts run, and nothing is loaded.
    policy = (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data: blob:"
    )
    name = _escape(facts.status.study_name)
    words = summary(facts)
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<link rel="icon" href="data:,">',
            f"<title>{name} – optuna-gamma</title><style>{_STYLE}</style></head><body>",
            f"<header><h1>{name}</h1>",
            f'<p class="lead">{_escape(headline(facts))}</p></header>',
            "<main>",
            *(f"<p>{_escape(paragraph)}</p>" for paragraph in words[:-1]),
            *(f'<p class="key">{_escape(paragraph)}</p>' for paragraph in words[-1:]),
            *_remarks(facts),
            *_table(facts),
            *(_section(picture) for picture in pictures),
            *_options(facts),
            "</main>",
            f"<footer><p>Written {_escape(now)} by optuna-gamma {version('optuna-gamma')}. "
            "<noscript>The pictures need JavaScript; the rest does not.</noscript></p></footer>",
            *(f"<script>{script}</script>" for script in scripts),
            "</body></html>\n",
        ]
    )


def _remarks(facts: Facts) -> list[str]:
    said = remarks(facts)
    if not said:
        return []
    items = "".join(f"<li>{_escape(remark)}</li>" for remark in said)
    return [f"<section><h2>What to know</h2><ul>{items}</ul></section>"]


def _table(facts: Facts) -> list[str]:
    headings, rows = table(facts)
    if not rows:
        return []
    head = "".join(f'<th scope="col">{_escape(heading)}</th>' for heading in headings)
    body = "".join(
        f"<tr>{''.join(f'<td>{_escape(cell)}</td>' for cell in row)}</tr>" for row in rows
    )
    return [
        '<section><h2>Stages</h2><div class="wide"><table>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div></section>"
    ]


def _section(picture: Picture) -> str:
    plots = []
    for figure in picture.figures:
        title = figure.layout.title.text
        figure.update_layout(title=None, margin={"t": 28})
        # In JSON a "<" may as well be escaped: then no text can end the script.
        content = figure.to_json().replace("<", "\\u003c")
        plots.append(
            f'<script type="application/json" data-figure>{content}</script>'
            f'<div class="plot" role="img" aria-label="{_escape(title)}" '
            f'style="height:{int(figure.layout.height)}px"></div>'
        )
    if len(plots) > 1:
        plots = [f"<div>{plot}</div>" for plot in plots]
    return (
        f"<section><h2>{_escape(picture.heading)}</h2>"
        f'<p class="soft">{_escape(picture.caption)}</p>'
        f'<div class="{"side" if len(plots) > 1 else "one"}">{"".join(plots)}</div></section>'
    )


def _options(facts: Facts) -> list[str]:
    if facts.options is None:
        return []
    parts = [facts.options.to_toml()]
    if facts.metrics is not None:
        versions = ", ".join(f"{k} {v}" for k, v in facts.metrics["versions"].items())
        parts.append(f"# {facts.metrics['device']}; {facts.metrics['machine']}\n# {versions}\n")
    return [
        "<section><h2>Options</h2><details><summary>How the run was begun</summary>"
        f"<pre>{_escape(''.join(parts))}</pre></details></section>"
    ]


def _hash(script: str) -> str:
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return f"'sha256-{digest}'"


def _escape(text: object) -> str:
    return html.escape(str(text))
