from __future__ import annotations

import subprocess
import sys

import pytest


HEAVY = ("torch", "torchvision", "sklearn", "plotly", "pandas", "matplotlib", "typer", "rich")

SCRIPTS = {
    "import": "import optuna_gamma",
    "sample": """
import optuna, optuna_gamma
study = optuna.create_study(sampler=optuna_gamma.GammaBOSampler(seed=0))
study.optimize(lambda t: t.suggest_float("x", 0, 1), n_trials=8)
""",
    "names": """
import optuna_gamma
for name in optuna_gamma.__all__:
    assert getattr(optuna_gamma, name).__module__.startswith("optuna_gamma"), name
""",
}


MISSING = """
import sys
class Missing:
    def find_spec(self, name, *_):
        if name.partition(".")[0] == "{missing}":
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Missing())
"""


@pytest.mark.parametrize("script", SCRIPTS.values(), ids=SCRIPTS)
def test_nothing_heavy_is_imported(script: str) -> None:
    check = f"\nimport sys\nprint([m for m in {HEAVY!r} if m in sys.modules])"
    output = subprocess.run(
        [sys.executable, "-c", script + check], capture_output=True, text=True, check=True
    ).stdout
    assert output.strip().splitlines()[-1] == "[]"


def test_pictures_need_no_torch() -> None:
    pytest.importorskip("plotly", reason="needs pip install 'optuna-gamma[dashboard]'")
    script = "import sys, optuna_gamma.visualization; print('torch' in sys.modules)"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert output.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("module", "missing", "extra"),
    [
        ("optuna_gamma.vision", "torch", "train"),
        ("optuna_gamma.vision.models", "sklearn", "train"),
        ("optuna_gamma.visualization", "plotly", "dashboard"),
        ("optuna_gamma.dashboard", "optuna_dashboard", "dashboard"),
    ],
)
def test_without_an_extra_the_error_says_what_to_install(
    module: str, missing: str, extra: str
) -> None:
    script = MISSING.format(missing=missing) + f"import {module}"
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert f"pip install 'optuna-gamma[{extra}]'" in output.stderr.splitlines()[-1]


def test_unknown_names_are_refused() -> None:
    import optuna_gamma

    assert set(optuna_gamma.__all__) <= set(dir(optuna_gamma))
    with pytest.raises(AttributeError, match="no attribute 'missing'"):
        optuna_gamma.missing  # noqa: B018
