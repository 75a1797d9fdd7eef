"""The record of a run: all that is needed to judge it again, small enough for a ConfigMap. Pure.

Counts are whole numbers in columns. Instead of numbers that are nearly equal (requests that began, and requests that
were finished) it has their differences, which are mostly 0. So the counts of hours compress to some kilobytes.
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
from sluice_operator.api.run import Run
from sluice_operator.counting.ticks import Tally, Tick
from sluice_operator.evalues.chain import BurstLaw
from sluice_operator.evalues.objective import ObjectiveBaseline

FORMAT = 4
_LEAST = -1e6  # log e-value; stands for minus infinity, which JSON does not have
_MOST_JSON_BYTES = 50_000_000  # uncompressed: 25 times as many as a run of four days has; a crafted record has more
MOST_BYTES = 500_000  # compressed; in base64 and with its summary, far less than the 1 MiB of a ConfigMap


class UnreadableRecordError(ValueError):
    """What was read is not a run record, or has a format that this program does not know."""


class _Part(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A mapping in the record."""


class _Format(_Part, frozen=True):
    """What tells one format of records from another."""

    format: int = 2  # which was the last one that did not write its number


class Law(_Part, frozen=True):
    """A burst law: nested lists of the shape of its arrays."""

    starts: list[Any]
    seconds: list[Any]
    any_start: Any
    divisor: Any = msgspec.field(default=1.0, name="clump")  # older records have that name


class RecordedObjective(_Part, frozen=True):
    """What stable's past says of one objective."""

    compared: Law
    judged: Law
    requests: float
    bad: float


class RecordedBaseline(_Part, frozen=True):
    """What stable did before the run."""

    by_objective: dict[str, RecordedObjective]
    bounds: tuple[float, ...]  # latencies in seconds, at which the canary is compared
    pod_seconds: float
    requests: int
    nearly_all_within: float  # seconds


class Columns(_Part, frozen=True):
    """The counts of one revision, a number per tick. None: the histogram lacked that bound, or was not there."""

    finished: list[int]
    unfinished: list[int]  # requests that began, less those that were finished
    errors: list[int]
    refused: list[int]
    labels: list[int]
    wrong: list[int]
    measured: list[int | None]  # requests in the histogram, less those that were finished
    slower: list[list[int | None]]  # by bound
    others: list[int] = []  # answers to other requests than predictions; empty where nobody counted them


class RunRecord(_Part, frozen=True):
    """A run that ended. Its ticks are equally long and have no gaps between them."""

    namespace: str
    name: str
    run: Run
    baseline: RecordedBaseline
    pods: tuple[int, int]  # of the canary, and of stable
    tick_seconds: float
    overdue_after: float  # seconds after which a request that is not finished hangs
    started: float  # unix seconds, of the first tick
    latency_bounds: tuple[float, ...]  # seconds, of the columns in `slower`
    canary: Columns
    stable: Columns
    unscraped: tuple[int, ...]  # indices of ticks in which not both revisions were scraped
    last_evaluation: Evaluation
    evidence: dict[str, tuple[float, ...]]  # log e-values after the last tick, by objective
    verdict_version: int  # of the rules that judged it
    format: int
    dropped_ticks: int = 0  # number of ticks at the beginning that are not in the record, because there were too many

    @property
    def tick_count(self) -> int:
        return len(self.canary.finished)


def of_run(namespace: str, name: str, run: Run, ended: EndedRun) -> RunRecord:
    """The record of a run of the ModelDeployment `namespace`/`name`. The run must have at least one tick."""
    evidence = ended.evidence
    ticks, bounds = list(evidence.ticks), criteria.bounds(run.judged, evidence.baseline.bounds)
    return RunRecord(
        namespace=namespace,
        name=name,
        run=run,
        baseline=_recorded_baseline(evidence.baseline),
        pods=(evidence.pods.suspected, evidence.pods.reference),
        tick_seconds=evidence.tick_seconds,
        overdue_after=ended.overdue_after,
        started=ticks[0].start,
        latency_bounds=bounds,
        canary=_columns([tick.canary for tick in ticks], bounds),
        stable=_columns([tick.stable for tick in ticks], bounds),
        unscraped=tuple(index for index, tick in enumerate(ticks) if not tick.both_scraped),
        last_evaluation=ended.last,
        evidence=evidence_of(evidence),
        verdict_version=VERDICT_VERSION,
        format=FORMAT,
        dropped_ticks=evidence.dropped_ticks,
    )


def evidence_of(evidence: RunEvidence) -> dict[str, tuple[float, ...]]:
    """By objective, log e-values: worse than stable, over its limit, worse in the watch, and for each step, not worse
    than its margin. 0 where the objective does not ask for one."""
    return {
        finding.objective.name: tuple(
            max(log, _LEAST)
            for log in (
                finding.worse or 0.0,
                finding.over_limit or 0.0,
                finding.watch.worse if finding.watch else 0.0,
                *finding.non_inferior,
            )
        )
        for finding in evidence.objective_findings
    }


