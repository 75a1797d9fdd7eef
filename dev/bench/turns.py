"""For how long one hostile body lets nothing else run in its process.

    python -m dev.bench.turns

Reads each body of `dev.bench.hostile` in a thread, as the model server does, while another thread asks for its turn all
the time, and prints the longest that it waited. The least of some tries: what else the machine does only adds to it.
"""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from dev.bench.hostile import Hostile, bodies
from sluice_server.http import feedback, json_body
from sluice_server.http.dialects import DIALECTS
from sluice_server.http.dialects.port import Dialect
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.identity import Identity
from sluice_server.model.schema import Column, Kind, Schema

_TRIES = 3
_SWITCH = 0.001  # seconds, as the server has it


def _read(dialects: dict[str, Dialect], asked: Hostile) -> None:
    """What the server does with a body before the model is asked."""
    dialect = dialects.get(asked.path)
    if dialect is None:
        _read_labels(asked.body)
        return
    length = asked.headers.get("inference-header-content-length")
    parsed = dialect.parse(asked.body, asked.kind, None if length is None else int(length))
    if isinstance(parsed, Rejection):
        dialect.write_rejection(parsed)


def _read_labels(body: bytes) -> None:
    try:
        feedback.decode(body)
    except json_body.NOT_JSON as error:
        json_body.why(error, body)


def longest_wait(work: Callable[[], None]) -> tuple[float, float]:
    """Seconds that another thread waited for its turn at most, and seconds of the work."""
    began = last = time.perf_counter()
    working = threading.Thread(target=work)
    working.start()
    longest = 0.0
    while working.is_alive():
        now = time.perf_counter()
        longest, last = max(longest, now - last), now
    ended = time.perf_counter()
    return max(longest, ended - last), ended - began


def main() -> None:
    """Prints the table."""
    sys.setswitchinterval(_SWITCH)
    schema = Schema(tuple(Column(str(at), Kind.NUMBER) for at in range(4)))
    made = [kind(RowReader(schema, 10_000), Identity("iris", "3", "local")) for kind in DIALECTS]
    dialects = {path: dialect for dialect in made for path in dialect.paths}
    print("| body | at | longest without a turn | of |\n| --- | --- | --- | --- |")
    for asked in bodies():
        wait, took = min(longest_wait(partial(_read, dialects, asked)) for _ in range(_TRIES))
        print(f"| {asked.name} | `{asked.path}` | {1000 * wait:.1f} ms | {1000 * took:.0f} ms |", flush=True)


if __name__ == "__main__":
    main()
