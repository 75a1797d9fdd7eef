"""Writes a run record for each run that has ended, into a ConfigMap that the ModelDeployment owns.

A run without traffic has one, too, if its end decides what may serve later: it has no counts, and is what is known of
that end if the status is lost.

A run stays in status until the next one begins. So a record that was not written, because of a crash or because
Prometheus did not answer, is written later, as long as Prometheus still has the samples.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from sluice_operator.analysis.evaluation import EndedRun
from sluice_operator.api import names
from sluice_operator.api.owner import Key, Manifest, Owner, is_owned
from sluice_operator.api.run import Run
from sluice_operator.api.status import Status
from sluice_operator.controller.evaluation.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.kubernetes.port import Conflict, Kube, WriteRefused
from sluice_operator.manifests import builders
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.records import run_record

KEPT = 10  # run records with counts of one object, and as many without: as many as its history has runs
_RETRY_AFTER = timedelta(minutes=1)

_log = logging.getLogger(__name__)


class EndedRuns(Protocol):
    """The part of the Evaluator that is needed here."""

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None:
        """The evidence of a run that has ended; None if nothing was counted. Raises MetricsLostError."""


class Archive:
    """Checks once for each run, in each process, whether its run record exists, and writes it if not.

    `kept`: is called for an object when this process first sees it with a run, and whenever a record is complete.
    """

    def __init__(self, kube: Kube, ending: EndedRuns, kept: Callable[[Key], None] = lambda key: None) -> None:
        self._kube = kube
        self._ending = ending
        self._kept = kept
        self._seen: set[Key] = set()
        self._done: dict[Key, str] = {}  # by object: the newest run that needs no more work
        self._retry_at: dict[Key, datetime] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Forget the object, so that its run is checked again."""
        self._seen.discard((namespace, name))
        self._done.pop((namespace, name), None)
        self._retry_at.pop((namespace, name), None)

    async def keep(self, owner: Owner, current: Status, now: datetime) -> None:
        """Write the record of the object's run, if the run has ended and has none. Failures are logged and retried."""
        run, key = current.run, (owner.namespace, owner.name)
        if run is not None and key not in self._seen:
            self._seen.add(key)
            self._kept(key)
        if run is None or run.ended_at is None or (run.traffic_started_at is None and not run.decides):
            return
        if self._done.get(key) == run.id or now < self._retry_at.get(key, now):
            return
        try:
            await self._write_if_missing(owner, current, run)
        except (MetricsLostError, WriteRefused) as error:
            self._retry_at[key] = now + _RETRY_AFTER
            _log.warning("%s/%s: the record of run %s is not written yet: %s", *key, run.id, error)
            return
        except Exception:  # a bug in making the record must not stop the next rollout
            self._retry_at[key] = now + _RETRY_AFTER
            _log.exception("%s/%s: the record of run %s cannot be made", *key, run.id)
            return
        self._retry_at.pop(key, None)
        self._done[key] = run.id
        self._kept(key)

    async def _write_if_missing(self, owner: Owner, current: Status, run: Run) -> None:
        live = await self._kube.get("ConfigMap", owner.namespace, names.run_record(owner.name, run.id))
        if live is not None and live.get("immutable"):
            return
        try:
            counts = await self._counts(owner, current, run)
        except MetricsLostError:
            if live is None and run.decides:  # how it ended is known now, and the next run may begin before the counts
                await self._write(owner, {**builders.run_record(owner, run.id, summary(run)), "immutable": False}, None)
            raise
        if counts is None and not run.decides:
            _log.info("%s/%s: nothing was counted in run %s, there is no record", owner.namespace, owner.name, run.id)
            return
        await self._write(owner, builders.run_record(owner, run.id, summary(run), counts), live)

    async def _write(self, owner: Owner, record: Manifest, live: Manifest | None) -> None:
        """Create the record, or complete `live`, the one that still lacks its counts."""
        try:
            if live is None:
                await self._kube.create(record)
            else:
                version = live["metadata"]["resourceVersion"]
                await self._kube.apply({**record, "metadata": {**record["metadata"], "resourceVersion": version}})
        except Conflict:
            return  # somebody else has written it
        await self._delete_old(owner)

    async def _counts(self, owner: Owner, current: Status, run: Run) -> bytes | None:
        """What the run is judged again with; None if nothing was counted. Raises MetricsLostError."""
        if run.traffic_started_at is None:
            return None
        revisions = ComparedRevisions(run.canary.revision, run.stable.revision if run.stable else None)
        ended = await self._ending.ended(Subject(owner.namespace, owner.name, run, revisions), current)
        if ended is None:
            return None
        return run_record.encoded(run_record.of_run(owner.namespace, owner.name, run, ended))

    async def _delete_old(self, owner: Owner) -> None:
        """Of those with counts, and of those without: runs without traffic are many when no canary gets ready."""
        labels = {names.LABEL_OWNER: owner.name, names.LABEL_RECORD: names.RUN_RECORD}
        records = await self._kube.find("ConfigMap", owner.namespace, labels)
        newest_first = sorted((each for each in records if is_owned(each, owner.uid)), key=_began, reverse=True)
        with_counts = [record for record in newest_first if record.get("binaryData")]
        without = [record for record in newest_first if not record.get("binaryData")]
        for old in (*with_counts[KEPT:], *without[KEPT:]):
            try:
                await self._kube.delete(old)
            except Conflict:
                continue  # somebody has written to it: it is deleted after the next run


def summary(run: Run) -> dict[str, str]:
    """The outcome of a run in plain text, for people who read the ConfigMap."""
    assert run.ended_at is not None
    return {
        "model": run.canary.model,
        "stable": run.stable.model if run.stable else "",
        "stableRevision": run.stable.revision if run.stable else "",
        "outcome": str(run.outcome),
        "reason": run.reason,
        "message": run.message,
        "startedAt": run.started_at.isoformat(),
        "endedAt": run.ended_at.isoformat(),
        "commands": "\n".join(f"{taken.id} by {taken.by}: {taken.answer}, {taken.message}" for taken in run.commands),
    }


def _began(record: Manifest) -> datetime:
    """When its run began; the beginning of time for one that somebody has made empty."""
    try:
        return datetime.fromisoformat(record["data"]["startedAt"])
    except (KeyError, TypeError, ValueError):
        return datetime.min.replace(tzinfo=UTC)
