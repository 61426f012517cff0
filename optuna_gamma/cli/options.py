"""The options of ``optuna-gamma train`` as the rest of the program sees them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
import json
from pathlib import Path
import re
import sys
from typing import Literal

from optuna_gamma.cli.seal import unseal_text


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Sampler = Literal["gamma", "gaussian", "conjugate", "gp", "tpe", "random", "grid"]
Objective = Literal["kappa", "accuracy", "loss"]

OPTIONS_FILE = "config.toml"


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """One field an option, with its name; see ``optuna-gamma train --help``."""

    dataset: str
    model: str
    stages: int
    trials: int
    epochs_per_stage: int | None
    sampler: Sampler
    objective: Objective
    lr_min: float
    lr_max: float
    n_train: int | None
    n_valid: int | None
    batch_size: int
    momentum: float
    weight_decay: float
    data: Path | None
    device: str
    threads: int | None
    out: Path
    storage: str | None
    name: str
    seed: int
    quiet: bool

    def to_toml(self) -> str:
        """Return the options as TOML, under the names they have on the command line."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return "".join(
            # A JSON string without escapes for non-ASCII letters is a TOML string.
            f"{_dashed(name)} = {json.dumps(_plain(value), ensure_ascii=False)}\n"
            for name, value in values.items()
            if value is not None
        )

    @staticmethod
    def read(out: Path) -> TrainOptions:
        """Read the options of the run in a folder back from its ``config.toml``.

        Raises:
            ValueError: If there is no such file, or it is not, bit for bit, what was written.
        """
        path = out / OPTIONS_FILE
        try:
            values = tomllib.loads(unseal_text(path.read_text(encoding="utf-8")))
        except FileNotFoundError:
            raise ValueError(
                f"There is no {path}: `optuna-gamma train` writes it when its first trial begins."
            ) from None
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        options = dict.fromkeys(
            field.name for field in fields(TrainOptions)
        )  # None is not written
        options.update({name.replace("-", "_"): value for name, value in values.items()})
        options["out"] = out
        if options["data"] is not None:
            options["data"] = Path(str(options["data"]))
        try:
            return TrainOptions(**options)  # type: ignore[arg-type]
        except TypeError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error


# What the library's messages call an option, where it is not the option's own name.
_LIBRARY_NAMES = {
    "directory": "--out",
    "study_name": "--name",
    "n_stages": "--stages",
    "n_trials": "--trials",
    "data": "the hash of the images (--dataset, --n-train, --n-valid, --seed)",
}


def in_options(message: str) -> str:
    """Say ``--option`` where a message of the library says ```argument```.

    >>> in_options("`n_stages` is 4, `fingerprint['lr_max']` is 0.5; `x` stays.")
    '--stages is 4, --lr-max is 0.5; `x` stays.'
    """
    names = {field.name: f"--{_dashed(field.name)}" for field in fields(TrainOptions)}
    names.update(_LIBRARY_NAMES)
    pattern = r"`(?:fingerprint\[')?(\w+)(?:'\])?`"
    return re.sub(pattern, lambda match: names.get(match[1], match[0]), message)


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _plain(value: str | int | float | Path) -> str | int | float:
    return str(value) if isinstance(value, Path) else value
