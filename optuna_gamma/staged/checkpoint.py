"""Checkpoints: a trial's training state in one file, named by its hash and verified by it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import hashlib
import json
from pathlib import Path
import re
from typing import Any
from typing import NamedTuple
import uuid

from optuna_gamma.staged import tree
from optuna_gamma.staged.directory import RunDirectory


FOLDER = "checkpoints"
_SCHEMA_VERSION = 1
_MAX_TREE_BYTES = 64 * 2**20
"""safetensors refuses to read headers above 100 MB."""

_NAME = re.compile(
    rf"{FOLDER}/stage-(?P<stage>\d+)-trial-(?P<trial>\d+)-"
    r"((?P<sha256>[0-9a-f]{64})\.safetensors|[0-9a-f]+\.tmp)"
)


class CheckpointError(RuntimeError):
    """A checkpoint is missing or damaged, or could not be written."""


class CheckpointFile(NamedTuple):
    """What the name of a file in ``checkpoints/`` says.

    Attributes:
        stage: Number of the stage.
        trial: Number of the trial.
        sha256: Hash of the content, or :obj:`None` for a file that is being written.
    """

    stage: int
    trial: int
    sha256: str | None


def checkpoint_name(stage: int, trial: int, sha256: str) -> str:
    """Return a checkpoint's name in the run's directory.

    >>> checkpoint_name(0, 7, "ab" * 32)[:42]
    'checkpoints/stage-000-trial-00007-abababab'
    """
    return _checked(f"{FOLDER}/stage-{stage:03d}-trial-{trial:05d}-{sha256}.safetensors")


def temporary_name(stage: int, trial: int, lease: str) -> str:
    """Return the name of a checkpoint while it is written; ``lease`` in hexadecimal digits."""
    return _checked(f"{FOLDER}/stage-{stage:03d}-trial-{trial:05d}-{lease}.tmp")


def _checked(name: str) -> str:
    # Hashes and leases are read from the storage, which others can write to.
    if _NAME.fullmatch(name) is None:
        raise ValueError(
            f"The storage has been tampered with: {name!r} is not a checkpoint's name."
        )
    return name


def parse_checkpoint_name(name: str) -> CheckpointFile | None:
    """Read a name back; :obj:`None` for a file that is not one of ours."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    return CheckpointFile(int(match["stage"]), int(match["trial"]), match["sha256"])


def save_checkpoint(
    directory: RunDirectory, stage: int, trial: int, lease: str, state: tree.State
) -> str:
    """Write a state to a file of the writer's own, synced; :func:`commit_checkpoint` follows.

    Args:
        directory: The run's directory.
        stage: Number of the stage.
        trial: Number of the trial.
        lease: Who writes, in hexadecimal digits: names the file.
        state: See :func:`~optuna_gamma.staged.tree.encode`.

    Returns:
        The SHA-256 of the file. Equal states give equal files.

    Raises:
        TypeError: If the state holds what a checkpoint cannot, with its path.
        CheckpointError: If the file could not be written, because the disk is full, say.
    """
    from safetensors.numpy import save

    nodes, arrays = tree.encode(state)
    header = json.dumps({"schema_version": _SCHEMA_VERSION, "state": nodes}, allow_nan=False)
    if len(header) > _MAX_TREE_BYTES:
        raise TypeError(
            f"The state's numbers and strings take {len(header):,} bytes as JSON; at most "
            f"{_MAX_TREE_BYTES:,} are possible. Save long lists of numbers as arrays."
        )
    # One key only: safetensors writes several in no fixed order. And not its `save_file`, which
    # writes aside by itself, under a name that says nothing of the trial.
    content = save(arrays, metadata={"optuna-gamma": header})
    aside = temporary_name(stage, trial, lease)
    with _writing(directory.local.show(aside)):
        directory.prepare(aside, content)
    return hashlib.sha256(content).hexdigest()


def commit_checkpoint(
    directory: RunDirectory, stage: int, trial: int, lease: str, sha256: str
) -> None:
    """Give the file that :func:`save_checkpoint` wrote last the name that has its hash.

    Only its writer touches a file before that, and only the collection of what nobody needs one
    with a hash: so a worker that lost its trial, and does not know it yet, damages nothing.

    Raises:
        CheckpointError: If that is not possible, because a remote directory is out of reach, say.
    """
    name = checkpoint_name(stage, trial, sha256)
    with _writing(directory.show(name)):
        directory.put(temporary_name(stage, trial, lease), name)


def discard_checkpoint(directory: RunDirectory, stage: int, trial: int, lease: str) -> None:
    """Delete what :func:`save_checkpoint` wrote, unless it was committed."""
    directory.local.remove(temporary_name(stage, trial, lease))


def load_checkpoint(directory: RunDirectory, stage: int, trial: int, sha256: str) -> tree.State:
    """Read a state after comparing the file with its hash.

    Of a remote directory a copy is kept on this machine, which is compared in the same way and,
    if it is damaged, fetched anew.

    Raises:
        CheckpointError: If the file is missing, or is not, bit for bit, what was saved.
    """
    name = checkpoint_name(stage, trial, sha256)
    path = Path(directory.local.path(name))
    try:
        is_here = directory.is_local
        while not is_here:
            # Another worker on this machine may collect the download, as its trial is finished;
            # one that has come so far has its own copy of what it started from, and that will do.
            aside = temporary_name(stage, trial, uuid.uuid4().hex)
            is_here = (path.exists() and _hash(path) == sha256) or directory.get(name, aside)
        found = _hash(path)
        if found != sha256:
            raise CheckpointError(
                f"The checkpoint {directory.show(name)} is damaged: its SHA-256 is {found}. "
                "Restore the file from a backup; a run never goes on from other weights than "
                "those it promoted."
            )
        return _read(path)
    except FileNotFoundError as error:
        raise CheckpointError(
            f"The checkpoint {directory.show(name)} is missing. Restore the file from a backup; a "
            "run never goes on from other weights than those it promoted."
        ) from error
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint {directory.show(name)} could not be read: {error}. Once that is "
            "mended the same command resumes the run."
        ) from error


@contextmanager
def _writing(name: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"The checkpoint {name} could not be written: {error}. Once that is mended the same "
            "command resumes the run."
        ) from error


def _read(path: Path) -> tree.State:
    from safetensors import safe_open

    file: Any
    with safe_open(str(path), framework="np") as file:
        header = json.loads(file.metadata()["optuna-gamma"])
        if header["schema_version"] != _SCHEMA_VERSION:
            raise CheckpointError(
                f"The checkpoint {path} has schema version {header['schema_version']}, this "
                f"version of optuna-gamma reads {_SCHEMA_VERSION}: install a newer one."
            )
        arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    return tree.decode(header["state"], arrays)


def _hash(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**20):
            digest.update(block)
    return digest.hexdigest()
