from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.fuzz import check
from optuna_gamma import GammaBOSampler


@pytest.fixture(autouse=True)
def _logger(monkeypatch: pytest.MonkeyPatch) -> None:
    logger = logging.getLogger("optuna_gamma")
    for name in ("handlers", "level", "propagate"):
        value = getattr(logger, name)
        monkeypatch.setattr(logger, name, value.copy() if isinstance(value, list) else value)


def test_the_record_counts_what_was_done(tmp_path: Path) -> None:
    command = ["fuzz", "--n", "40", "--seed", "3", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    rows = json.loads((tmp_path / "fuzz.json").read_text())["rows"]
    assert sum(row["studies"] for row in rows) == 40
    assert 0 < sum(row["by the model"] for row in rows) < sum(row["proposals"] for row in rows)


def test_a_sampler_that_fails_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Broken(GammaBOSampler):
        def sample_independent(self, *args, **kwargs):  # type: ignore[no-untyped-def]
            raise ZeroDivisionError

    monkeypatch.setattr(check, "GammaBOSampler", Broken)
    command = ["fuzz", "--n", "40", "--out", str(tmp_path)]
    result = CliRunner().invoke(app, command)
    assert isinstance(result.exception, ZeroDivisionError)
    assert not (tmp_path / "fuzz.json").exists()
