"""Opening a storage that others open, and make the tables of, at the same moment."""

from __future__ import annotations

import random
import time

from optuna.storages import BaseStorage
from optuna.storages import get_storage
from sqlalchemy.exc import DBAPIError


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
