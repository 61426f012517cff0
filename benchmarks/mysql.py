"""A MariaDB server of one's own, from a system package: Debian's ``mariadb-server``."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
import getpass
import itertools
from pathlib import Path
import shutil
import subprocess
import tempfile
import time


_PROGRAMS = ("mariadbd", "mariadb-install-db", "mariadb", "mariadb-admin")


def missing_programs() -> list[str]:
    """Return what is not installed of the programs that :func:`mysql` needs."""
    return [name for name in _PROGRAMS if shutil.which(name) is None]


@contextmanager
def mysql() -> Iterator[Callable[[], str]]:
    """Start a server; yield a function that makes an empty database and returns its URL.

    Raises:
        FileNotFoundError: If the server is not installed.
        RuntimeError: If it does not start.
    """
    if missing := missing_programs():
        raise FileNotFoundError(f"{missing[0]} is not installed: apt-get install mariadb-server.")
    numbers = itertools.count()
    with tempfile.TemporaryDirectory(prefix="mysql-") as folder:
        data, socket, log = Path(folder, "data"), Path(folder, "socket"), Path(folder, "log")
        options = ["--no-defaults", f"--user={getpass.getuser()}", f"--datadir={data}"]
        command = ["mariadb-install-db", *options, "--auth-root-authentication-method=normal"]
        subprocess.run(command, check=True, capture_output=True)
        client = ["--no-defaults", f"--socket={socket}", "--user=root"]
        with log.open("wb") as output:
            server = subprocess.Popen(
                ["mariadbd", *options, f"--socket={socket}", "--skip-networking"],
                stdout=output,
                stderr=output,
            )
        try:
            while subprocess.run(
                ["mariadb-admin", *client, "ping"], capture_output=True
            ).returncode:
                if server.poll() is not None:
                    raise RuntimeError(f"mariadbd did not start:\n{log.read_text()}")
                time.sleep(0.1)

            def create() -> str:
                name = f"run_{next(numbers)}"
                subprocess.run(["mariadb", *client, "-e", f"CREATE DATABASE {name}"], check=True)
                return f"mysql+pymysql://root@localhost/{name}?unix_socket={socket}"

            yield create
        finally:
            server.terminate()
            server.wait()
