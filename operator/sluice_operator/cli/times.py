"""Times as people type them: a moment, or how long ago."""

from datetime import UTC, datetime

from sluice_operator.api.quantities import Duration
from sluice_operator.cli.kubectl import CommandError


def duration(text: str) -> Duration:
    """Raises CommandError."""
    try:
        return Duration.parse(text)
    except ValueError as error:
        raise CommandError(str(error)) from error


def moment(text: str, now: datetime) -> datetime:
    """A time such as 2026-03-01T12:00:00Z, in UTC unless it says otherwise; or so long ago. Raises CommandError."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return now - duration(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
