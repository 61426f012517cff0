"""Several machines: an object store for the files, a proxy in front of the database."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
import signal
import socket
import subprocess
import sys
from typing import Any

import optuna
import pytest

from benchmarks.chaos.check import violations
from benchmarks.chaos.server import Run
from benchmarks.chaos.server import WorkerOptions
from optuna_gamma.staged import CheckpointError
from optuna_gamma.staged import create_staged_study
from optuna_gamma.staged import load_staged_study
from optuna_gamma.staged import Stage
from optuna_gamma.staged import StagedStudy


pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")


@pytest.fixture(scope="module")
def object_store() -> Iterator[dict[str, str]]:
    """A server that speaks S3, and the environment that leads to it."""
    import boto3
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    environment = {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "hunter2",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment.items():
            patch.setenv(name, value)
        boto3.client("s3").create_bucket(Bucket="bucket")
        yield environment
    server.stop()


@pytest.fixture
def url(object_store: dict[str, str], tmp_path: Path) -> str:
    return f"s3://bucket/{tmp_path.name}"


def machine(options: WorkerOptions, tmp_path: Path, name: str) -> WorkerOptions:
    """The same worker with a cache folder of its own."""
    environment = {**options.environment, "XDG_CACHE_HOME": str(tmp_path / name)}
    return replace(options, environment=environment)


@pytest.mark.parametrize("keep", ["last", "all"])
def test_two_machines_share_an_object_store(
    run: Run, object_store: dict[str, str], url: str, database: str, tmp_path: Path, keep: str
) -> None:
    one = WorkerOptions(
        str(tmp_path), url, database, keep=keep, environment=object_store, sampler="random"
    )
    workers = [machine(one, tmp_path, name) for name in ("a", "b")]
    assert run(*workers) == [0, 0]
    assert violations(one, 0) == []
    for name in ("a", "b"):
        copies = [path for path in (tmp_path / name).rglob("*") if path.is_file()]
        assert len(copies) <= 1


def test_a_machine_dies_in_the_middle_of_a_commit(
    run: Run, object_store: dict[str, str], url: str, database: str, tmp_path: Path
) -> None:
    one = WorkerOptions(str(tmp_path), url, database, keep="last", environment=object_store)
    survivor, killed = (machine(one, tmp_path, name) for name in ("a", "b"))
    # One after the other: a fast survivor might leave no second trial to the one that is killed.
    assert run(replace(killed, kill=("rename", 2))) == [-signal.SIGKILL]
    assert run(survivor) == [0]
    assert violations(one, 1) == []


def test_two_runs_in_one_bucket_at_the_same_moment(
    run: Run, object_store: dict[str, str], url: str, database: str, tmp_path: Path
) -> None:
    one = WorkerOptions(str(tmp_path), url, database, environment=object_store)
    assert sorted(run(one, replace(one, study_name="other"))) == [0, 1]


def test_a_damaged_parent_in_the_bucket_is_named(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: Any
) -> None:
    import boto3

    options: dict[str, Any] = {
        "study_name": "run",
        "storage": f"sqlite:///{tmp_path}/study.db",
        "directory": url,
        "sampler": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    }
    staged = create_staged_study(**options)
    staged.optimize(objective, 1, 2)
    name = f"{tmp_path.name}/{staged.schedule[0].checkpoint}"
    store = boto3.resource("s3").Object("bucket", name)
    whole = store.get()["Body"].read()
    store.put(Body=whole[:-1])
    create_staged_study(**options).optimize(objective, 2, 2)  # this machine has a whole copy

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    staged = create_staged_study(**options)
    name = f"{tmp_path.name}/{staged.schedule[1].checkpoint}"
    boto3.resource("s3").Object("bucket", name).put(Body=b"")
    with pytest.raises(CheckpointError, match=rf"s3://bucket/{name} is damaged"):
        staged.optimize(objective, 3, 2)
    boto3.resource("s3").Object("bucket", name).delete()
    with pytest.raises(CheckpointError, match=rf"s3://bucket/{name} is missing"):
        staged.load_best()


def test_a_download_that_another_worker_collects_is_made_again(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, objective: Any
) -> None:
    staged = create_staged_study(
        study_name="run",
        storage=f"sqlite:///{tmp_path}/study.db",
        directory=url,
        sampler=lambda seed: optuna.samplers.RandomSampler(seed=seed),
    )
    staged.optimize(objective, 1, 2)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "another machine"))
    joining = load_staged_study(
        study_name="run", storage=f"sqlite:///{tmp_path}/study.db", directory=url
    )
    files = joining._run.directory._fs
    get_file = files.get_file
    n_downloads = 0

    def get(source: str, to: str) -> None:
        nonlocal n_downloads
        get_file(source, to)
        n_downloads += 1
        if n_downloads == 1:
            joining.clean()

    monkeypatch.setattr(files, "get_file", get)
    assert joining.load_best() == staged.load_best()
    assert n_downloads == 2


def test_a_bucket_out_of_reach_ends_the_run_and_it_goes_on_afterwards(
    url: str, tmp_path: Path, objective: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("no route to host")

    def create() -> StagedStudy:
        return create_staged_study(
            study_name="run",
            storage=f"sqlite:///{tmp_path}/study.db",
            directory=url,
            sampler=lambda seed: optuna.samplers.RandomSampler(seed=seed),
        )

    def cut_off(trial: optuna.Trial, stage: Stage) -> float:
        value = objective(trial, stage)
        if trial.number == 1:
            monkeypatch.setattr(staged._run.directory._fs, "put_file", fail)
        return float(value)

    staged = create()
    with pytest.raises(CheckpointError, match=r"s3://bucket/.* could not be written: .*no route"):
        staged.optimize(cut_off, 1, 3)
    monkeypatch.undo()
    create().optimize(objective, 1, 3)
    assert [len(study.trials) for study in staged.studies] == [3]
    assert len(staged.schedule) == 1


@pytest.fixture
def proxy(database: str) -> Iterator[str]:
    """A gRPC proxy in front of PostgreSQL."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    code = (
        "import sys; from optuna.storages import get_storage, run_grpc_proxy_server\n"
        "run_grpc_proxy_server(get_storage(sys.argv[1]), port=int(sys.argv[2]))"
    )
    with subprocess.Popen([sys.executable, "-W", "ignore", "-c", code, database, str(port)]) as p:
        yield f"grpc:{port}"
        p.kill()


def test_workers_behind_a_proxy(run: Run, proxy: str, tmp_path: Path) -> None:
    one = WorkerOptions(str(tmp_path), storage=proxy, keep="last")
    # Slower than the one that is killed, or they might leave no third trial to it.
    slow, killed = replace(one, pause=0.3), replace(one, kill=("attribute", 3))
    assert run(slow, slow, killed) == [0, 0, -signal.SIGKILL]
    assert violations(one, 1) == []
