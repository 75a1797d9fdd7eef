"""Keeps the record of each run that ended, in a ConfigMap of the ModelDeployment's own.

A run stays in status until the next one begins. So what was not written before a crash, or while Prometheus did not
answer, is written later, as long as Prometheus knows the samples.
"""

import logging
from datetime import datetime, timedelta
from typing import Protocol

from sluice_operator.analysis.evaluation import EndedRun
from sluice_operator.api import names
from sluice_operator.api.owner import Manifest, Owner, is_owned
from sluice_operator.api.status import Run, Status
from sluice_operator.controller.run_samples import Subject
from sluice_operator.counting.ticks import ComparedRevisions
from sluice_operator.kubernetes.port import Conflict, Kube, WriteRefused
from sluice_operator.manifests import builders
from sluice_operator.prometheus.reader import MetricsLostError
from sluice_operator.records import run_record

KEPT = 10  # records of one object, as many as its history has runs
_AGAIN = timedelta(minutes=1)  # after an attempt that failed

_log = logging.getLogger(__name__)


class Ending(Protocol):
    """Who knows how a run ended."""

    async def ended(self, subject: Subject, current: Status) -> EndedRun | None: ...


class Archive:
    """Looks once per run and process whether its record is there, and writes it where it is not."""

    def __init__(self, kube: Kube, ending: Ending) -> None:
        self._kube = kube
        self._ending = ending
        self._done: dict[tuple[str, str], str] = {}  # the run whose record is there, or cannot be had
        self._again: dict[tuple[str, str], datetime] = {}

    def forget(self, namespace: str, name: str) -> None:
        """Drop what is remembered of an object."""
        self._done.pop((namespace, name), None)
        self._again.pop((namespace, name), None)

    async def keep(self, owner: Owner, current: Status, now: datetime) -> None:
        """See to the record of the object's run, if that has ended. Trouble is logged, and tried again later."""
        run, key = current.run, (owner.namespace, owner.name)
        if run is None or run.ended_at is None or run.traffic_started_at is None or run.canary is None:
            return
        if self._done.get(key) == run.id or now < self._again.get(key, now):
            return
        try:
            await self._see_to(owner, current, run)
        except (MetricsLostError, WriteRefused) as error:
            self._again[key] = now + _AGAIN
            _log.warning("%s/%s: the record of run %s is not written yet: %s", *key, run.id, error)
            return
        except Exception:  # a record that cannot be made must not stop the next rollout
            self._again[key] = now + _AGAIN
            _log.exception("%s/%s: the record of run %s cannot be made", *key, run.id)
            return
        self.forget(*key)
        self._done[key] = run.id

    async def _see_to(self, owner: Owner, current: Status, run: Run) -> None:
        assert run.canary is not None
        if await self._kube.get("ConfigMap", owner.namespace, names.run_record(owner.name, run.id)) is not None:
            return
        revisions = ComparedRevisions(run.canary.revision, run.stable.revision if run.stable else None)
        subject = Subject(owner.namespace, owner.name, run, revisions)
        ended = await self._ending.ended(subject, current)
        if ended is None:
            _log.info("%s/%s: nothing was counted in run %s, there is no record", owner.namespace, owner.name, run.id)
            return
        data = run_record.encoded(run_record.of_run(owner.namespace, owner.name, run, ended))
        try:
            await self._kube.create(builders.run_record(owner, run.id, summary(run), data))
        except Conflict:
            return  # it was there already
        await self._delete_old(owner)

    async def _delete_old(self, owner: Owner) -> None:
        labels = {names.LABEL_OWNER: owner.name, names.LABEL_RECORD: names.RUN_RECORD}
        found = [one for one in await self._kube.find("ConfigMap", owner.namespace, labels) if is_owned(one, owner.uid)]
        for old in sorted(found, key=_began, reverse=True)[KEPT:]:
            try:
                await self._kube.delete(old)
            except Conflict:
                continue  # somebody writes it: the next record will see to it


def summary(run: Run) -> dict[str, str]:
    """What a person may want to know of a run that ended."""
    assert run.canary is not None
    assert run.ended_at is not None
    return {
        "model": run.canary.model,
        "stable": run.stable.model if run.stable else "",
        "outcome": str(run.outcome),
        "reason": run.reason,
        "message": run.message,
        "startedAt": run.started_at.isoformat(),
        "endedAt": run.ended_at.isoformat(),
    }


def _began(record: Manifest) -> datetime:
    return datetime.fromisoformat(record["data"]["startedAt"])
