"""What a run is: two calls with the same identity work on the same run, others are refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from dataclasses import dataclass
import json
from typing import Any
from typing import Literal
import uuid

from optuna_gamma.staged.checkpoint import temporary_name
from optuna_gamma.staged.directory import RunDirectory
from optuna_gamma.staged.sealed import seal
from optuna_gamma.staged.sealed import unseal


FILE_NAME = "run.json"
_SCHEMA_VERSION = 1

Direction = Literal["maximize", "minimize"]
Retention = Literal["last", "all"]


@dataclass(frozen=True)
class RunIdentity:
    """The definition of a run, kept in ``run.json`` of its directory.

    Attributes:
        id: Drawn when the run is created; ties directory and storage together.
        study_name: Prefix of the studies' names.
        direction: ``"maximize"`` or ``"minimize"``.
        seed: Seed of the run.
        keep: Which promoted checkpoints stay: ``"last"`` or ``"all"``.
        journal: Whether its studies are in the directory's own journal. If not, a worker that is
            given no storage would begin another run beside this one.
        fingerprint: What else defines the run, as JSON, or :obj:`None`.
    """

    id: str
    study_name: str
    direction: Direction
    seed: int
    keep: Retention
    journal: bool
    fingerprint: dict[str, Any] | None = None

    @staticmethod
    def new(
        study_name: str,
        direction: str,
        seed: int,
        keep: str,
        journal: bool,
        fingerprint: Mapping[str, Any] | None,
    ) -> RunIdentity:
        """Check the parts of a definition and draw an id.

        Raises:
            TypeError: If a part has the wrong type, or ``fingerprint`` is no JSON.
            ValueError: If a part has the right type but not a possible value.
        """
        _check_study_name(study_name)
        if direction not in ("maximize", "minimize"):
            raise ValueError(
                f'`direction` must be "maximize" or "minimize", but got {direction!r}.'
            )
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise TypeError(f"`seed` must be an int, but got {seed!r}.")
        if seed < 0:
            raise ValueError(f"`seed` must not be negative, but got {seed}.")
        if keep not in ("last", "all"):
            raise ValueError(f'`keep` must be "last" or "all", but got {keep!r}.')
        if fingerprint is not None:
            if not isinstance(fingerprint, Mapping):
                raise TypeError(f"`fingerprint` must be a dict or None, but got {fingerprint!r}.")
            fingerprint = as_json(fingerprint)
        return RunIdentity(
            id=uuid.uuid4().hex,
            study_name=study_name,
            direction=direction,  # type: ignore[arg-type]
            seed=seed,
            keep=keep,  # type: ignore[arg-type]
            journal=journal,
            fingerprint=fingerprint,
        )

    @staticmethod
    def read(directory: RunDirectory) -> RunIdentity | None:
        """Read the identity of the run a directory belongs to; :obj:`None` if to none.

        Raises:
            ValueError: If ``run.json`` is damaged or comes from a newer version.
        """
        content = directory.read(FILE_NAME)
        if content is None:
            return None
        if not content:  # where there are no hard links it is made before it is written
            raise ValueError(
                f"{directory.show(FILE_NAME)} cannot be read: it is empty. If the directory holds "
                "nothing else, whoever began the run was killed at it: delete the file. If it "
                "does, restore the file from a backup."
            )
        try:
            return RunIdentity(**unseal(content, _SCHEMA_VERSION))
        except (ValueError, TypeError) as error:
            raise ValueError(
                f"{directory.show(FILE_NAME)} cannot be read: {error}. It says which run the "
                "directory belongs to: restore it from a backup, or give another `directory`."
            ) from error

    def create(self, directory: RunDirectory) -> bool:
        """Make the directory this run's, unless it is taken; return whether it was free."""
        content = seal({"schema_version": _SCHEMA_VERSION, **asdict(self)})
        # Named like a checkpoint in the making, so that it is collected if we are killed.
        return directory.create(FILE_NAME, content, temporary_name(0, 0, self.id))

    def differences(self, given: RunIdentity) -> list[str]:
        """Name what is different in ``given``, ids aside."""
        found = [
            f"`{name}` is {getattr(self, name)!r} there, but {getattr(given, name)!r} was given"
            for name in ("study_name", "direction", "seed", "keep")
            if getattr(self, name) != getattr(given, name)
        ]
        if self.journal != given.journal:
            there, here = (
                "the directory's journal (None)" if journal else "another one"
                for journal in (self.journal, given.journal)
            )
            found.append(f"`storage` is {there} there, but {here} was given")
        if self.fingerprint is None or given.fingerprint is None:
            if self.fingerprint != given.fingerprint:
                found.append(
                    f"`fingerprint` is {self.fingerprint!r} there, but {given.fingerprint!r} was "
                    "given"
                )
            return found
        return found + fingerprint_differences(self.fingerprint, given.fingerprint)


def as_json(fingerprint: Mapping[str, Any]) -> dict[str, Any]:
    """Return a fingerprint as it will be read back: tuples become lists, keys strings.

    Raises:
        TypeError: If it is no JSON.
    """
    try:
        return dict(json.loads(json.dumps(dict(fingerprint), allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise TypeError(f"`fingerprint` must be JSON serializable: {error}.") from error


def fingerprint_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """Name where two fingerprints differ."""
    return [
        f"`fingerprint[{key!r}]` is {there.get(key, '(absent)')!r} there, but "
        f"{here.get(key, '(absent)')!r} was given"
        for key in sorted(there.keys() | here.keys())
        if there.get(key, "(absent)") != here.get(key, "(absent)")
    ]


def _check_study_name(study_name: object) -> None:
    if not isinstance(study_name, str):
        raise TypeError(f"`study_name` must be a str, but got {study_name!r}.")
    # 512 is what Optuna's relational storage takes, stage and all.
    if (
        not study_name
        or study_name != study_name.strip()
        or not study_name.isprintable()
        or "/" in study_name
        or len(study_name) > 500
    ):
        raise ValueError(
            "`study_name` must be 1 to 500 printable characters, not begin or end with a space, "
            f"and hold no slash, which sets off the stages' numbers, but got {study_name!r}."
        )