def encoded(record: RunRecord, most_bytes: int = MOST_BYTES) -> bytes:
    """Compressed JSON of at most `most_bytes`. If the run is too long, its oldest ticks are dropped and counted."""
    while len(data := zlib.compress(msgspec.json.encode(record, enc_hook=encode), 9)) > most_bytes:
        record = _without_first(record, max(1, math.ceil(record.tick_count * (1 - 0.9 * most_bytes / len(data)))))
    return data


def decoded(data: bytes) -> RunRecord:
    """The record from what `encoded` wrote. Raises UnreadableRecordError."""
    try:
        text = _decompressed(data)
        record_format = msgspec.json.decode(text, type=_Format).format
        if record_format != FORMAT:
            raise UnreadableRecordError(f"the record has format {record_format}, this program reads format {FORMAT}")
        return msgspec.json.decode(text, type=RunRecord, dec_hook=decode)
    except (zlib.error, msgspec.MsgspecError) as error:
        raise UnreadableRecordError(f"this is not a record of a run: {error}") from error


def _decompressed(data: bytes) -> bytes:
    unpacking = zlib.decompressobj()
    text = unpacking.decompress(data, _MOST_JSON_BYTES)
    if unpacking.unconsumed_tail:
        raise UnreadableRecordError(
            f"unpacked it has more than {_MOST_JSON_BYTES // 1_000_000} MB: no run has so many counts"
        )
    if not unpacking.eof:
        raise UnreadableRecordError("this is not a record of a run: it ends half-way")
    return text


def baseline_of(record: RunRecord) -> Baseline:
    """What was known of stable when the run began."""
    by_objective = {
        name: ObjectiveBaseline(_law(objective.compared), _law(objective.judged), objective.requests, objective.bad)
        for name, objective in record.baseline.by_objective.items()
    }
    return Baseline(
        by_objective,
        record.baseline.bounds,
        record.baseline.pod_seconds,
        record.baseline.requests,
        record.baseline.nearly_all_within,
    )


def ticks_of(record: RunRecord) -> Iterator[Tick]:
    """The run's ticks, as they were counted."""
    edges = accumulate(repeat(record.tick_seconds, record.tick_count), initial=record.started)
    canary, stable = (_tallies(columns, record.latency_bounds) for columns in (record.canary, record.stable))
    unscraped = set(record.unscraped)
    for index, ((start, end), of_canary, of_stable) in enumerate(zip(pairwise(edges), canary, stable, strict=True)):
        yield Tick(start, end, of_canary, of_stable, both_scraped=index not in unscraped)


def _recorded_baseline(baseline: Baseline) -> RecordedBaseline:
    by_objective = {
        name: RecordedObjective(_lists(objective.compared), _lists(objective.judged), objective.requests, objective.bad)
        for name, objective in baseline.by_objective.items()
    }
    return RecordedBaseline(
        by_objective, baseline.bounds, baseline.pod_seconds, baseline.requests, baseline.nearly_all_within
    )


def _lists(law: BurstLaw) -> Law:
    return Law(*(np.asarray(values).tolist() for values in (law.starts, law.seconds, law.any_start, law.divisor)))


def _law(lists: Law) -> BurstLaw:
    values = (lists.starts, lists.seconds, lists.any_start, lists.divisor)
    return BurstLaw(*(np.asarray(array, float) for array in values))


def _columns(tallies: Sequence[Tally], bounds: Sequence[float]) -> Columns:
    def column(number: Callable[[Tally], int]) -> list[int]:
        return [number(tally) for tally in tallies]

    def slower(bound: float) -> list[int | None]:
        return [tally.finished - tally.within[bound] if bound in tally.within else None for tally in tallies]

    return Columns(
        finished=column(lambda tally: tally.finished),
        unfinished=column(lambda tally: tally.started - tally.finished),
        errors=column(lambda tally: tally.errors),
        refused=column(lambda tally: tally.refused),
        labels=column(lambda tally: tally.labels),
        wrong=column(lambda tally: tally.labels - tally.correct),
        measured=slower(math.inf),
        slower=[slower(bound) for bound in bounds],
        others=column(lambda tally: tally.others),
    )


def _tallies(columns: Columns, bounds: Sequence[float]) -> Iterator[Tally]:
    slower = zip(*(columns.slower), columns.measured, strict=True)
    others = columns.others or [0] * len(columns.finished)
    of_requests = columns.finished, columns.unfinished, columns.errors, columns.refused, others
    rows = zip(*of_requests, columns.labels, columns.wrong, slower, strict=True)
    for finished, unfinished, errors, refused, other, labels, wrong, slower_by_bound in rows:
        slow_requests = zip((*bounds, math.inf), slower_by_bound, strict=True)
        within = {bound: finished - slow for bound, slow in slow_requests if slow is not None}
        yield Tally(finished + unfinished, finished, errors, within, labels, labels - wrong, refused, other)


def _without_first(record: RunRecord, ticks: int) -> RunRecord:
    """The record without its first `ticks`."""

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
