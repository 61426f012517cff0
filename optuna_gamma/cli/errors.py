"""How a command ends: exit codes, and errors said to the person who reads them."""

from __future__ import annotations

from collections.abc import Callable
import os
import sys
from typing import TextIO

import optuna
from sqlalchemy.exc import SQLAlchemyError

from optuna_gamma.cli.options import in_options
from optuna_gamma.staged.database import explaining


DONE, FAILED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130

_OF_INPUT = (
    ValueError,
    KeyError,
    FileExistsError,
    FileNotFoundError,
    IsADirectoryError,
    NotADirectoryError,
    PermissionError,
)


def exit_code(command: Callable[[], int]) -> int:
    """Run a command and return its exit code; print what it raises if it is the user's to mend."""
    try:
        with explaining():
            return command()
    except BrokenPipeError as error:
        if not _is_read_no_more(sys.stdout):
            return say(error, FAILED)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED
    except _OF_INPUT as error:
        return say(error, BAD_INPUT)
    except (RuntimeError, OSError, SQLAlchemyError, optuna.exceptions.OptunaError) as error:
        return say(error, FAILED)


def _is_read_no_more(output: TextIO) -> bool:
    """Tell whether who reads an output, such as ``head``, has seen enough."""
    try:
        output.flush()
    except BrokenPipeError:
        return True
    return False


def say(error: Exception, code: int) -> int:
    """Print an error for people and return the exit code."""
    message = str(error)
    if isinstance(error, KeyError) and error.args:  # it shows its message in quotes
        message = str(error.args[0])
    elif isinstance(error, OSError) and error.filename is not None and error.strerror:
        message = f"{error.filename}: {error.strerror}."
    print(f"Error: {in_options(message)}", file=sys.stderr)
    return code
