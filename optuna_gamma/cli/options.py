"""The options of ``optuna-gamma train`` as the rest of the program sees them."""

from __future__ import annotations

from dataclasses import dataclass
from dataclasses import fields
import json
from pathlib import Path
import re
import sys
from typing import Any
from typing import Literal

from optuna_gamma.cli.seal import unseal_text


if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


Sampler = Literal["gamma", "gaussian", "conjugate", "gp", "tpe", "random", "grid"]
Objective = Literal["kappa", "accuracy", "loss"]
Optimizer = Literal["sgd", "adamw"]
Averaging = Literal["none", "tail"]

Content = Literal["schedule", "trials", "weights"]
Format = Literal["csv", "json", "safetensors", "pt"]

Setting = float | tuple[float, float]
"""A number, or the ends of an interval that is searched."""

Numbers = int | tuple[int, ...]
"""A number of every stage, or several between which the stages alternate."""

SETTINGS = ("momentum", "weight_decay", "batch_size", "dropout")
"""What may be searched beside the learning rate."""

OPTIONS_FILE = "config.toml"

LARGEST_NUMBER = 1_000_000
"""Of trials, or of epochs, of a stage."""

MOST_STAGES = 10_000


@dataclass(frozen=True, kw_only=True)
class TrainOptions:
    """One field an option, with its name; see ``optuna-gamma train --help``."""

    dataset: str
    model: str
    stages: int
    trials: Numbers
    epochs_per_stage: Numbers | None
    sampler: Sampler
    objective: Objective
    lr_min: float
    lr_max: float
    n_train: int | None
    n_valid: int | None
    batch_size: Setting
    optimizer: Optimizer
    momentum: Setting
    nesterov: bool
    weight_decay: Setting
    dropout: Setting | None
    augment: tuple[str, ...]
    class_weights: str | None
    averaging: Averaging
    data: Path | None
    device: str
    threads: int | None
    out: Path
    storage: str | None
    name: str
    seed: int
    quiet: bool

    @property
    def searched(self) -> dict[str, tuple[float, float]]:
        """The intervals that are searched beside the learning rate's, by name."""
        values = {name: getattr(self, name) for name in SETTINGS}
        return {name: value for name, value in values.items() if isinstance(value, tuple)}

    def to_toml(self) -> str:
        """Return the options as TOML, under the names they have on the command line."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return "".join(
            # A JSON string without escapes for non-ASCII letters is a TOML string, but for DEL.
            f"{_dashed(name)} = {_json(value)}\n"
            for name, value in values.items()
            if value is not None
        )

    @staticmethod
    def read(out: Path) -> TrainOptions:
        """Read the options of the run in a folder back from its ``config.toml``.

        Raises:
            ValueError: If there is no such file, or it is not, bit for bit, what was written.
        """
        from optuna_gamma.staged.identity import FILE_NAME  # not for `--help`, which it would slow

        options = TrainOptions.read_if_there(out)
        if options is None and (out / FILE_NAME).exists():
            raise ValueError(
                f"There is no {out / OPTIONS_FILE}, though {out} holds a run: a program of your "
                "own made it, or its first trial has not begun. Only that program knows how to "
                "train it: start it again to resume or join the run. A replay is "
                "`StagedSchedule.replay`."
            )
        if options is None:
            raise ValueError(
                f"There is no {out / OPTIONS_FILE}: give the folder of a run. `optuna-gamma "
                "train` writes that file when the run's first trial begins."
            )
        return options

    @staticmethod
    def read_if_there(out: Path) -> TrainOptions | None:
        """Read as :meth:`read`, but return :obj:`None` if there is no such file.

        Raises:
            ValueError: If it is not, bit for bit, what was written.
        """
        path = out / OPTIONS_FILE
        try:
            values = tomllib.loads(unseal_text(path.read_text(encoding="utf-8")))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValueError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error
        options: dict[str, Any] = dict.fromkeys(
            field.name for field in fields(TrainOptions)
        )  # None is not written
        for name, value in values.items():
            options[name.replace("-", "_")] = tuple(value) if isinstance(value, list) else value
        options["out"] = out
        if options["data"] is not None:
            options["data"] = Path(str(options["data"]))
        try:
            return TrainOptions(**options)
        except TypeError as error:
            raise ValueError(f"{path} cannot be read: {error}") from error


def read_config(path: Path) -> dict[str, Any]:
    """Read options from a TOML file, such as the ``config.toml`` of a run.

    Returns:
        The options as they are given on the command line, under the names they have here.

    Raises:
        ValueError: If the file cannot be read, or has something that is no option.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:  # of the encoding, too
        raise ValueError(f"{path} is not TOML: {error}.") from error
    known = [_dashed(field.name) for field in fields(TrainOptions)]
    given: dict[str, Any] = {}
    for name, value in values.items():
        if _dashed(name) not in known:
            raise ValueError(f"{path} has {name!r}, which is none of {', '.join(known)}.")
        if not isinstance(value, (str, int, float, list)):
            raise ValueError(f"{path} has {name} = {value!r}, where one value is expected.")
        key = name.replace("-", "_")
        if isinstance(value, list):
            value = (":" if key in SETTINGS else ",").join(map(str, value))
        given[key] = value
    return given


