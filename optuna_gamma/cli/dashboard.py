"""What ``optuna-gamma dashboard`` does."""

from __future__ import annotations

from socketserver import ThreadingMixIn
import sys
import threading
from wsgiref.simple_server import make_server
from wsgiref.simple_server import WSGIRequestHandler
from wsgiref.simple_server import WSGIServer

import optuna
from optuna.artifacts import FileSystemArtifactStore
from optuna_dashboard import wsgi

from optuna_gamma.cli.drawing import drawn_sampler
from optuna_gamma.cli.errors import DONE
from optuna_gamma.cli.errors import exit_code
from optuna_gamma.cli.files import artifacts_folder
from optuna_gamma.cli.opening import open_run
from optuna_gamma.cli.opening import read_options
from optuna_gamma.dashboard import Publisher


_logger = optuna.logging.get_logger(f"optuna.{__name__}")

_PUBLISH_SECONDS = 60.0
"""How often a run that goes on is looked at again."""


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _QuietHandler(WSGIRequestHandler):
    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing of each request."""


def run(out: str, storage: str | None, host: str, port: int) -> int:
    """Serve a run in optuna-dashboard until interrupted.

    Returns:
        The exit code.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return exit_code(lambda: _run(out, storage, host, port))


def _run(out: str, storage: str | None, host: str, port: int) -> int:
    staged = open_run(out, storage)
    options = read_options(out)
    publisher = Publisher(
        staged, None if options is None else options.objective, drawn_sampler(options)
    )
    publisher.publish()
    artifacts = artifacts_folder(out)
    artifacts.mkdir(parents=True, exist_ok=True)  # visitors may add some
    app = wsgi(staged.studies[0]._storage, artifact_store=FileSystemArtifactStore(artifacts))
    done = threading.Event()
    try:
        made = make_server(host, port, app, _Server, _QuietHandler)
    except OSError as error:
        raise ValueError(
            f"`port` {port} of {host} cannot be listened on: {error.strerror}. Give another one, "
            "or 0 for any that is free."
        ) from error
    with made as server:
        print(
            f"{staged.study_name} is on http://{host}:{server.server_port}/ (Ctrl-C ends this, "
            "not the run)",
            file=sys.stderr,
            flush=True,
        )
        threading.Thread(target=_keep_publishing, args=(publisher, done), daemon=True).start()
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            return DONE
        finally:
            done.set()
    return DONE


def _keep_publishing(publisher: Publisher, done: threading.Event) -> None:
    while not done.wait(_PUBLISH_SECONDS):
        try:
            publisher.publish()
        except Exception as error:  # the pages go on showing what there is
            _logger.warning(f"Notes and figures could not be brought up to date: {error!r}")
