"""Databases: opening one that others open at the same moment, and saying why one fails."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import random
import time
from typing import Any

from optuna.exceptions import StorageInternalError
from optuna.storages import BaseStorage
from optuna.storages import get_storage
from optuna.storages import RDBStorage
from sqlalchemy import Engine
from sqlalchemy import event
from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import NoSuchModuleError
from sqlalchemy.exc import SQLAlchemyError


IDLE_SECONDS = 30
"""A process stopped in the middle of a transaction loses what it has locked after this long. Less
than the 50 seconds after which MySQL gives up on others who wait for it."""

_MAX_ATTEMPTS = 10


def open_storage(storage: str | BaseStorage) -> BaseStorage:
    """Open what :func:`optuna.create_study` takes as its ``storage``.

    Optuna makes the tables of an empty database without asking whether somebody else is about to,
    and fails if so: as when several workers are started at once on a new database.

    A worker that is stopped, or whose machine is lost, in the middle of a transaction would hold
    up all others for as long as its connection lasts: the server is asked to end such ones.
    Connections that the server has ended, because it was restarted, say, are made anew; an
    :class:`~optuna.storages.RDBStorage` does so if it was given ``pool_pre_ping``.

    Raises:
        ValueError: If it is a text that is no URL of a database, or of one without a driver here.
        sqlalchemy.exc.SQLAlchemyError: If the database cannot be reached or refuses us.
    """
    if isinstance(storage, str):
        _check_url(storage)
    for attempt in range(_MAX_ATTEMPTS):
        try:
            if isinstance(storage, str):
                storage = RDBStorage(storage, engine_kwargs={"pool_pre_ping": True})
            if isinstance(storage, RDBStorage):
                _end_idle_transactions(storage.engine)
            return get_storage(storage)
        except (ImportError, NoSuchModuleError) as error:
            assert isinstance(storage, str)
            raise ValueError(
                f"`storage` is a URL of {make_url(storage).drivername}, for which there is no "
                "driver here. For PostgreSQL install psycopg[binary] and give "
                "postgresql+psycopg://user@host/database, for MySQL install pymysql and give "
                "mysql+pymysql://user@host/database."
            ) from error
        except DBAPIError as error:
            if attempt == _MAX_ATTEMPTS - 1 or not _is_made_meanwhile(error):
                raise
        time.sleep(random.uniform(0.1, 0.5))
    raise AssertionError


def _end_idle_transactions(engine: Engine) -> None:
    limit = {"postgresql": _limit_postgresql, "mysql": _limit_mysql}.get(engine.dialect.name)
    if limit is not None and not event.contains(engine, "connect", limit):
        event.listen(engine, "connect", limit)
        engine.dispose()  # of the connections that were made without


def _limit_postgresql(connection: Any, _: object) -> None:
    _execute(connection, f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")


def _limit_mysql(connection: Any, _: object) -> None:
    # It ends other idle connections too. They are made anew: Optuna itself asks for that here.
    _execute(connection, f"SET SESSION wait_timeout = {IDLE_SECONDS}")


def _execute(connection: Any, statement: str) -> None:
    cursor = connection.cursor()
    cursor.execute(statement)
    cursor.close()
    connection.commit()


def _check_url(url: str) -> None:
    try:
        host = make_url(url).host
    except (ValueError, ArgumentError):
        is_url = False
    else:
        # A password with an @ of its own spills into the host's name, and that into messages.
        is_url = not host or url.partition("?")[0].count("@") < 2
    if not is_url:
        raise ValueError(
            "`storage` must be a database URL, such as postgresql+psycopg://user@host/database, "
            "but what was given (not shown, it may hold a password) is none. In a user's name or "
            "password write %40 for @, %3A for : and %2F for /."
        )


def _is_made_meanwhile(error: DBAPIError) -> bool:
    text = str(error.orig).lower()
    return "already exist" in text or "duplicate" in text or "unique" in text


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
