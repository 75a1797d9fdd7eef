"""Parses the result on a hold-out from an MLflow run: metrics with counts, and tags with the rows. Pure."""

import base64

from sluice_operator.api.observation import HoldOut, Rows, Unresolved
from sluice_operator.api.revision import Model
from sluice_operator.mlflow.json_forms import RunData

_DIGEST, _CORRECT = "sluice.holdout.digest", "sluice.holdout.correct"  # tags of a run, as the trainer writes them
_MAX_ROWS = 48_000  # that fit into a tag
_MAX_TOTAL = 10_000_000  # a bound takes time with the square root of it: a tenth of a second here
_MAX_DIGEST = 128  # characters; the trainer's is a SHA-256


def run_of(model: Model) -> str:
    """Text for people that names the run that made `model`."""
    return f"run {model.run_id!r} of {model.name}/{model.version}"


def parse(model: Model, data: RunData) -> HoldOut | Unresolved:
    """The hold-out of `model`. `data`: of its run, as MLflow's API returns it."""
    metrics = {metric.key: metric.value for metric in data.metrics if isinstance(metric.value, float)}
    tags = {tag.key: tag.value for tag in data.tags}
    correct, total = metrics.get("correct", -1.0), metrics.get("total", 0.0)
    if not (0 <= correct <= total and total >= 1 and correct.is_integer() and total.is_integer()):
        hint = "log both as whole numbers, as `python -m sluice_trainer` does"
        return Unresolved("HoldOutMissing", f"{run_of(model)} has no metrics correct and total: {hint}")
    if total > _MAX_TOTAL:
        return Unresolved("HoldOutMissing", f"the metric total of {run_of(model)} is more than {_MAX_TOTAL:,} rows")
    rows = _rows(run_of(model), tags, int(correct), int(total))
    return HoldOut(f"{model.name}/{model.version}", int(correct), int(total), rows)


def _rows(run: str, tags: dict[str, str], correct: int, total: int) -> Rows | Unresolved:
    """Which rows were right. Tags that do not agree with the counts may be of another hold-out, and are not used."""
    if not tags.get(_DIGEST):
        return Unresolved("HoldOutMissing", f"{run} has no tag {_DIGEST}")
    if len(tags[_DIGEST]) > _MAX_DIGEST:
        return Unresolved("HoldOutMissing", f"the tag {_DIGEST} of {run} is longer than {_MAX_DIGEST} characters")
    if _CORRECT not in tags:
        full = f" (its {total} rows do not fit into one, {_MAX_ROWS} do)" if total > _MAX_ROWS else ""
        return Unresolved("HoldOutMissing", f"{run} has no tag {_CORRECT}{full}")
    try:
        packed = base64.b64decode(tags[_CORRECT], validate=True)
    except ValueError:
        return Unresolved("HoldOutMissing", f"the tag {_CORRECT} of {run} is not base64")
    right, padding = divmod(int.from_bytes(packed), 1 << (-total % 8))
    if len(packed) != (total + 7) // 8 or padding or right.bit_count() != correct:
        has = f"{len(packed)} bytes with {int.from_bytes(packed).bit_count()} bits set"
        return Unresolved("HoldOutMissing", f"the tag {_CORRECT} of {run} is not of {correct} of {total} rows: {has}")
    return Rows(tags[_DIGEST], right)
