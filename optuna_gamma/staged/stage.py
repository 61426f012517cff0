"""What an objective is handed with its trial: where its training goes on from, and where to."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from dataclasses import field

import optuna

from optuna_gamma.staged.checkpoint import commit_checkpoint
from optuna_gamma.staged.checkpoint import discard_checkpoint
from optuna_gamma.staged.checkpoint import load_checkpoint
from optuna_gamma.staged.checkpoint import save_checkpoint
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.ledger import Parent
from optuna_gamma.staged.tree import State


class TrialWeights:
    """One trial's access to checkpoints, and what came of it.

    Args:
        directory: The run's directory.
        stage: Number of the stage.
        trial: Number of the trial.
        lease: Who runs the trial, in hexadecimal digits.
        parent: The checkpoint to start from.

    Attributes:
        sha256: Hash of the checkpoint saved last, if any.
    """

    def __init__(
        self, directory: RunDirectory, stage: int, trial: int, lease: str, parent: Parent | None
    ) -> None:
        self._directory = directory
        self._stage = stage
        self._trial = trial
        self._lease = lease
        self._parent = parent
        self.sha256: str | None = None
        self._errors: dict[str, BaseException] = {}

    @property
    def error(self) -> BaseException | None:
        """What went wrong while reading or writing, and was not made good.

        It ends the run even where the objective swallows it: else a training might silently begin
        anew, or end with the weights of an earlier ``save``.
        """
        return next(iter(self._errors.values()), None)

    def load(self) -> State | None:
        """See :meth:`Stage.load`."""
        if self._parent is None:
            return None
        try:
            parent = self._parent
            return load_checkpoint(self._directory, parent.stage, parent.trial, parent.sha256)
        except BaseException as error:
            self._errors["load"] = error
            raise

    def save(self, trial: optuna.Trial, state: State) -> None:
        """See :meth:`Stage.save`."""
        try:
            # Not `is`: integrations wrap trials.
            if getattr(trial, "number", None) != self._trial:
                raise ValueError(
                    "`stage.save` must be given the trial that the objective was called with, "
                    f"number {self._trial}, and then the state, but got {trial!r}."
                )
            self.sha256 = save_checkpoint(*self._place, state)
        except BaseException as error:
            self._errors["save"] = error
            raise
        self._errors.pop("save", None)

    def commit(self) -> str:
        """Put what was saved last in its place and return its hash."""
        assert self.sha256 is not None
        commit_checkpoint(*self._place, self.sha256)
        return self.sha256

    def discard(self) -> None:
        """Delete what was saved, unless it was committed."""
        with suppress(OSError):  # it is collected later, and what raised before matters more
            discard_checkpoint(*self._place)

    @property
    def _place(self) -> tuple[RunDirectory, int, int, str]:
        return self._directory, self._stage, self._trial, self._lease


@dataclass(frozen=True)
class Stage:
    """The stage a trial belongs to.

    Attributes:
        number: Number of the stage, from 0.
        n_stages: How many stages the run is to have.
        seed: Seed in [0, 2³¹) for what all candidates of the stage should have in common, such as
            the order of the training data. It follows from the run's seed and the stage's number.
    """

    number: int
    n_stages: int
    seed: int
    _weights: TrialWeights = field(repr=False)

    def load(self) -> State | None:
        """Return the state that the trial promoted in the stage before has saved.

        Tensors are on the CPU; what was saved from torch tensors comes back as torch tensors, what
        was saved from NumPy arrays as NumPy arrays. Each call reads the file and compares it with
        its hash.

        Returns:
            The state, or :obj:`None` in stage 0.

        Raises:
            ~optuna_gamma.staged.checkpoint.CheckpointError: If the file is missing or damaged.
                This ends the run even if the objective catches it.
        """
        return self._weights.load()

    def save(self, trial: optuna.Trial, state: State) -> None:
        """Save the state this trial ends with; the last call counts.

        By convention a state has ``"model"``, which the next stage goes on from, beside whatever
        else the training needs, such as ``"optimizer"``. It may have ``"averaged"`` too, weights
        that are averaged on the way: those are what was scored, and what is used in the end.

        Args:
            trial: The trial that the objective was called with.
            state: Nested :obj:`dict`, :obj:`list` or :obj:`tuple` of torch tensors, NumPy arrays,
                numbers, strings, bytes, bools and :obj:`None`, with :obj:`str` or :obj:`int` keys.

        Raises:
            TypeError: If the state holds anything else. The message has its path in the tree.
            ~optuna_gamma.staged.checkpoint.CheckpointError: If the file could not be written.
        """
        self._weights.save(trial, state)
