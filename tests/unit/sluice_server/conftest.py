"""A small real forest saved with skops, the process that serves it, and a client that speaks ASGI to it."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from sluice_server.inference.prediction_ids import Keyring
from sluice_server.inference.tracing import Span
from sluice_server.model import manifest
from sluice_server.model.manifest import FILES, Manifest, SignatureText
from sluice_server.process import startup
from sluice_server.process.serve import Process, assemble
from sluice_server.settings import ServeSettings, serve_settings

INPUTS = (
    '[{"type": "double", "name": "sepal length", "required": true}, {"type": "double", "name": "sepal width"},'
    ' {"type": "double", "name": "petal length"}, {"type": "double", "name": "petal width"}]'
)
CURRENT_KEY, PREVIOUS_KEY = b"k" * 32, b"p" * 32


def save_model(
    folder: Path, estimator: Any, inputs: str = INPUTS, example: Any = (5.1, 3.5, 1.4, 0.2), **fields: Any
) -> Path:
    """Lays out a model folder as `fetch` does; `fields` are more of the manifest."""
    (folder / FILES).mkdir(parents=True)
    skops.io.dump(estimator, folder / FILES / "model.skops")
    found = Manifest(
        digest=f"sha256:{'0' * 64}",
        runtime="skops",
        flavor="sklearn",
        model_file="model.skops",
        signature=SignatureText(inputs, None),
        input_example={"features": list(example)},
        **fields,
    )
    manifest.write(found, folder)
    return folder


@pytest.fixture(scope="session")
def forest() -> RandomForestClassifier:
    features, classes = load_iris(return_X_y=True)
    return RandomForestClassifier(10, random_state=0, n_jobs=-1).fit(features, classes)


@pytest.fixture(scope="session")
def model_dir(forest: RandomForestClassifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_model(tmp_path_factory.mktemp("model") / "iris", forest)


@pytest.fixture
def settings(model_dir: Path) -> ServeSettings:
    return serve_settings(
        {
            "SLUICE_MODEL_NAME": "iris",
            "SLUICE_MODEL_VERSION": "3",
            "SLUICE_MODEL_URI": "models:/iris/3",
            "SLUICE_REVISION": "abcdefghij",
            "SLUICE_MODEL_DEPLOYMENT": "iris",
            "SLUICE_MODEL_DIR": str(model_dir),
            "SLUICE_MAX_BODY_BYTES": "4096",
            "SLUICE_MAX_ROWS": "100",
        }
    )


@dataclass(frozen=True)
class Client:
    """Asks one process, with a port per entry, and reads its metrics."""

    process: Process

    def request(self, method: str, path: str, entry: str = "gateway", **options: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            port = {"cluster": 8080, "gateway": 8081}[entry]
            transport = httpx.ASGITransport(self.process.dispatch)
            async with httpx.AsyncClient(transport=transport, base_url=f"http://pod:{port}") as client:
                return await client.request(method, path, **options)

        return asyncio.run(send())

    def get(self, path: str, entry: str = "gateway", **options: Any) -> httpx.Response:
        return self.request("GET", path, entry, **options)

    def post(self, path: str, entry: str = "gateway", **options: Any) -> httpx.Response:
        return self.request("POST", path, entry, **options)

    def value(self, name: str, entry: str = "gateway", **labels: str) -> float | None:
        """A sample with the labels of this process's model."""
        own = {"model": "iris", "revision": "abcdefghij", "entry": entry}
        if not name.startswith("ml_feedback"):
            own["version"] = "3"
        return self.process.pod.metrics.registry.get_sample_value(name, own | labels)


Start = Callable[..., Client]
Save = Callable[..., Path]


@pytest.fixture
def save() -> Save:
    return save_model


@pytest.fixture
def start(settings: ServeSettings) -> Iterator[Start]:
    """Makes a process that tried to load its model; settings can be changed by name."""
    workers = []

    def begin(
        keyring: Keyring | None = Keyring(CURRENT_KEY),  # noqa: B008
        load: bool = True,
        send: Callable[[Span], None] | None = None,
        **changes: Any,
    ) -> Client:
        changed = dataclasses.replace(settings, **changes)
        process = assemble(changed, manifest.read(changed.model_dir), keyring, send)
        process.entries.update({8080: "cluster", 8081: "gateway"})
        worker = ThreadPoolExecutor(1)
        workers.append(worker)
        if load:
            asyncio.run(startup.load(process.pod, worker))
        return Client(process)

    yield begin
    for worker in workers:
        worker.shutdown()


@pytest.fixture
def client(start: Start) -> Client:
    return start()