def is_remote(folder: str) -> bool:
    """Tell a URL from a path, also from what a path makes of a URL; a drive is no protocol.

    >>> [is_remote(f) for f in ("s3://bucket/run", "s3:/bucket/run", "runs/a", "C:/runs")]
    [True, True, False, False]
    """
    return re.match(r"\w\w+:/", folder) is not None


def parse_setting(text: str) -> Setting:
    """Read a number or an interval; whole numbers stay :obj:`int`.

    >>> parse_setting("0.9"), parse_setting("16:128")
    (0.9, (16, 128))

    Raises:
        ValueError: If it is neither.
    """
    low, colon, high = text.partition(":")
    try:
        if not colon:
            return _number(low)
        ends = _number(low), _number(high)
    except ValueError:
        raise ValueError(f"{text!r} is neither a number nor LOW:HIGH.") from None
    if not ends[0] < ends[1]:
        raise ValueError(f"In {text!r} the first number must be the smaller one.")
    return ends


def parse_numbers(text: str) -> Numbers:
    """Read one whole number or several.

    >>> parse_numbers("12"), parse_numbers("6,1")
    (12, (6, 1))

    Raises:
        ValueError: If it is neither.
    """
    parts = [part.strip() for part in text.split(",")]
    numbers = [int(part) if part.isdecimal() and len(part) < 20 else 0 for part in parts]
    if not 1 <= min(numbers) <= max(numbers) <= LARGEST_NUMBER:
        raise ValueError(
            f"{text!r} is neither a whole number of at least 1 and at most {LARGEST_NUMBER:,} nor "
            "several, such as 6,1."
        )
    return tuple(numbers) if len(numbers) > 1 else numbers[0]


def _number(text: str) -> float:
    try:
        return int(text)
    except ValueError:
        return float(text)


# What the library's messages call an option, where it is not the option's own name.
_LIBRARY_NAMES = {
    "directory": "--out",
    "study_name": "--name",
    "n_stages": "--stages",
    "n_trials": "--trials",
    "to": "--to",
    "format": "--format",
}

_OTHER_IMAGES = r"`fingerprint\['data'\]` is '\w+' there, but '\w+' was given"
"""Two hashes, which say nothing to people."""


def in_options(message: str) -> str:
    """Say ``--option`` where a message of the library says ```argument```.

    >>> in_options("`n_stages` is 4, `fingerprint['lr_max']` is 0.5; `x` stays.")
    '--stages is 4, --lr-max is 0.5; `x` stays.'
    """
    names = {field.name: f"--{_dashed(field.name)}" for field in fields(TrainOptions)}
    names.update(_LIBRARY_NAMES)
    pattern = r"`(?:fingerprint\[')?(\w+)(?:'\])?`"
    message = re.sub(
        _OTHER_IMAGES,
        "other images were given (they follow from --dataset, --n-train, --n-valid and --seed)",
        message,
    )
    named = re.sub(pattern, lambda match: names.get(match[1], match[0]), message)
    return named.replace("'(absent)'", "none")  # as of runs from before there was --averaging


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _json(value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else value
    return json.dumps(plain, ensure_ascii=False).replace("\x7f", r"\u007f")
