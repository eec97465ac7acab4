"""A RabbitMQ node of a test's own: Debian's, with its own ports, folder, cookie, and its own epmd."""

import os
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path
from secrets import token_hex
from typing import Self

from tests.queues.servers.certificates import write_certificates
from tests.queues.servers.ports import free_port
from tests.queues.servers.processes import die_with_us

PATIENCE_SECONDS = 60.0
MISSING = "no RabbitMQ here: apt-get install rabbitmq-server"
USER, PASSWORD = "scheduler", "p@ss/word"
_CONFIGURATION = """
listeners.tcp.1 = 127.0.0.1:{port}
listeners.ssl.1 = 127.0.0.1:{tls_port}
ssl_options.cacertfile = {folder}/tls/authority.pem
ssl_options.certfile = {folder}/tls/server.pem
ssl_options.keyfile = {folder}/tls/server.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
default_user = {user}
default_pass = {password}
log.console = true
log.console.level = warning
log.file = false
disk_free_limit.absolute = 1MB
"""


def programs() -> Path | None:
    """The folder of RabbitMQ's own scripts; those in the PATH become another user first."""
    found = sorted(Path("/usr/lib/rabbitmq/lib").glob("rabbitmq_server-*/sbin"))
    return found[-1] if found and shutil.which("epmd") else None


class RabbitServer:
    """Keeps its ports and its data from one start to the next. A context manager."""

    def __init__(self, folder: Path) -> None:
        found = programs()
        assert found is not None, MISSING
        self.folder = folder
        self.port, self.tls_port, self._dist_port, self._epmd_port = (free_port() for _ in range(4))
        self._program = found / "rabbitmq-server"
        self._cookie = token_hex(8)
        self._epmd: subprocess.Popen[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._prepare()
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._epmd is not None:
            self._epmd.kill()
            self._epmd.wait()

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Up and answering when this returns."""
        self._process = self._spawn(self._program)
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not _greets(self.port):
            if time.monotonic() > deadline or self._process.poll() is not None:
                raise RuntimeError(f"RabbitMQ doesn't answer: {(self.folder / 'log').read_text()[-2000:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    @property
    def facts(self) -> dict[str, str | int]:
        """What another process needs to reach it."""
        return {
            "port": self.port,
            "tls_port": self.tls_port,
            "node": f"127.0.0.1:{self._dist_port}",
            "cookie": self._cookie,
            "certificates": str(self.folder / "tls"),
            "pid": self.pid,
        }

    def _prepare(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_certificates(self.folder / "tls")
        values = {"port": self.port, "tls_port": self.tls_port, "folder": self.folder}
        text = _CONFIGURATION.format(**values, user=USER, password=PASSWORD)
        (self.folder / "rabbitmq.conf").write_text(text)
        (self.folder / "plugins").write_text("[].\n")
        (self.folder / ".erlang.cookie").write_text(self._cookie)
        (self.folder / ".erlang.cookie").chmod(0o400)
        # RabbitMQ would leave one running for ever.
        self._epmd = self._spawn("epmd", "-port", str(self._epmd_port), "-address", "127.0.0.1")

    def _spawn(self, *command: str | Path) -> subprocess.Popen[bytes]:
        with (self.folder / "log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
                preexec_fn=die_with_us,
            )

    def _environment(self) -> dict[str, str]:
        own = {
            "HOME": self.folder,
            "ERL_EPMD_PORT": self._epmd_port,
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODENAME": f"tests{self._dist_port}@localhost",
            "RABBITMQ_DIST_PORT": self._dist_port,
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_CONFIG_FILE": self.folder / "rabbitmq.conf",
            "RABBITMQ_ENABLED_PLUGINS_FILE": self.folder / "plugins",
            "RABBITMQ_MNESIA_BASE": self.folder / "data",
            "RABBITMQ_LOG_BASE": self.folder / "logs",
            "RUNNING_UNDER_SYSTEMD": "true",  # the node takes the place of the script, and gets its signals
        }
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("RABBITMQ_", "ERL_", "NOTIFY_"))
        }
        return kept | {name: str(value) for name, value in own.items()}

    def _end(self, by: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(by)
            self._process.wait(PATIENCE_SECONDS)
            self._process = None


def _greets(port: int) -> bool:
    """Whether it speaks AMQP: the port is open a while before."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(b"AMQP\x00\x00\x09\x01")
            return connection.recv(1) == b"\x01"
    except OSError:
        return False
