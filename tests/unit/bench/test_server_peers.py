"""What the benchmark of the other model servers decides before it starts one."""

import argparse
import json
import os
import re
import sys
from pathlib import Path

import pytest

from dev.bench.server import table
from dev.bench.server.bench import Bench
from dev.bench.server.peers import environments, kinds
from dev.bench.server.peers.kinds import PEERS, Peer, Saved
from dev.bench.server.servers import Running, Server
from dev.bench.server.table import Failure

ROWS = [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]
LOCK = kinds.HERE.parents[2] / "requirements.txt"


def saved(folder: Path) -> Saved:
    return Saved("forest", folder / "forest.joblib", ROWS)


def test_other_pins_or_another_python_are_another_environment(tmp_path: Path) -> None:
    """An environment that is in the cache is never one of other versions."""
    made = {
        environments.folder(tmp_path, name, pins, python)
        for name, pins, python in [
            ("a", "x==1", "3.11"),
            ("b", "x==1", "3.11"),
            ("a", "x==2", "3.11"),
            ("a", "x==1", "3.12"),
        ]
    }
    assert len(made) == 4
    assert {each.parent for each in made} == {tmp_path}


def test_an_environment_that_is_there_is_not_installed_again(tmp_path: Path) -> None:
    """A second run needs no network."""
    pins = tmp_path / "a.txt"
    pins.write_text("no-such-package==1")
    made = environments.folder(tmp_path, "a", pins.read_text())
    made.mkdir()
    (made / "installed").touch()
    assert environments.programs(tmp_path, pins) == made / "bin"


def test_pins_that_cannot_be_installed_are_a_reason_and_no_environment(tmp_path: Path) -> None:
    """The next run tries again."""
    pins = tmp_path / "a.txt"
    pins.write_text("no requirement at all")
    for _ in range(2):
        with pytest.raises(RuntimeError, match="no requirement at all"):
            environments.programs(tmp_path, pins)


@pytest.mark.parametrize("package", ["scikit-learn", "numpy", "joblib"])
@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.package)
def test_peers_read_the_models_with_the_versions_that_wrote_them(peer: Peer, package: str) -> None:
    """After an upgrade of the lock file the pins of the peers follow."""
    locked = re.search(rf"^{package}==(\S+)", LOCK.read_text(), re.MULTILINE)
    assert locked is not None
    assert environments.version(peer.pins.read_text(), package) == locked[1]


@pytest.mark.parametrize("pins", ["other==1", "# peer==1", "peer", "peers==1"])
def test_a_package_without_a_pin_is_no_version(pins: str) -> None:
    """A row of the table names what was measured."""
    assert environments.version("peer==1.2 # because\nother==3", "peer") == "1.2"
    with pytest.raises(ValueError, match="peer has no pin"):
        environments.version(pins, "peer")


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.package)
def test_each_peer_is_on_loopback_and_tells_nobody(peer: Peer, tmp_path: Path) -> None:
    """No peer keeps its default address or its usage reports."""
    for server in peer.servers(peer.title, tmp_path, saved(tmp_path), (1, 3)):
        words = [*server.command, *server.environment.values()]
        assert peer.title in server.name
        assert "PORT" in words
        assert "0.0.0.0" not in words
        assert server.environment["BENTOML_DO_NOT_TRACK"] == "True"
        assert {len(json.loads(body)) for body in server.bodies.values()} == {1}
        assert sorted(server.bodies) == [1, 3]


def test_rows_are_told_in_each_peers_words() -> None:
    """Every body has all rows in their order."""
    assert kinds.instances(ROWS) == {"instances": ROWS}
    assert kinds.argument(ROWS) == {"x": ROWS}
    (tensor,) = kinds.inputs(ROWS)["inputs"]
    assert tensor == {"name": "x", "shape": [3, 2], "datatype": "FP64", "data": [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]}


def test_ways_of_one_peer_do_not_share_a_description(tmp_path: Path) -> None:
    """MLServer with batching is not the one without."""
    mlserver = next(each for each in PEERS if each.package == "mlserver")
    plain, batching = mlserver.servers("MLServer", tmp_path, saved(tmp_path), (1,))
    described = [json.loads(Path(each.command[-1], "model-settings.json").read_text()) for each in (plain, batching)]
    assert ["max_batch_size" in each for each in described] == [False, True]


@pytest.mark.skipif(sys.platform != "linux", reason="servers run on one core, by taskset")
def test_a_peer_that_does_not_start_is_a_row_and_the_run_goes_on(tmp_path: Path) -> None:
    """One peer that ends at its start costs no figures of the others."""
    server = Server("peer", "forest", (sys.executable, "-c", "raise SystemExit('no model')"), "/predict", {1: b""})
    cores = sorted(os.sched_getaffinity(0))
    bench = Bench(argparse.Namespace(cores=[cores[0], cores[-1]], seconds=1, rounds=1), tmp_path)
    bench.attempt(Running(server, 0, "", 0.0), server, [(1, 1)])
    (row,) = bench.points
    assert isinstance(row, Failure)
    assert row.text.splitlines()[-1].endswith("no model")
    assert bench.starts == []


def test_a_server_that_was_not_measured_is_a_row_with_the_reason() -> None:
    """One line, as many cells as any other, and the last words, which name the error."""
    heading, _, row = table.loads(
        [Failure("peer", "forest", "peer does not answer:\nTraceback\nError: a | b\n")]
    ).splitlines()
    assert row.startswith("| peer | forest | not measured: Error: a / b |")
    assert row.count("|") == heading.count("|")
