"""`python -m dev.bench.server`: the model server's share of a constant reply, and `mlflow models serve`, in one run.

The server is on one core and the load on another; before each measurement the constant reply is measured in the same
way. Loopback only, bounded in time, and it ends what it starts. Prints two tables in markdown.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from dev.bench.server import bench, models, servers
from dev.bench.server.bench import MANY, ONE, ROWS, Bench
from dev.bench.server.models import LOGISTIC, Model

_LOADS = ((ONE, 1), (ONE, 32), (MANY, 32))  # rows of a request, connections
_LOAD_OF_VARIANTS = ((ONE, 32),)


def _all(measured: Bench, made: dict[str, Model], only_ours: bool, folder: Path, collector: str) -> None:
    rows = {count: made[LOGISTIC].plain(count) for count in ROWS}
    with measured.running(servers.floor(rows)) as floor:
        for model in made.values():
            measured.measure(floor, servers.ours(model, ROWS, folder, collector), _LOADS)
        for without in filter(None, servers.VARIANTS):
            server = servers.ours(made[LOGISTIC], ROWS, folder, collector, without)
            measured.measure(floor, server, _LOAD_OF_VARIANTS)
        for model in () if only_ours else made.values():
            measured.measure(floor, servers.mlflow(model, ROWS, folder), _LOADS)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.bench.server", description=__doc__.splitlines()[0])
    parser.add_argument("--only-ours", action="store_true", help="leave out mlflow models serve")
    options = bench.options(parser, argv, seconds=3, rounds=3)
    with TemporaryDirectory() as name, bench.collector() as collector:
        folder = Path(name)
        measured = Bench(options, folder)
        _all(measured, models.make(folder), options.only_ours, folder, collector)
    print(measured.tables())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
