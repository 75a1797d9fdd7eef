"""What the benchmark of the model server knows of processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev.bench.server import usage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


def test_what_a_server_has_started_ends_with_it() -> None:
    """A server that is killed leaves its workers; the benchmark does not."""
    command = ["sh", "-c", "sleep 600 & echo started; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        server.stdout.readline()
        tree = usage.processes(server.pid)
        server.kill()
        server.wait()
        (worker,) = tree.keys() - {server.pid}
        assert Path(f"/proc/{worker}").exists()
        usage.end(tree)
        assert server.stdout.read() == b""  # its last writer has ended


def test_a_process_with_the_number_of_an_ended_one_is_spared() -> None:
    """Numbers of processes come again."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        usage.end(dict.fromkeys(usage.processes(other.pid), "0"))
        assert other.communicate(b"alive")[0] == b"alive"
