"""How long a model server keeps /health/live waiting while large and hostile bodies come in.

    python -m dev.bench.hostile [--seconds 6] [--senders 4]

Starts a server, asks it for /health/live all the time, and prints for each kind of body how long that took beside the
same question without other requests, of the same run.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from pathlib import Path

import skops.io
from sklearn.datasets import load_iris
from sklearn.linear_model import LogisticRegression

from dev.processes import free_ports, running
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText

_SIZE = 4 * 1024 * 1024 - 100  # bytes; the limit of a body is 4 MiB
_PATIENCE = 60.0
_JSON, _CSV, _BYTES = "application/json", "text/csv", "application/octet-stream"
_INPUTS = '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 4]}}]'
_EXAMPLE = {"features": [5.1, 3.5, 1.4, 0.2]}


@dataclass(frozen=True)
class Hostile:
    """A body, and where it is sent."""

    name: str
    path: str
    body: bytes
    kind: str = _JSON
    headers: Mapping[str, str] = field(default_factory=dict)


def bodies() -> list[Hostile]:
    """Nearly all of them about as large as a body may be."""
    infer = "/v2/models/iris/infer"
    row = b"[1e308,1e308,1e308,1e308],"
    text = b'{"inputs":[{"name":"x","shape":[1048000,1],"datatype":"BYTES","parameters":{"binary_data_size":4192000}}]}'
    return [
        Hostile("a small request", "/predict", b'{"features": [5.1, 3.5, 1.4, 0.2]}'),
        Hostile("10,000 rows", "/predict", b'{"features": [' + b"[5.1,3.5,1.4,0.2]," * 9_999 + b"[5.1,3.5,1.4,0.2]]}"),
        Hostile("rows that are empty", "/predict", _list(b'{"features": [', b"[],", b"[]]}")),
        Hostile("instances that are empty", "/invocations", _list(b'{"instances": [', b"[],", b"[]]}")),
        Hostile("unknown keys", "/feedback", _keys()),
        Hostile("unknown keys", "/predict", b'{"features": ' + _keys()[:-20].rpartition(b",")[0] + b"}}"),
        Hostile("labels", "/feedback", _list(b'{"prediction_id": "x", "labels": [', b"1,", b"1]}")),
        Hostile("nested lists", "/predict", b'{"features": ' + b"[" * _SIZE),
        Hostile("nested objects", "/invocations", b'{"inputs":' * (_SIZE // 10)),
        Hostile("1e308", "/predict", _list(b'{"features": [', row, row[:-1] + b"]}")),
        Hostile("one row of numbers", "/predict", _list(b'{"features": [', b"1e3,", b"1]}")),
        Hostile("one huge whole number", "/predict", b'{"features": [[' + b"7" * _SIZE + b",1,1,1]]}"),
        Hostile("huge whole numbers", "/predict", _list(b'{"features": [', b"7" * 4000 + b",", b"1]}")),
        Hostile("NaN", "/invocations", _list(b'{"instances": [', b"NaN,", b"1]}")),
        Hostile("no UTF-8", "/predict", b'{"features": "' + b"\xff" * _SIZE + b'"}'),
        Hostile("one text with escapes", "/invocations", b'{"inputs": "' + b"\\u00e4" * (_SIZE // 6) + b'"}'),
        Hostile("CSV: one line", "/invocations", b"1," * (_SIZE // 2), _CSV),
        Hostile("CSV: short lines", "/invocations", b"0,1,2,3\n" + b"1\n" * (_SIZE // 2 - 4), _CSV),
        Hostile("CSV: an open quote", "/invocations", b'0,1,2,3\n"' + b'""' * (_SIZE // 2 - 5), _CSV),
        Hostile("empty texts as bytes", infer, text + bytes(4_192_000), _BYTES, _json_bytes(text)),
        Hostile("a tensor of lists", infer, _list(b'{"inputs": [{"data": [', b"[],", b"[]]}]}")),
        *_numbers(infer),
        *_texts(infer),
    ]


def _numbers(infer: str) -> list[Hostile]:
    """Numbers that take a reader long: near the ends of a double, with many digits, and what only looks like one."""
    tiny, rows = b"1e-308,", b"[1e-308,1e-308,1e-308,1e-308]"
    tensor = b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "FP64", "data": ['
    half = b"8.8793529866786806347e-99,"  # nearly half-way between two doubles
    return [
        Hostile("1e-308", "/predict", _list(b'{"features": [[', tiny, b"1]]}")),
        Hostile("1e-308", "/invocations", _list(b'{"instances": [[', tiny, b"1]]}")),
        Hostile("1e-308", infer, _list(tensor, tiny, b"1]}]}")),
        Hostile("1e-308", "/feedback", _list(b'{"prediction_id": "x", "labels": [', tiny, b"1]}")),
        Hostile("10,000 rows of 1e-308", "/predict", b'{"features": [' + (rows + b",") * 9_999 + rows + b"]}"),
        Hostile("1e-308, 16 kB", "/predict", _list(b'{"features": [[', tiny, b"1]]}", 16_384)),
        Hostile("1e289", "/predict", _list(b'{"features": [[', b"1e289,", b"1]]}")),
        Hostile("numbers of 20 digits", "/invocations", _list(b'{"instances": [[', half, b"1]]}")),
        Hostile("whole numbers of 309 digits", "/invocations", _list(b'{"instances": [[', b"7" * 309 + b",", b"1]]}")),
        Hostile(
            "fractions of 323 digits",
            "/predict",
            _list(b'{"features": [[', b"0." + b"0" * 306 + half[2:19] + b",", b"1]]}"),
        ),
        Hostile("NaN and whole numbers", "/invocations", _list(b'{"instances": [NaN,', b"1,", b"1]}")),
        Hostile(
            "CSV: digits and a letter", "/invocations", _list(b"0,1,2,3\n", b"1" * 130_000 + b"x,1,1,1\n", b""), _CSV
        ),
        Hostile("CSV: numbers of 400 digits", "/invocations", _list(b"0,1,2,3\n", b"1" * 400 + b",1,1,1\n", b""), _CSV),
        Hostile(
            "a shape of many sizes",
            infer,
            _list(
                b'{"inputs": [{"name": "x", "datatype": "FP64", "data": [1], "shape": [1',
                b",9223372036854775807",
                b"]}]}",
            ),
        ),
    ]


def _texts(infer: str) -> list[Hostile]:
    """Texts and names that are long, many, or full of what a reader looks for."""
    data = b'{"inputs": [{"name": "x", "shape": [1, 4], "datatype": "BOOL", "data": ['
    return [
        Hostile("empty texts", "/feedback", _list(b'{"prediction_id": "x", "labels": [', b'"",', b'""]}')),
        Hostile("a text of e", "/predict", b'{"features": "' + b"0e" * (_SIZE // 2) + b'"}'),
        Hostile("pairs beside NaN", "/invocations", _list(b'{"instances": [NaN,"', b"\\ud83d\\ude00", b'"]}')),
        Hostile("white space", "/invocations", b'{"inputs":' + b" " * _SIZE + b"NaN"),
        Hostile("a long name", "/predict", b'{"features": [[1,2,3,4]], "' + b"k" * _SIZE + b'": 1}'),
        Hostile(
            "a table of many columns",
            "/invocations",
            _list(b'{"dataframe_split": {"columns": [', b"1,", b'1], "data": [[1]]}}'),
        ),
        Hostile("1 for booleans", infer, _list(data, b"1,", b"1]}]}")),
        Hostile(
            "CSV: 200 columns",
            "/invocations",
            b"0,1,2,3" + b",x" * 196 + b"\n" + (b"1" + b",1" * 199 + b"\n") * 9_999,
            _CSV,
        ),
        Hostile("CSV: long texts", "/invocations", _list(b"0,1,2,3\n", b"a" * 130_000 + b",1,1,1\n", b""), _CSV),
    ]


def _list(start: bytes, item: bytes, end: bytes, size: int = _SIZE) -> bytes:
    return start + item * ((size - len(start) - len(end)) // len(item)) + end


def _keys() -> bytes:
    """An object of some 330,000 keys that nobody knows."""
    return b"{" + b",".join(b'"k%06d":0' % number for number in range(330_000)) + b"}"


def _json_bytes(text: bytes) -> dict[str, str]:
    return {"inference-header-content-length": str(len(text))}


class Repeated:
    """Does one thing again and again in a thread, until the end of the block."""

    def __init__(self, port: int, asked: Hostile | None) -> None:
        self.statuses = Counter[int | str]()
        self.seconds: list[float] = []
        self._port = port
        self._asked = asked
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Repeated:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=_PATIENCE)
        while not self._stop.is_set():
            began = time.perf_counter()
            try:
                self.statuses[self._once(connection)] += 1
            except OSError as error:  # the server may answer, and close, before it has read all
                self.statuses[type(error).__name__] += 1
                connection.close()
            self.seconds.append(time.perf_counter() - began)
            if self._asked is None:
                time.sleep(0.002)
        connection.close()

    def _once(self, connection: HTTPConnection) -> int:
        if self._asked is None:
            connection.request("GET", "/health/live")
        else:
            headers = {"content-type": self._asked.kind, **self._asked.headers}
            connection.request("POST", self._asked.path, self._asked.body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status


@contextmanager
def _server(folder: Path) -> Iterator[int]:
    (folder / FILES).mkdir()
    model = LogisticRegression(max_iter=500).fit(*load_iris(return_X_y=True))
    skops.io.dump(model, folder / FILES / "model.skops")
    found = Manifest("sha256:0", "skops", "sklearn", "model.skops", SignatureText(_INPUTS, None), _EXAMPLE)
    manifest.write(found, folder)
    (folder / "key").write_bytes(b"k" * 32)
    port, gateway = free_ports(2)
    environment = os.environ | {
        "SLUICE_MODEL_NAME": "iris",
        "SLUICE_MODEL_DIR": str(folder),
        "SLUICE_FEEDBACK_KEY_FILE": str(folder / "key"),
        "SLUICE_HOST": "127.0.0.1",
        "SLUICE_CLUSTER_PORT": str(port),
        "SLUICE_GATEWAY_PORT": str(gateway),
        "SLUICE_DRAIN_DELAY": "0",
    }
    with running([sys.executable, "-m", "sluice_server", "serve"], folder / "log", environment):
        deadline = time.monotonic() + _PATIENCE
        while not _is_ready(port):
            if time.monotonic() > deadline:
                raise SystemExit(f"the server is not ready:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        yield port


def _is_ready(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_PATIENCE)
    try:
        connection.request("GET", "/health/ready")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _measure(port: int, asked: Hostile | None, senders: int, seconds: float) -> tuple[str, list[float]]:
    """Statuses of the hostile requests, and how long each question for /health/live took, sorted."""
    sending = [Repeated(port, asked) for _ in range(senders if asked else 0)]
    for each in sending:
        each.__enter__()
    with Repeated(port, None) as asking:
        time.sleep(seconds)
    for each in sending:
        each.__exit__()
    statuses = sum((each.statuses for each in sending), Counter[int | str]())
    spelt = ", ".join(f"{status}: {times}" for status, times in statuses.most_common())
    return spelt, sorted(asking.seconds)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each kind of body")
    parser.add_argument("--senders", type=int, default=4, help="connections that send it")
    options = parser.parse_args()
    print("| body | at | answers | /health/live, median | 99 % | longest |\n| --- | --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder, _server(Path(folder)) as port:
        for asked in [None, *bodies(), None]:
            spelt, waits = _measure(port, asked, options.senders, options.seconds)
            name, path = (asked.name, f"`{asked.path}`") if asked else ("none", "")
            figures = [f"{1000 * waits[int(share * (len(waits) - 1))]:.1f} ms" for share in (0.5, 0.99, 1.0)]
            print(f"| {name} | {path} | {spelt} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
