"""Loading: from the model folder to a model that answered its input example. Only then is the pod ready."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sluice_server.fetch.example import MOST_ROWS
from sluice_server.http.predict import Loaded, PredictPath
from sluice_server.inference.batching import Batcher
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.rows import PayloadReader, Rejected
from sluice_server.model.manifest import FILES, Manifest
from sluice_server.process.lifecycle import Phase, Readiness
from sluice_server.settings import ServeSettings

if TYPE_CHECKING:
    from sluice_server.runtimes.sklearn_model import Model

logger = logging.getLogger("sluice.startup")


async def load(
    settings: ServeSettings,
    manifest: Manifest,
    path: PredictPath,
    metrics: Metrics,
    readiness: Readiness,
    worker: Executor,
) -> None:
    """Loads, asks for the input example, and says ready; a failure is said by readiness and never ends the process."""
    try:
        path.loaded = loaded = await prepare(settings, manifest, worker, _model_at)
    except Exception as error:  # any failure of a model means the same: not ready, and why
        logger.exception("the model cannot be served")
        readiness.reached(Phase.FAILED, f"the model cannot be served: {type(error).__name__}: {str(error)[:500]}")
        return
    metrics.expect_classes(loaded.classes or ())
    metrics.describe(settings.model_uri, manifest.flavor, manifest.runtime)
    readiness.reached(Phase.READY, "the model answered its input example")
    logger.info("ready: %s %s", settings.model_name, settings.model_version)


async def prepare(
    settings: ServeSettings, manifest: Manifest, worker: Executor, open_model: Callable[[Path, tuple[str, ...]], Model]
) -> Loaded:
    """The model behind its batcher, after it answered its input example; raises whatever stands in the way."""
    file = settings.model_dir / FILES / manifest.model_file
    model = await asyncio.get_running_loop().run_in_executor(worker, open_model, file, settings.trusted_types)
    batcher = Batcher(model.predict, worker, settings.max_queued_rows)
    rows = PayloadReader(manifest.schema, MOST_ROWS).read(msgspec.json.encode(manifest.input_example))
    if isinstance(rows, Rejected):
        raise ValueError(f"the input example does not fit the signature: {rows.detail}")
    await batcher.submit(rows)
    return Loaded(batcher, model.classes)


def _model_at(file: Path, trusted_types: tuple[str, ...]) -> Model:
    from sluice_server.runtimes.sklearn_model import load as load_model  # noqa: PLC0415 - imports scikit-learn: in the worker thread

    return load_model(file, trusted_types)
