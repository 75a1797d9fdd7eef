"""`python -m dev.bench.server.peers`: KServe, BentoML and MLServer beside our model server, under the same load.

Each peer is installed once, into an environment of its own in the user's cache. As in `dev.bench.server`, a server is
on one core and the load on another, with the constant reply before each measurement; loopback only, and all ends with
the run. A peer that cannot be installed or does not start is a row that says why. Prints two tables in markdown.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.bench.server import bench, models, servers
from dev.bench.server.bench import MANY, ONE, ROWS, Bench
from dev.bench.server.models import LOGISTIC, Model
from dev.bench.server.peers import environments, kinds
from dev.bench.server.peers.kinds import PEERS, Peer, Saved
from dev.bench.server.servers import Running

_LOADS = ((ONE, 1), (ONE, 32), (MANY, 1), (MANY, 32))  # rows of a request, connections


def _installed(measured: Bench, saved: Sequence[Saved]) -> dict[Peer, Path]:
    """The programs of each peer that could be installed."""
    found = {}
    for peer in PEERS:
        try:
            found[peer] = environments.programs(environments.cache(), peer.pins)
        except RuntimeError as error:
            for model in saved:
                measured.fail(peer.title, model.name, f"{peer.title} is not installed: {error}")
    return found


def _peers(measured: Bench, floor: Running, found: dict[Peer, Path], saved: Sequence[Saved]) -> None:
    for peer, programs in found.items():
        for model in saved:
            for server in peer.servers(peer.title, programs, model, ROWS):
                measured.attempt(floor, server, _LOADS)


def _all(measured: Bench, made: dict[str, Model], folder: Path, collector: str) -> None:
    saved = kinds.save(folder, made[LOGISTIC].rows)
    found = _installed(measured, saved)
    with measured.running(servers.floor({count: made[LOGISTIC].plain(count) for count in ROWS})) as floor:
        for model in made.values():
            measured.measure(floor, servers.ours(model, ROWS, folder, collector), _LOADS)
        _peers(measured, floor, found, saved)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.server.peers", description=__doc__.splitlines()[0])
    options = bench.options(parser, argv, seconds=2, rounds=2)
    with TemporaryDirectory() as name, bench.collector() as collector:
        folder = Path(name)
        measured = Bench(options, folder)
        _all(measured, models.make(folder), folder, collector)
    print(measured.tables())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
