"""Databases: opening one that others open at the same moment, and saying why one fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import random
import time

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages import get_storage
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import SQLAlchemyError


_MAX_ATTEMPTS = 10


def open_storage(storage: str | BaseStorage) -> BaseStorage:
    """Open what :func:`optuna.create_study` takes as its ``storage``.

    Optuna makes the tables of an empty database without asking whether somebody else is about to,
    and fails if so: as when several workers are started at once on a new database.

    Raises:
        sqlalchemy.exc.SQLAlchemyError: If the database cannot be reached or refuses us.
    """
    for attempt in range(_MAX_ATTEMPTS):
        try:
            return get_storage(storage)
        except DBAPIError as error:
            if attempt == _MAX_ATTEMPTS - 1 or not _is_made_meanwhile(error):
                raise
        time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError


def _is_made_meanwhile(error: DBAPIError) -> bool:
    text = str(error.orig).lower()
    return "exist" in text or "duplicate" in text or "unique" in text


@contextmanager
def explaining() -> Iterator[None]:
    """Say why a database fails in the block; Optuna says that the data may be invalid.

    Raises:
        optuna.exceptions.StorageInternalError: Instead of Optuna's, with what the database said.
    """
    try:
        yield
    except StorageInternalError as error:
        cause = error.__cause__
        if not isinstance(cause, SQLAlchemyError):
            raise
        # Only the driver's words: SQLAlchemy's own add the statement and its values.
        said = str(cause.orig if isinstance(cause, DBAPIError) else cause).strip()
        raise StorageInternalError(
            f"The storage failed: {said}. Once that is mended the same command resumes the run."
        ) from error
