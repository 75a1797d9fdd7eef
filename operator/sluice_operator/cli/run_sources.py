"""Where a record to be judged again comes from: a cluster, a file, or Prometheus."""

import argparse
import asyncio
import base64
import binascii
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
from sluice_operator.api.spec import Objective
from sluice_operator.api.status import Run, Status
from sluice_operator.cli import kubectl
from sluice_operator.cli.kubectl import CommandError
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.run_samples import Subject
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
    """The record of one run of an object. `chosen`: a ConfigMap's name, or `newest`."""
    found = {one["metadata"]["name"]: one for one in kubectl.records(name, namespace)}
    one = next(iter(found.values())) if chosen == "newest" else found.get(chosen)
    if one is None:
        raise CommandError(f"{name} has no record {chosen}; it has {', '.join(found)}")
    return _of_config_map(one, chosen)


def of_file(path: str) -> RunRecord:
    """A ConfigMap as `kubectl get --output=yaml` (or json) prints it, or the packed record itself."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise CommandError(f"{path} cannot be read: {error.strerror}") from error
    try:
        found = yaml.safe_load(data)
    except (yaml.YAMLError, UnicodeDecodeError):
        return _decoded(data, path)
    if not isinstance(found, dict) or found.get("kind") != "ConfigMap":
        raise CommandError(f"{path} is no ConfigMap with a record: write `kubectl get configmap RECORD --output=yaml`")
    return _of_config_map(found, path)


def add_credentials(options: Any) -> None:
    """The option that goes with --prometheus."""
    told = "folder with the credentials, such as token or ca.crt: see docs/prometheus.md"
    options.add_argument("--credentials", metavar="FOLDER", default="", help=told)


def connected(asked: argparse.Namespace) -> Prometheus:
    """The Prometheus that the options name."""
    try:
        return from_folder(asked.prometheus, asked.credentials)
    except ValueError as error:
        raise CommandError(f"--prometheus: {error}") from error


@dataclass(frozen=True, slots=True)
class Past:
    """A time in which two revisions of an object served side by side. `scrape`: seconds between two samples."""

    namespace: str
    name: str
    canary: str
    stable: str
    since: datetime
    until: datetime
    scrape: float


def of_prometheus(prometheus: Prometheus, past: Past, policy: spec.Spec) -> RunRecord:
    """A run that never was: what `policy` would have been told in that time."""
    reader, ends = Reader(prometheus), past.until.timestamp()
    selection = Selection(((past.namespace, past.name),), (past.canary, past.stable))
    trials = Evaluator(reader, Intervals(past.scrape, past.scrape))

    async def asked() -> tuple[Run, EndedRun | None]:
        key = past.namespace, past.name
        slow = known(
            policy.objectives, await trials.latency_thresholds(key, past.stable, policy.objectives, past.since)
        )
        lately = StableTraffic(await reader.rate(selection, ends) or 0.0, slow)
        run = backtest.hypothetical_run(policy, lately, past.canary, past.stable, past.since, past.until)
        revisions = ComparedRevisions(past.canary, past.stable)
        subject = Subject(past.namespace, past.name, run, revisions)
        return run, await trials.ended(subject, Status(run=run))

    try:
        run, ended = asyncio.run(asked())
    except MetricsLostError as error:
        raise CommandError(f"{error}: check --prometheus") from error
    if ended is None:
        words = f"revisions {past.canary} and {past.stable} of {past.namespace}/{past.name}"
        raise CommandError(f"Prometheus knows no requests of {words} between {past.since} and {past.until}")
    share = backtest.with_share(run, ended.evidence.ticks)
    return run_record.of_run(past.namespace, past.name, share, ended)


def known(objectives: Sequence[Objective], slow: Mapping[str, Number]) -> Mapping[str, Number]:
    """What is slow for stable, as far as `objectives` ask for it. Raises CommandError."""
    if criteria.lacks_threshold(objectives, slow):
        raise CommandError("stable answered too few requests in that hour to compare latencies with: write latency.max")
    return slow


def policy_of(path: str) -> tuple[str, str, spec.Spec]:
    """Namespace, name and spec of the ModelDeployment in a file; the API server fills in what is left out."""
    try:
        body: Any = yaml.safe_load(Path(path).read_text())
    except (OSError, yaml.YAMLError) as error:
        raise CommandError(f"{path} cannot be read: {error}") from error
    if not isinstance(body, dict) or body.get("kind") != names.KIND:
        raise CommandError(f"{path} holds no {names.KIND}")
    try:
        wanted = spec.parse(body["spec"])
    except ValueError:
        body = kubectl.with_defaults(path)
        wanted = spec.parse(body["spec"])
    return body["metadata"].get("namespace", "default"), body["metadata"]["name"], wanted


def _of_config_map(manifest: dict[str, Any], where: str) -> RunRecord:
    try:
        return _decoded(base64.b64decode(manifest["binaryData"][names.RECORD_KEY]), where)
    except (KeyError, TypeError, binascii.Error) as error:
        raise CommandError(f"{where} is no record of a run: it lacks {names.RECORD_KEY}") from error


def _decoded(data: bytes, where: str) -> RunRecord:
    try:
        return run_record.decoded(data)
    except UnreadableRecordError as error:
        raise CommandError(f"{where}: {error}") from error
