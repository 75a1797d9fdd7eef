"""The peers: how each is started with a model, on loopback and one worker, and how it is asked."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import joblib
from sklearn.datasets import load_iris

from dev.bench.server import models
from dev.bench.server.peers import environments
from dev.bench.server.servers import Server

HERE = Path(__file__).parent
_SERVICES = HERE / "services"
_BATCHING = {"max_batch_size": 64, "max_batch_time": 0.002}  # requests, seconds
_QUIET = {"BENTOML_DO_NOT_TRACK": "True", "DO_NOT_TRACK": "1"}
Rows = list[list[float]]


@dataclass(frozen=True, slots=True)
class Saved:
    """An estimator as a file that every peer reads, and rows to ask it for."""

    name: str
    file: Path
    rows: Rows

    def bodies(self, body: Callable[[Rows], Any], counts: tuple[int, ...]) -> dict[int, bytes]:
        """Requests by their number of rows."""
        return {count: json.dumps(body(self.rows[:count])).encode() for count in counts}


@dataclass(frozen=True, slots=True)
class Peer:
    """A model server: its pins, and the ways in which it is measured."""

    name: str
    package: str
    servers: Callable[[str, Path, Saved, tuple[int, ...]], list[Server]]

    @property
    def pins(self) -> Path:
        """Its requirements file."""
        return HERE / f"{self.package}.txt"

    @property
    def title(self) -> str:
        """Its name with its version."""
        return f"{self.name} {environments.version(self.pins.read_text(), self.package)}"


def save(folder: Path, rows: Rows) -> list[Saved]:
    """The estimators of `models`, trained without names of columns, which the peers' requests do not have."""
    iris = load_iris()
    saved = []
    for name, estimator in models.estimators().items():
        saved.append(Saved(name, folder / f"{name}.joblib", rows))
        joblib.dump(estimator.fit(iris.data, iris.target), saved[-1].file)
    return saved


def instances(rows: Rows) -> dict[str, Any]:
    """KServe's first protocol."""
    return {"instances": rows}


def inputs(rows: Rows) -> dict[str, Any]:
    """The open inference protocol."""
    data = [each for row in rows for each in row]
    return {"inputs": [{"name": "x", "shape": [len(rows), len(rows[0])], "datatype": "FP64", "data": data}]}


def argument(rows: Rows) -> dict[str, Any]:
    """BentoML: by the name of the function's argument."""
    return {"x": rows}


def _kserve(title: str, programs: Path, model: Saved, rows: tuple[int, ...]) -> list[Server]:
    command = (
        *(str(programs / "python"), str(_SERVICES / "kserve_service.py")),
        *("--http_port", "PORT", "--workers", "1", "--enable_grpc", "false", "--model_name", "iris"),
    )
    environment = _QUIET | {"MODEL_FILE": str(model.file)}
    bodies = model.bodies(instances, rows)
    return [Server(f"{title}, sklearnserver", model.name, command, "/v1/models/iris:predict", bodies, environment)]


def _bentoml(title: str, programs: Path, model: Saved, rows: tuple[int, ...]) -> list[Server]:
    command = (
        *(str(programs / "bentoml"), "serve", "bentoml_service:Iris", "--working-dir", str(_SERVICES)),
        *("--host", "127.0.0.1", "--port", "PORT"),
    )
    home = str(model.file.parent / "bentoml")
    environment = _QUIET | {"MODEL_FILE": str(model.file), "BENTOML_HOME": home}
    bodies = model.bodies(argument, rows)
    ways = {title: "/predict", f"{title}, batching": "/predict_batch"}
    return [Server(name, model.name, command, path, bodies, environment) for name, path in ways.items()]


def _mlserver(title: str, programs: Path, model: Saved, rows: tuple[int, ...]) -> list[Server]:
    environment = _QUIET | {
        "MLSERVER_HOST": "127.0.0.1",
        "MLSERVER_HTTP_PORT": "PORT",
        "MLSERVER_GRPC_PORT": "OTHER",
        "MLSERVER_METRICS_PORT": "THIRD",
        "MLSERVER_PARALLEL_WORKERS": "0",  # in the process of the server: faster than a worker on the same core
        "MLSERVER_DEBUG": "false",
    }
    bodies = model.bodies(inputs, rows)
    ways = {title: {}, f"{title}, batching": _BATCHING}
    return [
        Server(
            name,
            model.name,
            (str(programs / "mlserver"), "start", str(_described(model, settings))),
            "/v2/models/iris/infer",
            bodies,
            environment,
        )
        for name, settings in ways.items()
    ]


def _described(model: Saved, settings: Mapping[str, float]) -> Path:
    """The model as a folder that MLServer reads."""
    folder = model.file.with_suffix(".batching" if settings else ".plain")
    folder.mkdir(exist_ok=True)
    described = {
        "name": "iris",
        "implementation": "mlserver_sklearn.SKLearnModel",
        "parameters": {"uri": str(model.file), "version": "1"},
        **settings,
    }
    (folder / "model-settings.json").write_text(json.dumps(described))
    return folder


PEERS = (
    Peer("KServe", "kserve", _kserve),
    Peer("BentoML", "bentoml", _bentoml),
    Peer("MLServer", "mlserver", _mlserver),
)
