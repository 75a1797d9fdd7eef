"""Where the run record to be judged comes from: a cluster, a file, or Prometheus (for a backtest)."""

import argparse
import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from sluice_operator.analysis import criteria
from sluice_operator.analysis.evaluation import EndedRun
from sluice_operator.api import names, spec
from sluice_operator.api.quantities import Number
from sluice_operator.api.run import Run
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import Status
from sluice_operator.cli import cluster
from sluice_operator.cli.cluster import CommandError
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.intervals import Intervals
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.prometheus.connection import Prometheus
from sluice_operator.prometheus.reader import MetricsLostError, Reader
from sluice_operator.prometheus.renewal import from_folder
from sluice_operator.prometheus.selection import Selection
from sluice_operator.records import backtest, run_record
from sluice_operator.records.backtest import StableTraffic
from sluice_operator.records.run_record import RunRecord, UnreadableRecordError


def of_cluster(name: str, namespace: str | None, chosen: str) -> RunRecord:
    """The record of one run of a ModelDeployment. `chosen`: a ConfigMap's name, or `newest`. Raises CommandError."""
    records = {config_map["metadata"]["name"]: config_map for config_map in cluster.records(name, namespace)}
    newest = next(filter(_has_counts, records.values()), next(iter(records.values())))
    config_map = newest if chosen == "newest" else records.get(chosen)
    if config_map is None:
        raise CommandError(f"{name} has no record {chosen}; it has {', '.join(records)}")
    return _of_config_map(config_map, chosen)


def of_file(path: str) -> RunRecord:
    """The record in a file, which holds a ConfigMap as `kubectl get --output=yaml` (or json) prints it, or the packed
    record itself. Raises CommandError.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    try:
        manifest = yaml.safe_load(data)
    except (yaml.YAMLError, ValueError, RecursionError):
        return _decoded(data, path)
    if not isinstance(manifest, dict) or manifest.get("kind") != "ConfigMap":
        raise CommandError(f"{path} is no ConfigMap with a record: write `kubectl get configmap RECORD --output=yaml`")
    return _of_config_map(manifest, path)


def add_credentials(parser: Any) -> None:
    """Add the option that goes with --prometheus."""
    text = "folder with the credentials, such as token or ca.crt: see docs/prometheus.md"
    parser.add_argument("--credentials", metavar="FOLDER", default="", help=text)


def connected(options: argparse.Namespace) -> Prometheus:
    """The Prometheus that the options name. Raises CommandError."""
    try:
        return from_folder(options.prometheus, options.credentials)
    except ValueError as error:
        raise CommandError(f"--prometheus: {error}") from error


@dataclass(frozen=True, slots=True)
class Past:
    """A time in which two revisions of one object served at the same time. `scrape`: seconds between two samples."""

    namespace: str
    name: str
    canary: str
    stable: str
    since: datetime
    until: datetime
    scrape: float


def of_prometheus(prometheus: Prometheus, past: Past, policy: spec.Spec) -> RunRecord:
    """The record of a run that did not happen: what `policy` would have judged in that time. Raises CommandError."""
    reader, ends = Reader(prometheus), past.until.timestamp()
    selection = Selection(((past.namespace, past.name),), (past.canary, past.stable))
    evaluator = Evaluator(reader, Intervals(past.scrape, past.scrape))

    async def evaluated() -> tuple[Run, EndedRun | None]:
        key = past.namespace, past.name
        slow = await evaluator.latency_thresholds(key, past.stable, policy.objectives, past.since)
        thresholds = known_thresholds(policy.objectives, slow)
        traffic = StableTraffic(await reader.rate(selection, ends) or 0.0, thresholds)
        run = backtest.hypothetical_run(policy, traffic, past.canary, past.stable, past.since, past.until)
        revisions = ComparedRevisions(past.canary, past.stable)
        subject = Subject(past.namespace, past.name, run, revisions)
        return run, await evaluator.ended(subject, Status(run=run))

    try:
        run, ended = asyncio.run(evaluated())
    except MetricsLostError as error:
        raise CommandError(f"{error}: check --prometheus") from error
    if ended is None:
        revisions = f"revisions {past.canary} and {past.stable} of {past.namespace}/{past.name}"
        raise CommandError(f"Prometheus knows no requests of {revisions} between {past.since} and {past.until}")
    run = backtest.with_share(run, list(ended.evidence.ticks))
    return run_record.of_run(past.namespace, past.name, run, ended)


def known_thresholds(objectives: Sequence[Objective], slow: Mapping[str, Number]) -> Mapping[str, Number]:
    """`slow` (seconds, by latency objective), if it has all that `objectives` need. Raises CommandError."""
    if criteria.lacks_threshold(objectives, slow):
        raise CommandError("stable answered too few requests in that hour to compare latencies with: write latency.max")
    return slow


def policy_of(path: str) -> tuple[str, str, spec.Spec]:
    """Namespace, name and spec of the object in a file, with the API server's defaults. Raises CommandError."""
    try:
        body: Any = yaml.safe_load(Path(path).read_bytes())
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not isinstance(body, dict) or body.get("kind") != names.KIND:
        raise CommandError(f"{path} holds no {names.KIND}")
    if not all(isinstance(body.get(part), dict) for part in ("metadata", "spec")) or not body["metadata"].get("name"):
        raise CommandError(f"{path} holds a {names.KIND} without metadata.name or without spec")
    try:
        wanted = spec.parse(body["spec"])
    except ValueError:
        body = cluster.with_defaults(path)
        wanted = cluster.spec_of(body)
    return body["metadata"].get("namespace", "default"), body["metadata"]["name"], wanted


def check_has_steps(name: str, wanted: spec.Spec) -> None:
    """Raises CommandError for a policy without steps, of which nothing can be told beforehand."""
    if wanted.rollout.blue_green is not None:
        moves = "all requests move at once, and nothing is proven before"
        raise CommandError(f"{name} has rollout.blueGreen: {moves}; write rollout.canary to see what steps would do")


def _has_counts(config_map: dict[str, Any]) -> bool:
    return bool(config_map.get("binaryData"))


def _of_config_map(manifest: dict[str, Any], where: str) -> RunRecord:
    if manifest.get("data") and not _has_counts(manifest):
        raise CommandError(f"{where} is a record without counts: there is nothing to replay")
    try:
        return _decoded(base64.b64decode(manifest["binaryData"][names.RECORD_KEY]), where)
    except (KeyError, TypeError, ValueError) as error:
        raise CommandError(f"{where} is not a record of a run: it lacks {names.RECORD_KEY}") from error


def _decoded(data: bytes, where: str) -> RunRecord:
    try:
        return run_record.decoded(data)
    except UnreadableRecordError as error:
        raise CommandError(f"{where}: {error}") from error
