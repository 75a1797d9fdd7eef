"""The record of a run: all that is needed to judge it again, small enough for a ConfigMap. Pure.

Counts are whole numbers in columns; what is mostly 0 (requests that are not finished, errors, slow ones) is kept in the
place of what is nearly equal, so that hours compress to some kilobytes.
"""

import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise, repeat
from typing import Any

import msgspec
import numpy as np
from msgspec.structs import replace

from sluice_operator.analysis import criteria
from sluice_operator.analysis.baseline import Baseline
from sluice_operator.analysis.evaluation import EndedRun, Evaluation
from sluice_operator.analysis.run_evidence import RunEvidence
from sluice_operator.analysis.verdict import VERDICT_VERSION
from sluice_operator.api.quantities import decode, encode
from sluice_operator.api.status import Run
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.chain import BurstLaw
from sluice_operator.evalues.objective import ObjectiveBaseline

FORMAT = 3
_LEAST = -1e6  # log e-value that JSON can tell
MOST_BYTES = 500_000  # compressed; in base64, and with its summary, still well below the 1 MiB of a ConfigMap


class UnreadableRecordError(ValueError):
    """What was read is no record, or one of a later format."""


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """One mapping of the record."""


class Law(_Part, frozen=True):
    """A burst law: nested lists in the shape of its arrays."""

    starts: list[Any]
    seconds: list[Any]
    any_start: Any


class RecordedObjective(_Part, frozen=True):
    """What stable's past says of one objective."""

    compared: Law
    judged: Law
    requests: float
    bad: float


class RecordedBaseline(_Part, frozen=True):
    """What stable did before the run."""

    by_objective: dict[str, RecordedObjective]
    bounds: tuple[float, ...]  # of latency in seconds, at which it is compared
    pod_seconds: float
    requests: int
    nearly_all_within: float  # seconds


class Columns(_Part, frozen=True):
    """One revision, a number per tick. None: its histogram did not have that bound, or was not there."""

    finished: list[int]
    unfinished: list[int]  # begun, less those that were finished
    errors: list[int]
    labels: list[int]
    wrong: list[int]
    measured: list[int | None]  # requests in the histogram, less those that were finished
    slower: list[list[int | None]]  # by bound


class RunRecord(_Part, frozen=True):
    """A run that ended. Ticks are equally long and without gaps; seconds, and unix seconds."""

    namespace: str
    name: str
    run: Run
    baseline: RecordedBaseline
    pods: tuple[int, int]  # of the canary, and of stable
    tick_seconds: float
    overdue_after: float  # seconds after which a request that is not finished hangs
    started: float  # of the first tick
    latency_bounds: tuple[float, ...]  # as in `slower`
    canary: Columns
    stable: Columns
    unscraped: tuple[int, ...]  # ticks in which not both revisions were scraped
    last_evaluation: Evaluation
    evidence: dict[str, tuple[float, ...]]  # log e-values after the last tick, by objective
    verdict_version: int  # of the rules that judged it
    dropped_ticks: int = 0  # ticks of the beginning that were too many to keep
    format: int = FORMAT

    @property
    def tick_count(self) -> int:
        return len(self.canary.finished)


def of_run(namespace: str, name: str, run: Run, ended: EndedRun) -> RunRecord:
    """The record of a run of a ModelDeployment that had at least one tick."""
    trial = ended.evidence
    ticks, bounds = trial.ticks, criteria.bounds(run.judged, trial.baseline.bounds)
    return RunRecord(
        namespace=namespace,
        name=name,
        run=run,
        baseline=_recorded(trial.baseline),
        pods=(trial.pods.suspected, trial.pods.reference),
        tick_seconds=trial.tick_seconds,
        overdue_after=ended.overdue_after,
        started=ticks[0].start,
        latency_bounds=bounds,
        canary=_columns([tick.canary for tick in ticks], bounds),
        stable=_columns([tick.stable for tick in ticks], bounds),
        unscraped=tuple(index for index, tick in enumerate(ticks) if not tick.both_scraped),
        last_evaluation=ended.last,
        evidence=evidence_of(trial),
        verdict_version=VERDICT_VERSION,
        dropped_ticks=trial.forgotten,
    )


def evidence_of(trial: RunEvidence) -> dict[str, tuple[float, ...]]:
    """By objective: worse, beyond its limit, worse alone (0 where it is not asked for that), and cleared, by step."""
    return {
        one.objective.name: tuple(
            max(log, _LEAST)
            for log in (
                one.worse or 0.0,
                one.over_limit or 0.0,
                one.watch.worse if one.watch else 0.0,
                *one.non_inferior,
            )
        )
        for one in trial.objective_findings
    }


