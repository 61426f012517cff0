"""What the code of docs/guides/many-machines.md takes for granted: a database and a bucket."""

import os

import boto3
from moto.server import ThreadedMotoServer
import optuna


server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
server.start()
host, port = server.get_host_and_port()
os.environ |= {
    "STORAGE": "sqlite:///runs.db",
    "AWS_ENDPOINT_URL": f"http://{host}:{port}",
    "AWS_ACCESS_KEY_ID": "me",
    "AWS_SECRET_ACCESS_KEY": "secret",
    "AWS_DEFAULT_REGION": "us-east-1",
    "XDG_CACHE_HOME": os.getcwd(),
}
boto3.client("s3").create_bucket(Bucket="bucket")


def objective(trial, stage):
    lr = trial.suggest_float("lr", 1e-3, 1.0, log=True)
    stage.save(trial, {"lr": lr})
    return -lr


def serve(storage, *, host, port):
    """Stand in for the proxy's server, which would run for ever."""
    assert isinstance(storage, optuna.storages.BaseStorage)


optuna.storages.run_grpc_proxy_server = serve
optuna.logging.set_verbosity(optuna.logging.ERROR)
