"""A real server of S3 on loopback: versitygw over a folder, whose sub-folders are the buckets."""

import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dev import processes
from dev.programs import find_program

_PATIENCE = 60.0  # seconds
_KEY, _SECRET = "AKIASLUICE", "a secret key of the tests"


@dataclass(frozen=True)
class ObjectStore:
    """Where it is, and the keys that it takes."""

    endpoint: str
    port: int
    folder: Path
    key: str = _KEY
    secret: str = _SECRET

    @property
    def variables(self) -> dict[str, str]:
        """For the environment of a client of S3."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_REGION": "us-east-1",
        }


@contextmanager
def running(
    folder: Path, buckets: Sequence[str], tls: tuple[Path, Path] | None = None, port: int = 0
) -> Iterator[ObjectStore]:
    """A server with these new buckets, beside those that `folder` has already. `tls`: its certificate and key.

    `port`: where a server was before; without it, one that is free.
    """
    data = folder / "data"
    data.mkdir(exist_ok=True)
    for bucket in buckets:
        (data / bucket).mkdir()
    port = port or processes.free_ports(1)[0]
    secure = [f"--cert={tls[0]}", f"--key={tls[1]}"] if tls else []
    listen = [f"--port=127.0.0.1:{port}", f"--access={_KEY}", f"--secret={_SECRET}", "--quiet", *secure]
    with processes.running([find_program("versitygw"), *listen, "posix", str(data)], folder / "versitygw.log"):
        deadline = time.monotonic() + _PATIENCE
        while not _answers(port):
            assert time.monotonic() < deadline, f"no object store: {(folder / 'versitygw.log').read_text()[-2000:]}"
            time.sleep(0.05)
        yield ObjectStore(f"{'https' if tls else 'http'}://127.0.0.1:{port}", port, data)


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True
