"""What MkDocs calls while it builds: pictures of benchmarks, and formulas without a script.

Browsers draw MathML by themselves, so that formulas need neither a network nor a script of a
megabyte in this repository.
"""

from __future__ import annotations

import html as html_
from pathlib import Path
import re

from latex2mathml.converter import convert
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File
from mkdocs.structure.files import Files
from mkdocs.structure.pages import Page


RESULTS = Path(__file__).parents[1] / "benchmarks" / "results"

_FORMULA = re.compile(
    r'<(?P<tag>span|div) class="arithmatex">\\(?P<kind>[\[(])(?P<tex>.*?)\\[\])]</(?P=tag)>',
    re.DOTALL,
)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures of ``benchmarks/results`` as files in ``results/``."""
    for path in sorted(RESULTS.glob("*.png")):
        files.append(File.generated(config, f"results/{path.name}", abs_src_path=str(path)))
    return files


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Replace formulas in TeX by MathML."""
    return _FORMULA.sub(_to_mathml, html)


def _to_mathml(formula: re.Match[str]) -> str:
    display = "block" if formula["kind"] == "[" else "inline"
    mathml = convert(html_.unescape(formula["tex"]).strip(), display=display)
    mathml = mathml.replace("<mi>&#x0007E;</mi>", "<mo>&#x0223C;</mo>")  # a relation
    mathml = mathml.replace("<mi>ln</mi>", '<mi>ln</mi><mspace width="0.17em"/>')
    return f'<{formula["tag"]} class="formula">{mathml}</{formula["tag"]}>'
