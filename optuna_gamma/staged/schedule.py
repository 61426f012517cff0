"""The learned schedule: which parameters each stage was trained with."""

from __future__ import annotations

from collections.abc import Sequence
import csv
from dataclasses import asdict
from dataclasses import dataclass
import io
from typing import Any
from typing import TYPE_CHECKING

from optuna_gamma.staged.sealed import seal
from optuna_gamma.staged.sealed import unseal


if TYPE_CHECKING:
    from torch.optim import Optimizer

    from optuna_gamma.staged.lr_scheduler import StagedLR
    from optuna_gamma.staged.replay import Replay
    from optuna_gamma.staged.worker import Objective


_SCHEMA_VERSION = 1


@dataclass(frozen=True)
class StageRecord:
    """One stage and the trial that was promoted in it.

    Attributes:
        number: Number of the stage, from 0.
        params: Parameters of the promoted trial.
        value: Its objective value.
        user_attrs: Its user attributes.
        trial_number: Its number in the stage's study.
        checkpoint: Its checkpoint's name in the run's directory. With ``keep="last"`` only the
            last stage's file is still there.
    """

    number: int
    params: dict[str, Any]
    value: float
    user_attrs: dict[str, Any]
    trial_number: int
    checkpoint: str


def csv_table(rows: Sequence[dict[str, Any]]) -> str:
    """Return rows as CSV, with a column for each key that any of them has."""
    columns = dict.fromkeys(name for row in rows for name in row)
    file = io.StringIO()
    writer = csv.DictWriter(file, list(columns), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


class StagedSchedule(tuple[StageRecord, ...]):
    """The promoted trials of a run's finished stages, in order; a tuple that goes to JSON.

    Example:
        >>> record = StageRecord(0, {"lr": 0.1}, 0.9, {}, 3, "checkpoints/…")
        >>> schedule = StagedSchedule([record])
        >>> StagedSchedule.from_json(schedule.to_json()) == schedule
        True
        >>> [stage.params["lr"] for stage in schedule]
        [0.1]
    """

    __slots__ = ()

    def to_json(self) -> str:
        """Return the schedule as JSON text, with the version of its form and a checksum.

        Infinite values are written as Python and Optuna write them, ``Infinity``.
        """
        stages = [asdict(stage) for stage in self]
        return seal({"schema_version": _SCHEMA_VERSION, "stages": stages}).decode()

    def to_csv(self) -> str:
        """Return a table, a line a stage, with the column names of Optuna's data frames."""
        rows = [
            {
                "stage": record.number,
                "number": record.trial_number,
                "value": record.value,
                **{f"params_{name}": value for name, value in record.params.items()},
                **{f"user_attrs_{name}": value for name, value in record.user_attrs.items()},
            }
            for record in self
        ]
        return csv_table(rows)

    def lr_scheduler(
        self,
        optimizer: Optimizer,
        *,
        param: str = "lr",
        epochs_per_stage: int | Sequence[int] | None = None,
    ) -> StagedLR:
        """Return the schedule as a scheduler of PyTorch, for any training.

        Call its ``step()`` once an epoch, as with PyTorch's own. Its ``state_dict`` holds all it
        needs. It sets the learning rate of all parameter groups; other parameters are not its.

        Args:
            optimizer: The optimizer.
            param: Name of the parameter that is the learning rate.
            epochs_per_stage: Epochs of each stage: one number, or one a stage. :obj:`None` is the
                user attribute ``"epochs"`` of the promoted trials, as
                :class:`~optuna_gamma.vision.VisionTask` sets it, and 1 where there is none.

        Raises:
            ValueError: If there are no stages, a stage lacks the parameter, or
                ``epochs_per_stage`` has another length or an impossible value.
        """
        from optuna_gamma.staged.lr_scheduler import StagedLR

        if not self:
            raise ValueError("The schedule has no stages yet.")
        for record in self:
            if not isinstance(record.params.get(param), (int, float)):
                raise ValueError(
                    f"Stage {record.number} has no learning rate {param!r}; its parameters are "
                    f"{record.params}. Say with `param` which one it is."
                )
        if epochs_per_stage is None:
            epochs = [record.user_attrs.get("epochs", 1) for record in self]
        elif isinstance(epochs_per_stage, int):
            epochs = [epochs_per_stage] * len(self)
        else:
            epochs = list(epochs_per_stage)
        if len(epochs) != len(self) or not all(isinstance(n, int) and n >= 1 for n in epochs):
            raise ValueError(
                f"`epochs_per_stage` must be one positive int, or {len(self)}, one a stage, but "
                f"got {epochs}."
            )
        return StagedLR(optimizer, [record.params[param] for record in self], epochs)

    def replay(self, objective: Objective, *, seed: int) -> Replay:
        """Train from scratch with this schedule: nothing is searched, one trial a stage.

        With the seed of the run that learned it, and a deterministic objective, the values and
        weights are the run's own; other seeds tell how much of its success was luck.

        Args:
            objective: The one of the run. Its trial is a :class:`optuna.trial.FixedTrial`.
            seed: What ``seed`` is to :func:`~optuna_gamma.create_staged_study`.

        Raises:
            RuntimeError: If a stage returns NaN or saves nothing.
        """
        from optuna_gamma.staged.replay import replay

        return replay(self, objective, seed)

    @classmethod
    def from_json(cls, text: str | bytes) -> StagedSchedule:
        """Read a schedule back.

        Args:
            text: The content of a ``schedule.json``. One written by hand needs no ``sha256``.

        Raises:
            ValueError: If it is no schedule, one of a version this version does not know, or one
                that is not, bit for bit, what :meth:`to_json` gave.
        """
        try:
            fields = unseal(text, _SCHEMA_VERSION, required=False)
            if set(fields) != {"stages"}:
                raise ValueError(f"its fields are {sorted(fields)}")
            return cls(StageRecord(**stage) for stage in fields["stages"])
        except (ValueError, TypeError) as error:
            raise ValueError(f"This is not the content of a schedule.json: {error}.") from error