def encoded(record: RunRecord, most_bytes: int = MOST_BYTES) -> bytes:
    """Compressed JSON of at most `most_bytes`. Where a run is too long, its newest ticks are kept, and it says so."""
    while len(data := zlib.compress(msgspec.json.encode(record, enc_hook=encode), 9)) > most_bytes:
        record = _without_first(record, max(1, math.ceil(record.tick_count * (1 - 0.9 * most_bytes / len(data)))))
    return data


def decoded(data: bytes) -> RunRecord:
    """Raises UnreadableRecordError."""
    try:
        text = zlib.decompress(data)
        found = msgspec.json.decode(text, type=_Format).format
        if found != FORMAT:
            raise UnreadableRecordError(f"the record has format {found}, this program reads format {FORMAT}")
        return msgspec.json.decode(text, type=RunRecord, dec_hook=decode)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise UnreadableRecordError(f"this is no record of a run: {error}") from error


def baseline_of(record: RunRecord) -> Baseline:
    """What was known of stable when the run began."""
    known = {
        name: ObjectiveBaseline(_law(one.compared), _law(one.judged), one.requests, one.bad)
        for name, one in record.baseline.by_objective.items()
    }
    return Baseline(
        known,
        record.baseline.bounds,
        record.baseline.pod_seconds,
        record.baseline.requests,
        record.baseline.nearly_all_within,
    )


def ticks_of(record: RunRecord) -> Iterator[Tick]:
    """The run's ticks, as they were counted."""
    edges = accumulate(repeat(record.tick_seconds, record.tick_count), initial=record.started)
    canary, stable = (_tallies(one, record.latency_bounds) for one in (record.canary, record.stable))
    unseen = set(record.unscraped)
    for index, ((start, end), of_canary, of_stable) in enumerate(zip(pairwise(edges), canary, stable, strict=True)):
        yield Tick(start, end, of_canary, of_stable, both_scraped=index not in unseen)


class _Format(_Part, frozen=True):
    format: int = FORMAT


def _recorded(past: Baseline) -> RecordedBaseline:
    known = {
        name: RecordedObjective(_lists(one.compared), _lists(one.judged), one.requests, one.bad)
        for name, one in past.by_objective.items()
    }
    return RecordedBaseline(known, past.bounds, past.pod_seconds, past.requests, past.nearly_all_within)


def _lists(law: BurstLaw) -> Law:
    return Law(*(np.asarray(each).tolist() for each in (law.starts, law.seconds, law.any_start)))


def _law(lists: Law) -> BurstLaw:
    return BurstLaw(*(np.asarray(each, float) for each in (lists.starts, lists.seconds, lists.any_start)))


def _columns(tallies: Sequence[Tally], bounds: Sequence[float]) -> Columns:
    def column(number: Callable[[Tally], int]) -> list[int]:
        return [number(one) for one in tallies]

    def slower(bound: float) -> list[int | None]:
        return [one.finished - one.within[bound] if bound in one.within else None for one in tallies]

    return Columns(
        finished=column(lambda one: one.finished),
        unfinished=column(lambda one: one.started - one.finished),
        errors=column(lambda one: one.errors),
        labels=column(lambda one: one.labels),
        wrong=column(lambda one: one.labels - one.correct),
        measured=slower(math.inf),
        slower=[slower(bound) for bound in bounds],
    )


def _tallies(columns: Columns, bounds: Sequence[float]) -> Iterator[Tally]:
    within = zip(*(columns.slower), columns.measured, strict=True)
    rows = zip(columns.finished, columns.unfinished, columns.errors, columns.labels, columns.wrong, within, strict=True)
    for finished, unfinished, errors, labels, wrong, beyond in rows:
        fast = {
            bound: finished - slow for bound, slow in zip((*bounds, math.inf), beyond, strict=True) if slow is not None
        }
        yield Tally(finished + unfinished, finished, errors, fast, labels, labels - wrong)


def _without_first(record: RunRecord, ticks: int) -> RunRecord:
    def shorter(columns: Columns) -> Columns:
        rest = {field: getattr(columns, field)[ticks:] for field in columns.__struct_fields__ if field != "slower"}
        return Columns(**rest, slower=[column[ticks:] for column in columns.slower])

    *_, started = accumulate(repeat(record.tick_seconds, ticks), initial=record.started)
    return replace(
        record,
        started=started,
        canary=shorter(record.canary),
        stable=shorter(record.stable),
        unscraped=tuple(index - ticks for index in record.unscraped if index >= ticks),
        dropped_ticks=record.dropped_ticks + ticks,
    )
