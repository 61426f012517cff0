"""HEBO (Cowen-Rivers et al. 2022), in a process of its own with an environment of its own.

It needs releases of NumPy and pandas that Optuna's other neighbours have left behind. The two
processes exchange lines of JSON, see :mod:`benchmarks.samplers.rivals.hebo_server`.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
import json
import os
from pathlib import Path
import subprocess
from typing import Any
import weakref

from optuna.distributions import BaseDistribution
from optuna.distributions import CategoricalDistribution
from optuna.distributions import FloatDistribution
from optuna.distributions import IntDistribution

from benchmarks.samplers.rivals.ask_tell import AskTellSampler
from benchmarks.samplers.setting import Setting


SERVER = Path(__file__).with_name("hebo_server.py")


def hebo_sampler(setting: Setting) -> AskTellSampler:
    """Build a sampler."""
    return AskTellSampler(setting.space, _Hebo(setting))


@lru_cache
def hebo_version() -> str:
    """Ask the other environment for its versions."""
    code = "from importlib.metadata import version as v; print(v('HEBO'), v('torch'))"
    command = [_python(), "-c", code]
    answer = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return f"hebo-{answer[0]}+torch-{answer[1].partition('+')[0]}"


class _Hebo:
    def __init__(self, setting: Setting) -> None:
        self._space = setting.space
        self._process = subprocess.Popen(
            [_python(), "-I", SERVER],  # -I: this folder is not on its path
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        weakref.finalize(self, _end, self._process)
        parameters = [_parameter(name, kind) for name, kind in setting.space.items()]
        self._send({"space": parameters, "seed": setting.seed})

    def ask(self) -> dict[str, Any]:
        """Propose parameters."""
        proposed = self._send({"ask": True})
        return {
            name: kind.choices[int(proposed[name])]
            if isinstance(kind, CategoricalDistribution)
            else int(proposed[name])
            if isinstance(kind, IntDistribution)
            else proposed[name]
            for name, kind in self._space.items()
        }

    def tell(self, params: Mapping[str, Any], value: float) -> None:
        """Learn the value of what was proposed last."""
        del params
        self._send({"tell": value})

    def _send(self, message: dict[str, Any]) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(message) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"HEBO ended with exit status {self._process.wait()}.")
        return json.loads(answer)


def _end(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()


def _parameter(name: str, kind: BaseDistribution) -> dict[str, Any]:
    """Translate a range; categories go by their indices."""
    if isinstance(kind, CategoricalDistribution):
        categories = [str(k) for k in range(len(kind.choices))]
        return {"name": name, "type": "cat", "categories": categories}
    assert isinstance(kind, FloatDistribution | IntDistribution)
    types = ("int", "pow_int") if isinstance(kind, IntDistribution) else ("num", "pow")
    return {"name": name, "type": types[kind.log], "lb": kind.low, "ub": kind.high} | (
        {"base": 10} if kind.log else {}
    )


def _python() -> str:
    python = os.environ.get("HEBO_PYTHON", "")
    if not python:
        raise RuntimeError(
            "HEBO needs an environment of its own: make one from benchmarks/requirements-hebo.txt "
            "and name its Python by --hebo-python or HEBO_PYTHON."
        )
    return python
