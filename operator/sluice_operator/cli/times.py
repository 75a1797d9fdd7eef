"""Times as people type them: a point in time, or how long ago it was."""

from datetime import UTC, datetime

from sluice_operator.api.quantities import Duration
from sluice_operator.cli.cluster import CommandError


def duration(text: str) -> Duration:
    """A duration such as 15s or 2h. Raises CommandError."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def moment(text: str, now: datetime) -> datetime:
    """A time such as 2026-03-01T12:00:00Z (UTC if it has no zone), or a duration before `now`. Raises CommandError."""
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return now - duration(text)
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
