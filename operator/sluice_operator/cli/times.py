"""Times as people type them: a point in time, or how long ago it was."""

from datetime import UTC, datetime

from sluice_operator.api.quantities import Duration
from sluice_operator.cli.cluster import CommandError

_YEARS = range(1971, 2200)


def duration(text: str) -> Duration:
    """A duration such as 15s or 2h. Raises CommandError."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def interval(text: str) -> Duration:
    """A duration that is longer than nothing. Raises CommandError."""
    if not (read := duration(text)):
        raise CommandError(f"{text!r} is not above 0: write for example 15s")
    return read


def moment(text: str, now: datetime) -> datetime:
    """A time such as 2026-03-01T12:00:00Z (UTC if it has no zone), or a duration before `now`. Raises CommandError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        parsed = now - duration(text)
    if parsed.year not in _YEARS:
        raise CommandError(f"{text!r} is no time from {_YEARS[0]} to {_YEARS[-1]}, of which there could be metrics")
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
