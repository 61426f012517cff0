from __future__ import annotations

from itertools import product
import json
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import FloatDistribution
from optuna.trial import create_trial
import pytest
from typer.testing import CliRunner

from benchmarks.__main__ import app
from benchmarks.record import Preset
from benchmarks.samplers.plan import Plan
from benchmarks.samplers.record import RunRecord
from benchmarks.samplers.run import ENTRANTS
from benchmarks.samplers.setting import Setting
from benchmarks.samplers.variants import VARIANTS
from optuna_gamma import proposal
from optuna_gamma import surrogate


def _proposals(label: str) -> list[dict[str, Any]]:
    """Start and propose, before and after an even history with a value that contradicts it."""
    space = {name: FloatDistribution(0, 1) for name in "xy"}
    study = optuna.create_study(sampler=ENTRANTS[label].make(Setting(space, 1, 40)))

    def value(x: float, y: float) -> float:
        return (x - 0.3) ** 2 + 10 * (y - 0.6 * x) ** 2

    def go_on() -> None:
        for _ in range(10):
            trial = study.ask(space)
            study.tell(trial, value(**trial.params))

    go_on()
    for i, j in product(range(5), repeat=2):
        params = {"x": i / 4, "y": j / 4}
        contradicts = (i, j) == (2, 1)
        study.add_trial(
            create_trial(
                params=params,
                distributions=space,
                value=value(**params) - 3 * contradicts,
            )
        )
    go_on()
    return [trial.params for trial in study.trials]


@pytest.mark.parametrize("label", sorted(VARIANTS))
def test_each_variant_proposes_otherwise(label: str) -> None:
    assert _proposals(label) != _proposals("gamma")


def test_nothing_stays_changed() -> None:
    before = proposal.maximize, proposal.USUAL, surrogate.standardize
    _proposals("trust region")
    _proposals("search effort x 4")
    _proposals("copula")
    assert (proposal.maximize, proposal.USUAL, surrogate.standardize) == before


def test_the_command_writes_a_table_and_resumes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from benchmarks.samplers import ablation

    chosen = {name: VARIANTS[name] for name in ("copula", "start-up 8")}
    monkeypatch.setattr(ablation, "VARIANTS", chosen)
    command = ["ablation", "--preset", "smoke", "--jobs", "1", "--out", str(tmp_path)]
    assert CliRunner().invoke(app, command).exit_code == 0
    table = (tmp_path / "ablation-bbob-smoke.md").read_text()
    for name in chosen:
        assert f"| {name} |" in table
    files = sorted((tmp_path / "ablation").glob("*.jsonl"))
    assert len(files) == 3
    sizes = [file.stat().st_size for file in files]
    assert CliRunner().invoke(app, command).exit_code == 0
    assert [file.stat().st_size for file in files] == sizes


def test_stars_are_of_p_values_corrected_for_the_number_of_rows(tmp_path: Path) -> None:
    from benchmarks.samplers import ablation

    # Worse on all of six problems: p is 0.03, and three times that corrected for three rows.
    regrets = {"gamma": 0.1, "start-up 2": 0.2, "start-up 8": 0.3, "copula": 0.4}
    records = [
        RunRecord(
            label, "1", "bbob", "x", f"f{k:02}", 2, 0, 12, ((1, regret * (k + 1)),), 1.0, 1.0
        )
        for label, regret in regrets.items()
        for k in range(6)
    ]

    def cells(chosen: list[RunRecord]) -> list[str]:
        ablation._report("bbob", chosen, Plan(12), tmp_path, Preset.smoke)
        rows = json.loads((tmp_path / "ablation-bbob-smoke.json").read_text())["rows"]
        return [row["12 trials"] for row in rows]

    assert len(cells(records)) == 3
    assert not any("*" in cell for cell in cells(records))
    (cell,) = cells([record for record in records if record.sampler in ("gamma", "copula")])
    assert cell.endswith("0*")
