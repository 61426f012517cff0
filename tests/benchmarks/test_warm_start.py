from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks import warm_start
from benchmarks.__main__ import app
from benchmarks.warm_start import Chain


CHAIN = Chain("digits", 10, 0, (1e-3, 1e-2, 1e-1, 0.5), ((0.0, 6.0, 2.0, None), (0, 6, 2, None)))


def test_landscapes_are_interpolated_in_the_logarithm_of_the_rate() -> None:
    assert CHAIN.value(0, 1e-2) == pytest.approx(6.0)
    assert CHAIN.value(0, math.sqrt(1e-3)) == pytest.approx(4.0)
    assert math.isnan(CHAIN.value(0, 0.3))  # beside a rate that diverged


def test_only_warm_searches_know_the_stage_before() -> None:
    cold, warm = (warm_start.search(CHAIN, 3, method) for method in warm_start.METHODS)
    assert cold[0] == warm[0]
    assert warm[1][0] > cold[1][0]
    for values in (*cold, *warm):
        assert values == sorted(values)
        assert len(values) == warm_start.TRIALS


def test_the_command_measures_a_landscape_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Processes of their own would import PyTorch for most of the test's time.
    monkeypatch.setattr(
        warm_start, "run_all", lambda function, jobs, processes: map(function, jobs)
    )
    command = ["warm-start", "--preset", "smoke", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    landscapes = tmp_path / "warm-start" / "landscapes-smoke.jsonl"
    before = landscapes.read_text()
    assert CliRunner().invoke(app, command).exit_code == 0
    assert landscapes.read_text() == before

    landscapes.write_text(before[:-9])  # killed while it wrote
    assert CliRunner().invoke(app, command).exit_code == 0
    assert landscapes.read_text() == before
    rows = json.loads((tmp_path / "warm-start-smoke.json").read_text())["rows"]
    assert [row["trials"] for row in rows] == [1, 2, 3, 4, 6, 8, 12]
