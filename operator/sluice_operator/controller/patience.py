"""Waits a moment for an evaluation, and lets it go on in the background if Prometheus takes longer.

So a person's abort, a crashing canary or a lost pod is acted on while a Prometheus hangs.
"""

import asyncio
from dataclasses import dataclass
from datetime import datetime

from sluice_operator.analysis.evaluation import without_metrics
from sluice_operator.api.observation import Crashes
from sluice_operator.api.run import Phase
from sluice_operator.api.status import Status, Verdict
from sluice_operator.controller.evaluate import Evaluator
from sluice_operator.controller.run_samples import Subject
from sluice_operator.controller.workqueue import Key

_PATIENCE = 2.0  # seconds that one look waits
_SILENT = 10.0  # seconds, after which that is a trouble to tell


@dataclass(frozen=True, slots=True)
class _Pending:
    """An evaluation that is under way. `began`: by the clock of the event loop."""

    stage: object
    began: float
    task: asyncio.Task[Verdict]


class PatientEvaluator:
    """The verdicts of `evaluator`, each within two seconds or later."""

    def __init__(self, evaluator: Evaluator) -> None:
        self._evaluator = evaluator
        self._pending: dict[Key, _Pending] = {}

    async def verdict(self, subject: Subject, current: Status, crashes: Crashes, now: datetime) -> Verdict | None:
        """The verdict on the present stage of the run; None if it is not there yet."""
        key, stage = (subject.namespace, subject.name), (subject.run.id, current.phase, subject.run.step)
        pending = self._pending.get(key)
        if pending is None:
            work = self._evaluator.verdict(subject, current, crashes, now)
            loop = asyncio.get_running_loop()
            pending = self._pending[key] = _Pending(stage, loop.time(), loop.create_task(work))
        await asyncio.wait({pending.task}, timeout=_PATIENCE)
        if not pending.task.done():
            return self._meanwhile(pending, current, crashes)
        del self._pending[key]
        verdict = pending.task.result()
        return verdict if pending.stage == stage else None

    def _meanwhile(self, pending: _Pending, current: Status, crashes: Crashes) -> Verdict | None:
        """A watch must not end because nothing is known, and a long silence must be told."""
        waited = asyncio.get_running_loop().time() - pending.began
        if current.phase is not Phase.WATCHING and waited < _SILENT:
            return None
        return without_metrics(f"Prometheus has not answered for {waited:.0f} s", current.verdict, crashes)
