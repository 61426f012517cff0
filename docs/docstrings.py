"""Docstrings as Markdown: their roles and directives are those of Sphinx, which Optuna uses."""

from __future__ import annotations

import re
import textwrap
from typing import Any

import griffe


_CODE = re.compile(r":(?:class|meth|func|data|obj|mod|attr|exc):`(~?)([^`]+)`")
_MATH = re.compile(r":math:`([^`]+)`")
_BLOCK = re.compile(
    r"^(?P<indent> *)\.\. (?P<name>math|note|code-block)::(?P<language>[^\n]*)\n"
    r"(?P<body>(?:(?P=indent) +\S.*\n|\s*\n)+)",
    re.MULTILINE,
)
_EXAMPLE = re.compile(r"^( *)Example:$", re.MULTILINE)


class SphinxRoles(griffe.Extension):
    """Translates them before docstrings are parsed."""

    def on_instance(self, *, obj: griffe.Object, **_: Any) -> None:
        """Translate the docstring of one object; called by griffe."""
        if obj.docstring is not None:
            obj.docstring.value = to_markdown(obj.docstring.value)


def to_markdown(text: str) -> str:
    """Translate roles, formulas, notes and code."""
    text = _EXAMPLE.sub(r"\1Examples:", text)  # as griffe calls the section
    text = _BLOCK.sub(_block, text + "\n").removesuffix("\n")
    text = _MATH.sub(r"\\(\1\\)", text)
    return re.sub(r"``([^`]+)``", r"`\1`", _CODE.sub(_reference, text))


def _reference(role: re.Match[str]) -> str:
    target = role[2].lstrip(".")
    shown = target.rsplit(".", 1)[-1] if role[1] else target
    # What has no place in the reference, such as Optuna's own classes, stays without a link.
    return f'<autoref identifier="{target}" optional><code>{shown}</code></autoref>'


def _block(directive: re.Match[str]) -> str:
    indent, body = directive["indent"], textwrap.dedent(directive["body"]).strip("\n")
    if directive["name"] == "math":
        lines = [r"\[", *body.splitlines(), r"\]"]
    elif directive["name"] == "code-block":
        lines = [f"```{directive['language'].strip()}", *body.splitlines(), "```"]
    else:
        lines = ["!!! note", "", *textwrap.indent(body, "    ").splitlines()]
    return "\n".join(f"{indent}{line}".rstrip() for line in ["", *lines, ""]) + "\n"
