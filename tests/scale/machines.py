"""What several machines share, as real servers of a test's own that can be stopped, killed and started again."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
from pathlib import Path

import boto3
import psycopg
import pytest
import redis
import requests
from moto.server import ThreadedMotoServer

from tests.e2e.conftest import BIN, Server, free_port, wait_until

RABBITMQ = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
BUCKET = "pictures"


class Redis:
    """A Redis that comes back empty."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> Redis:
        self.process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.port), "--save", ""],
            cwd=self.folder,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.answers, "Redis answers", 10)
        return self

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self.process.wait(10)

    def answers(self) -> bool:
        with contextlib.suppress(redis.ConnectionError), redis.Redis(port=self.port) as client:
            return bool(client.ping())
        return False


class RabbitMq:
    """A RabbitMQ node with its data in a folder."""

    def __init__(self, folder: Path) -> None:
        if not RABBITMQ.exists():
            pytest.skip("there is no RabbitMQ; on Debian: apt-get install rabbitmq-server")
        self.port = free_port()
        self.url = f"amqp://guest:guest@127.0.0.1:{self.port}//"
        self.environment = {
            **os.environ,
            "HOME": str(folder),
            "RABBITMQ_NODENAME": f"retestr{self.port}@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(free_port()),
            "RABBITMQ_MNESIA_BASE": str(folder / "rabbitmq"),
            "RABBITMQ_LOG_BASE": str(folder / "rabbitmq-log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "rabbitmq-plugins"),
            "RABBITMQ_CONF_ENV_FILE": "/dev/null",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
        }
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> RabbitMq:
        self.process = subprocess.Popen(
            [RABBITMQ], env=self.environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        wait_until(lambda: _listens(self.port), "RabbitMQ listens", 60)
        return self

    def stop(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(10)


class Postgres:
    """A PostgreSQL with an empty database, which keeps what it has when it is killed."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"postgresql://retestr@127.0.0.1:{self.port}/postgres"
        found = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        if not found:
            pytest.skip("there is no PostgreSQL; use scripts/services run …")
        self._bin = found[-1]
        self._folder = Path(tempfile.mkdtemp(prefix="retestr-postgres-"))  # pytest's own is root's alone
        self._as: list[str] = []
        if os.getuid() == 0:  # PostgreSQL refuses to run as root
            shutil.chown(self._folder, "postgres")
            self._as = ["runuser", "-u", "postgres", "--"]
        self._run(
            [
                "initdb",
                "-D",
                str(self._folder / "data"),
                "-U",
                "retestr",
                "-A",
                "trust",
                "-E",
                "UTF8",
                "--no-sync",
            ]
        )

    def start(self) -> Postgres:
        command = [
            "pg_ctl", "start", "-w", "-D", str(self._folder / "data"), "-l", str(self._folder / "log"),
            "-o", f"-p {self.port} -k {self._folder} -c listen_addresses=127.0.0.1 -c max_connections=200",
        ]  # fmt: skip
        self._run(command)
        with psycopg.connect(self.url) as connection:
            connection.execute("SELECT 1")
        return self

    def stop(self) -> None:
        """At once, as if the machine had lost its power: what was committed is there when it starts again."""
        self._run(["pg_ctl", "stop", "-w", "-m", "immediate", "-D", str(self._folder / "data")])

    def close(self) -> None:
        """Stops it and removes what it had."""
        self.stop()
        shutil.rmtree(self._folder)

    def _run(self, command: list[str]) -> None:
        subprocess.run(
            [*self._as, self._bin / command[0], *command[1:]],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
        )


class Bucket:
    """An S3 server with one bucket, which can be away for a while. Needs AWS_… credentials in the environment."""

    def __init__(self) -> None:
        self.port = free_port()
        self.endpoint = f"http://127.0.0.1:{self.port}"
        self.url = f"s3://{BUCKET}/shop?endpoint={self.endpoint}&region=us-east-1"
        self._server: ThreadedMotoServer | None = None
        self.come()
        requests.post(f"{self.endpoint}/moto-api/reset", timeout=5)  # of what the test before left
        self._client = boto3.client("s3", endpoint_url=self.endpoint, region_name="us-east-1")
        self._client.create_bucket(Bucket=BUCKET)

    def names(self) -> set[str]:
        return {entry["Key"] for entry in self._client.list_objects_v2(Bucket=BUCKET).get("Contents", [])}

    def go(self) -> None:
        """Nothing answers any more; what is stored stays."""
        assert self._server is not None
        self._server.stop()
        self._server = None

    def come(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=self.port, verbose=False)
        self._server.start()

    def close(self) -> None:
        if self._server is not None:
            self.go()


class Workers:
    """The `retestr worker` processes beside a server, each a process group of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.running: list[subprocess.Popen[bytes]] = []

    def start(self, count: int = 1) -> None:
        with (self.server.folder / "server.log").open("ab") as log:
            self.running += [
                subprocess.Popen(
                    [BIN / "retestr", "worker", "--concurrency", "1"],
                    env=self.server.environment,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
                for _ in range(count)
            ]

    def signal(self, number: int, signum: signal.Signals) -> None:
        """Sends one of them, with all its processes, a signal."""
        os.killpg(self.running[number].pid, signum)

    def end(self, number: signal.Signals) -> list[int]:
        """Sends all of them a signal; returns their exit codes."""
        for process in self.running:
            if process.poll() is None:
                process.send_signal(number)
        codes = [process.wait(60) for process in self.running]
        self.running.clear()
        return codes


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False
