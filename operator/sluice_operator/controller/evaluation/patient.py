"""Waits a moment for a verdict, and lets the evaluation go on in the background if that takes longer."""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from sluice_operator.analysis.evaluation import without_metrics
from sluice_operator.api.observation import Crashes
from sluice_operator.api.owner import Key
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status, Verdict
from sluice_operator.controller.evaluation.evaluate import Evaluator
from sluice_operator.controller.evaluation.run_samples import Subject

_FOR_A_VERDICT = 2.0  # seconds
_SILENT = 10.0  # seconds, after which that is a trouble to tell


@dataclass(frozen=True, slots=True)
class _Pending:
    """An evaluation that is under way. `began`: by the clock of the event loop."""

    part: object
    began: float
    task: asyncio.Task[Verdict]


class PatientEvaluator:
    """The verdicts of `evaluator`, each within two seconds or later. One that is under way is never broken off."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._pending: dict[Key, _Pending] = {}

    async def verdict(self, subject: Subject, current: Status, crashes: Crashes, now: datetime) -> Verdict | None:
        """The verdict on the present part of the run; None if it is not there yet."""
        key, part = (subject.namespace, subject.name), (subject.run.id, current.phase, subject.run.step)
        pending = self._pending.get(key)
        if pending is None:
            work = self._evaluator.verdict(subject, current, crashes, now)
            loop = asyncio.get_running_loop()
            pending = self._pending[key] = _Pending(part, loop.time(), loop.create_task(work))
        await asyncio.wait({pending.task}, timeout=_FOR_A_VERDICT)
        if not pending.task.done():
            return self._meanwhile(pending, current, crashes)
        del self._pending[key]
        verdict = pending.task.result()
        return verdict if pending.part == part else None

    def _meanwhile(self, pending: _Pending, current: Status, crashes: Crashes) -> Verdict | None:
        """A watch must not end because nothing is known, and a long silence must be told."""
        waited = asyncio.get_running_loop().time() - pending.began
        if current.phase is not Phase.WATCHING and waited < _SILENT:
            return None
        return without_metrics(f"Prometheus has not answered for {waited:.0f} s", current.verdict, crashes)
