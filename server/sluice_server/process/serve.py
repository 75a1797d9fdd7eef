"""The serving process put together: one event loop, two listening ports, one worker thread for the model."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from sluice_server.handover import Report
from sluice_server.http.app import Pod, build_app
from sluice_server.http.dialects import CODES, DIALECTS
from sluice_server.http.dispatch import Dispatch
from sluice_server.http.intake import Intake
from sluice_server.http.predict import PredictEndpoint
from sluice_server.inference.data_plane import DataPlane
from sluice_server.inference.feature_bins import FeatureBinCollector, FeatureBins
from sluice_server.inference.feedback import Feedback
from sluice_server.inference.kept_rows import Keeper, KeptRows
from sluice_server.inference.labels import LabelCounter, PodLabels
from sluice_server.inference.metrics import Metrics
from sluice_server.inference.params import ParamReader
from sluice_server.inference.prediction_ids import Keys
from sluice_server.inference.prediction_log import PredictionLog
from sluice_server.inference.rate_limits import PodLimits
from sluice_server.inference.readiness import Readiness
from sluice_server.inference.rows import RowReader
from sluice_server.inference.tracing import Span, Tracing
from sluice_server.model import manifest
from sluice_server.model.identity import Identity
from sluice_server.model.manifest import FILES, Manifest
from sluice_server.process import key_file, startup, traces
from sluice_server.process.lifecycle import Drain, bind, make_server, serve
from sluice_server.runtimes.optional import hide
from sluice_server.runtimes.pyfunc import PyfuncRuntime
from sluice_server.settings import ServeSettings
from sluice_server.variables import SettingError

if TYPE_CHECKING:
    from sluice_server.process.kept_predictions import KeptPredictions

# What FastAPI and the sender of traces would import and not use here: 7 MB. Both are made to do without.
UNUSED = ("pydantic.v1", "charset_normalizer")
_SWITCH = 0.001  # seconds after which a thread that runs Python lets the event loop go on; by default it is 0.005
_DEPLOYMENT = re.compile(r"(?=.{1,253}$)[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # as the store has it
logger = logging.getLogger("sluice.serve")


@dataclass(frozen=True, slots=True)
class Process:
    """The parts that belong together; `entries` is filled by whoever binds the ports."""

    pod: Pod
    dispatch: Dispatch
    keeper: KeptPredictions | None
    entries: dict[int, str] = field(default_factory=dict)


def assemble(
    settings: ServeSettings, found: Manifest, keyring: Keys | None, send: Callable[[Span], None] | None = None
) -> Process:
    """Wires the parts for one model; nothing runs yet. `send` takes the spans of traced requests."""
    identity = Identity(settings.model_name, settings.model_version, settings.revision, settings.model_uri)
    metrics = Metrics(identity, CODES)
    labels = _label_counter(settings, metrics)
    feedback = None if keyring is None else Feedback(keyring, labels, settings.feedback_max_age)
    data_plane = DataPlane(settings.revision, keyring, settings.keep_predictions, settings.feedback_tolerance)
    rows = RowReader(found.schema, settings.max_rows)
    keeper = _keeper(settings, identity, found.schema.names, metrics)
    intake = Intake(settings.max_body, settings.max_body_bytes_together)
    pod = Pod(settings, identity, found, Readiness(), metrics, data_plane, rows, feedback, intake, datetime.now(UTC))
    entries: dict[int, str] = {}
    dispatch = Dispatch(
        build_app(pod),
        _predict_endpoints(pod, _tracing(pod, send), keeper),
        pod.readiness,
        metrics.meters,
        identity,
        settings.correlation_header,
        settings.rate_limit_header,
        intake,
        entries,
    )
    return Process(pod, dispatch, keeper, entries)


def _label_counter(settings: ServeSettings, metrics: Metrics) -> LabelCounter:
    if settings.store is None:
        return PodLabels(metrics)
    if not _DEPLOYMENT.fullmatch(settings.model_deployment):
        raise SettingError(
            f"SLUICE_MODEL_DEPLOYMENT is {settings.model_deployment!r}: a store keeps labels by it, so it must be the "
            "name of the ModelDeployment, of at most 253 lower-case letters, digits, '-' and '.'."
        )
    from sluice_server.process.store_labels import StoreLabels  # noqa: PLC0415 - no HTTP client where there is no store
    from sluice_server.store.client import StoreClient  # noqa: PLC0415

    return StoreLabels(StoreClient(settings.store).count_labels, settings.model_deployment, metrics)


def _keeper(
    settings: ServeSettings, identity: Identity, names: tuple[str, ...], metrics: Metrics
) -> KeptPredictions | None:
    """None where no predictions are kept; whoever counts labels has checked the name of the ModelDeployment."""
    if settings.store is None or not settings.keep_predictions:
        return None
    from sluice_server.process.kept_predictions import KeptPredictions  # noqa: PLC0415 - as above
    from sluice_server.store.client import StoreClient  # noqa: PLC0415

    post = partial(StoreClient(settings.store).keep_predictions, settings.model_deployment)
    return KeptPredictions(post, KeptRows(identity, names, settings.prediction_log_redacted), metrics)


def _predict_endpoints(pod: Pod, tracing: Tracing | None, keeper: Keeper | None) -> dict[str, PredictEndpoint]:
    """The endpoint of each path of each dialect."""
    settings = pod.settings
    limits = PodLimits(settings.rate_limit, settings.rate_limit_burst) if settings.rate_limit else None
    log = PredictionLog(
        pod.identity,
        pod.manifest.schema.names,
        settings.prediction_log_sample,
        settings.prediction_log_redacted,
    )
    params = ParamReader(pod.manifest.params)
    bins = _feature_bins(pod)
    endpoints: dict[str, PredictEndpoint] = {}
    for kind in DIALECTS:
        dialect = kind(pod.rows, pod.identity, params)
        endpoint = PredictEndpoint(dialect, pod.data_plane, pod.metrics, log, pod.intake, limits, tracing, bins, keeper)
        endpoints |= dict.fromkeys(dialect.paths, endpoint)
    return endpoints


def _feature_bins(pod: Pod) -> FeatureBins | None:
    if pod.manifest.reference is None:
        return None
    bins = FeatureBins(pod.manifest.schema, pod.manifest.reference)
    pod.metrics.registry.register(FeatureBinCollector(bins, pod.metrics.labels))
    return bins


def _tracing(pod: Pod, send: Callable[[Span], None] | None) -> Tracing | None:
    sampling, found = pod.settings.tracing, pod.manifest
    if sampling is None or send is None:
        return None
    path = pod.settings.model_dir / FILES / found.model_file
    return Tracing(sampling, str(path), len(found.schema.columns), send)


async def run(process: Process, worker: ThreadPoolExecutor, sockets: dict[str, socket.socket]) -> None:
    """Loads the model while already answering health checks, and serves until a signal ends the drain."""
    pod = process.pod
    process.entries.update({listener.getsockname()[1]: entry for entry, listener in sockets.items()})
    server = make_server(process.dispatch, process.dispatch.at_once)
    drain = Drain(server, pod.readiness, pod.settings.drain_delay)
    place = pod.settings.handover
    loading = asyncio.create_task(_load(pod, worker))
    try:
        if place is not None and place.waits:
            await loading
            if not pod.readiness.ready:
                return
        if place is not None:
            _when_closed(place.channel, drain.hand_over)
        await serve(server, list(sockets.values()), drain)
    finally:
        loading.cancel()
        if pod.feedback is not None:
            await pod.feedback.close()
        if process.keeper is not None:
            await process.keeper.close()
        worker.shutdown(wait=False, cancel_futures=True)


def _when_closed(channel: int, then: Callable[[], None]) -> None:
    """Nothing comes through the channel; that it can be read means that the other end is closed."""
    loop = asyncio.get_running_loop()

    def closed() -> None:
        loop.remove_reader(channel)
        then()

    loop.add_reader(channel, closed)


async def _load(pod: Pod, worker: ThreadPoolExecutor) -> None:
    """Loads the model, and says how it does where another process waits for that."""
    await startup.load(pod, worker)
    if pod.settings.handover is not None:
        pod.settings.handover.tell(Report(pod.settings.model_uri, pod.readiness.ready, pod.readiness.reason))


def main(settings: ServeSettings) -> int:
    """The whole life of the process; gives the exit code."""
    found, keyring = read_manifest(settings.model_dir), key_file.keys(settings.feedback_key_file)
    hide_unused(found)
    if settings.store is not None:
        from sluice_server.process.model_use import ModelUse  # noqa: PLC0415 - as below
        from sluice_server.store.client import StoreClient  # noqa: PLC0415

        ModelUse(StoreClient(settings.store), settings.model_dir).start()
    with traces.exporting(settings) as send:
        _serve(settings, assemble(settings, found, keyring, send))
    return 0


def hide_unused(found: Manifest) -> None:
    """Have libraries import less. A model that is code may use anything."""
    if found.runtime != PyfuncRuntime.name:
        hide(*UNUSED)


def _serve(settings: ServeSettings, process: Process) -> None:
    sockets = _sockets(settings)
    for entry, listener in sockets.items():
        logger.info("%s traffic on port %d", entry, listener.getsockname()[1])
    sys.setswitchinterval(_SWITCH)
    worker = ThreadPoolExecutor(1, thread_name_prefix="model")
    with asyncio.Runner(loop_factory=make_server(process.dispatch).config.get_loop_factory()) as runner:
        runner.run(run(process, worker, sockets))


def _sockets(settings: ServeSettings) -> dict[str, socket.socket]:
    """The listening sockets by entry: those that several processes share, or new ones."""
    if (place := settings.handover) is not None:
        return {"cluster": socket.socket(fileno=place.cluster), "gateway": socket.socket(fileno=place.gateway)}
    return {
        "cluster": bind(settings.host, settings.cluster_port),
        "gateway": bind(settings.host, settings.gateway_port),
    }


def read_manifest(model_dir: Path) -> Manifest:
    """What `fetch` left; raises SettingError when there is nothing to serve."""
    try:
        return manifest.read(model_dir)
    except (OSError, msgspec.DecodeError) as error:
        raise SettingError(
            f"SLUICE_MODEL_DIR is {str(model_dir)!r}, which has no usable {manifest.NAME} ({error}): run fetch first."
        ) from None
