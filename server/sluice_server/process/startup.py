"""Loading: from the model folder to a model that answered its input example. Only then is the pod ready."""

from __future__ import annotations

import asyncio
import logging
from concurrent.futures import Executor

import msgspec

from sluice_server import runtimes
from sluice_server.http.app import Pod
from sluice_server.http.dialects.plain import PlainDialect, detail
from sluice_server.inference.batching import Batcher
from sluice_server.inference.readiness import Phase
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import RowReader
from sluice_server.model.manifest import EXAMPLE_ROWS, FILES
from sluice_server.model.schema import Rows
from sluice_server.runtimes.port import LoadedModel

logger = logging.getLogger("sluice.startup")


async def load(pod: Pod, worker: Executor) -> None:
    """Loads, tries the input example, and marks the pod ready; a failure is shown by readiness and ends no process."""
    settings, manifest = pod.settings, pod.manifest
    try:
        model = await _load(pod, worker)
        batcher = Batcher(model.predict, worker, settings.max_queued_rows)
        example = await batcher.submit(_example(pod))
    except Exception as error:  # any failure of a model means the same: not ready, and why
        logger.exception("the model cannot be served")
        reason = f"the model cannot be served: {type(error).__name__}: {str(error)[:500]}"
        pod.readiness.reached(Phase.FAILED, reason)
        return
    pod.data_plane.serve(batcher, model.classes, example)
    pod.metrics.expect_classes(model.classes or ())
    pod.metrics.describe(settings.model_uri, manifest.flavor, manifest.runtime)
    pod.readiness.reached(Phase.READY, "the model answered its input example")
    logger.info("ready: %s %s", settings.model_name, settings.model_version)


async def _load(pod: Pod, worker: Executor) -> LoadedModel:
    """The model, loaded in the worker thread by the runtime that the manifest names."""
    runtime = runtimes.by_name(pod.manifest.runtime)
    file = pod.settings.model_dir / FILES / pod.manifest.model_file
    return await asyncio.get_running_loop().run_in_executor(worker, runtime.load, file, pod.settings.trusted_types)


def _example(pod: Pod) -> Rows:
    """The rows of the manifest's input example, read as the /predict body that it is."""
    dialect = PlainDialect(RowReader(pod.manifest.schema, EXAMPLE_ROWS), pod.identity)
    parsed = dialect.parse(msgspec.json.encode(pod.manifest.input_example))
    if isinstance(parsed, Rejection):
        raise ValueError(f"the input example does not fit the signature: {detail(parsed)}")
    return parsed.rows
