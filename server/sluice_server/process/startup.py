"""Loading: from the model folder to a model that answered its input example. Only then is the pod ready.

The example takes the way of every request: read by a dialect, batched, predicted, signed, and written as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import logging
from concurrent.futures import Executor
from functools import partial

import msgspec

from sluice_server import runtimes
from sluice_server.http.app import Pod
from sluice_server.http.dialects.plain import PlainDialect, detail
from sluice_server.inference.batching import Batcher
from sluice_server.inference.metrics import ENTRIES
from sluice_server.inference.pace import measure
from sluice_server.inference.prediction import Prediction
from sluice_server.inference.readiness import Phase
from sluice_server.inference.rejection import Rejection
from sluice_server.inference.rows import example_reader
from sluice_server.model.manifest import Manifest
from sluice_server.model.schema import Kind, Rows
from sluice_server.runtimes.independence import are_independent
from sluice_server.runtimes.output import Output
from sluice_server.runtimes.port import CodeModel, LoadedModel, ModelError, UnfitRowsError

logger = logging.getLogger("sluice.startup")
# New objects before the garbage collector looks at the young ones; by default, 700. Those of a request are gone without
# a collector a moment later, and looking at them again and again took a twentieth of its time.
_YOUNG_OBJECTS = 10_000
_MADE_UP = "its input example was made up from the signature"
_DEPENDENT = "near its input example, a row gets another answer among others than alone, or the model takes no such row"
_LOG_EXAMPLE = "log the model with input_example=X[:5]"


async def load(pod: Pod, worker: Executor) -> None:
    """Loads, tries the input example, and marks the pod ready; a failure is shown by readiness and ends no process."""
    try:
        example = await _answer_example(pod, worker)
    except Exception as error:  # any failure of a model means the same: not ready, and why
        logger.exception("the model cannot be served")
        says_all = isinstance(error, ModelError | ModuleNotFoundError)
        hint = "" if says_all else _hint(pod.manifest)
        reason = f"the model cannot be served: {_what(error)[:500]}{hint}"
        pod.readiness.reached(Phase.FAILED, reason)
        return
    found = pod.manifest
    pod.metrics.describe(pod.settings.model_uri, found.flavor, found.runtime, found.origin)
    _keep_what_is_loaded()
    pod.data_plane.open(example)
    pod.readiness.reached(Phase.READY, "the model answered its input example")
    logger.info("ready: %s %s", pod.settings.model_name, pod.settings.model_version)


def _what(error: Exception) -> str:
    """What is wrong, in words for whoever logged the model."""
    if isinstance(error, ModelError | UnfitRowsError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        lacks = f"it needs the module {error.name!r}, which this server image does not have"
        return f"{lacks}: set server.image to an image that has its package"
    return f"{type(error).__name__}: {error}"


def _hint(found: Manifest) -> str:
    """What may be wrong with the example instead of the model."""
    if not found.example_is_made_up:
        return ""
    unfit = "" if found.example_unfit is None else f", as the logged example does not fit ({found.example_unfit})"
    return f": {_MADE_UP}{unfit}: {_LOG_EXAMPLE}"


def _keep_what_is_loaded() -> None:
    """Nothing of a model and its libraries becomes garbage, so no collection has to walk through them again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG_OBJECTS)
    _give_back_memory()


def _give_back_memory() -> None:
    """What only loading needed, where the C library can do that: glibc keeps some megabytes of it."""
    with contextlib.suppress(OSError, TypeError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


async def _answer_example(pod: Pod, worker: Executor) -> Output:
    """The model's output for its input example, which has taken the whole way of a request but for the socket."""
    dialect = PlainDialect(example_reader(pod.manifest.schema), pod.identity)
    rows = _example(pod.manifest, dialect)
    model = await _load(pod, worker, rows)
    pod.rows.allow_missing(model.nullable)
    pod.data_plane.take(await _batcher(pod, model, worker, rows), model.classes)
    pod.metrics.expect_classes(model.classes or ())
    if model.classes is None and pod.settings.feedback_tolerance is not None:
        pod.metrics.expect_numbers()
    prediction = await pod.data_plane.predict(rows, ENTRIES[0], probe=False, disconnected=_stay)
    assert isinstance(prediction, Prediction)  # nobody leaves, and nothing else waits
    dialect.write(prediction, None)
    return prediction.output


async def _batcher(pod: Pod, model: LoadedModel, worker: Executor, example: Rows) -> Batcher:
    """Somebody else's code never runs on the event loop: it may wait for something, however fast it was once.

    Nor does a model of text, which takes the longer the longer the texts are, and not by its rows; nor one whose file
    says that rows may take it much longer than those that were measured.
    """
    limit, schema = pod.settings.max_queued_rows, pod.manifest.schema
    in_worker = partial(asyncio.get_running_loop().run_in_executor, worker)
    together = await in_worker(are_independent, model.predict, example, schema)
    if not together:
        logger.warning("requests are never put into one batch: %s", _DEPENDENT)
    if isinstance(model, CodeModel):
        return Batcher(model.predict, worker, limit, with_params=model.predict_with, together=together)
    if not together or not pod.manifest.is_steady or any(column.kind is Kind.TEXT for column in schema.columns):
        return Batcher(model.predict, worker, limit, together=together)
    return Batcher(model.predict, worker, limit, await in_worker(measure, model.predict, example))


async def _stay() -> None:
    """A client that waits for its answer."""
    await asyncio.Event().wait()


async def _load(pod: Pod, worker: Executor, example: Rows) -> LoadedModel:
    """The model, loaded in the worker thread by the runtime that the manifest names."""
    settings, found = pod.settings, pod.manifest
    load = runtimes.by_name(found.runtime).load
    folder = settings.model_dir / found.folder
    return await asyncio.get_running_loop().run_in_executor(
        worker, load, folder, found, settings.trusted_types, example
    )


def _example(found: Manifest, dialect: PlainDialect) -> Rows:
    """The rows of the manifest's input example, read as the /predict body that it is."""
    parsed = dialect.parse(msgspec.json.encode(found.input_example))
    if isinstance(parsed, Rejection):
        raise ValueError(f"the input example does not fit the signature: {detail(parsed)}")
    return parsed.rows
