"""``optuna-gamma clean``."""

from __future__ import annotations

from pathlib import Path

import optuna
import pytest
from typer.testing import CliRunner

from optuna_gamma.cli.app import app
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import Stage


def objective(trial: optuna.Trial, stage: Stage) -> float:
    x = trial.suggest_float("x", 0.0, 1.0)
    stage.save(trial, {"x": x})
    return x


@pytest.mark.parametrize("url", [None, "sqlite:///{}/study.db"])
def test_clean(tmp_path: Path, url: str | None) -> None:
    storage = url and url.format(tmp_path)
    out = tmp_path / "run"
    staged = create_staged_study(study_name="any name", storage=storage, directory=out)
    staged.optimize(objective, 2, 2)
    orphan = out / "checkpoints" / "stage-000-trial-00001-abc.tmp"
    orphan.touch()
    before = set(out.rglob("*"))
    options = ["clean", "--out", str(out), *(["--storage", storage] if storage else [])]
    result = CliRunner().invoke(app, [*options, "--dry-run"])
    assert (result.exit_code, result.output) == (0, f"{orphan}\n")
    assert set(out.rglob("*")) == before
    assert CliRunner().invoke(app, options).output == f"{orphan}\n"
    assert set(out.rglob("*")) == before - {orphan}
    again = CliRunner().invoke(app, options)
    assert (again.exit_code, again.output) == (0, "")
    assert staged.load_best()


def test_bad_input_is_named(tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["clean", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert f"{tmp_path} holds no run" in result.stderr
    (tmp_path / "run.json").write_text("{}")
    result = CliRunner().invoke(app, ["clean", "--out", str(tmp_path)])
    assert result.exit_code == 2
    assert "run.json cannot be read" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]
