"""What a benchmark leaves: a JSON file with rows and how they came about, a table, a picture."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from datetime import timezone
from enum import Enum
from importlib import metadata
import json
import os
from pathlib import Path
import platform
import re
import subprocess
import sys
from typing import Any

from matplotlib.figure import Figure
from rich.console import Console
from rich.table import Table


RESULTS = Path(__file__).parent / "results"


class Preset(str, Enum):
    """How much of a benchmark is run."""

    smoke = "smoke"
    cpu = "cpu"
    paper = "paper"


class Purpose(str, Enum):
    """What a comparison is for; the two share neither seeds nor what they report."""

    choose = "choose"
    final = "final"


@dataclass(frozen=True)
class Record:
    """The outcome of one benchmark run.

    Args:
        name: File name without ending.
        title: Heading of the table.
        rows: One mapping a row, from column to value; all with the same columns.
        seeds: Seeds used.
        packages: Distributions whose versions matter.
        notes: What a reader of the figures must know.
    """

    name: str
    title: str
    rows: Sequence[Mapping[str, Any]]
    seeds: Sequence[int]
    packages: Sequence[str] = ()
    notes: str = ""

    def save(self, out: Path, figure: Figure | None = None) -> None:
        """Print the table and write NAME.json, and NAME.png if there is a figure."""
        table = Table(title=self.title, caption=self.notes, caption_justify="left")
        for column in self.rows[0]:
            table.add_column(column, justify="left" if column == "sampler" else "right")
        for row in self.rows:
            table.add_row(*(_show(value) for value in row.values()))
        Console().print(table)

        out.mkdir(parents=True, exist_ok=True)
        content = {
            "title": self.title,
            "notes": self.notes,
            "command": " ".join(["python -m benchmarks", *sys.argv[1:]]),
            "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
            "commit": _commit(),
            "machine": machine(),
            "versions": {
                name: metadata.version(name)
                for name in ("optuna-gamma", "optuna", "numpy", "scipy", *self.packages)
            },
            "seeds": list(self.seeds),
            "rows": [dict(row) for row in self.rows],
        }
        path = out / f"{self.name}.json"
        path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
        print(f"Written: {path}")
        if figure is not None:
            figure.savefig(path.with_suffix(".png"), dpi=150, bbox_inches="tight")
            print(f"Written: {path.with_suffix('.png')}")


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Write rows as a table; all have the same columns."""
    if not rows:
        return "Nothing to compare."
    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(v) for v in r.values()] for r in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def machine() -> dict[str, Any]:
    """Describe what this runs on, as far as figures depend on it."""
    model = ""
    if (cpuinfo := Path("/proc/cpuinfo")).exists():
        found = re.search(r"model name\s*:\s*(.*)", cpuinfo.read_text())
        model = found[1] if found else ""
    return {
        "processor": model or platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "system": platform.system(),
        "python": platform.python_version(),
        "threads": os.environ.get("OMP_NUM_THREADS", "default"),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        return subprocess.run(
            command, cwd=RESULTS, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
