"""Commands to a rollout, as any client may write them: an annotation (docs/commands.md)."""

from datetime import UTC, datetime

from dev.demo.status import Status


def annotation(fenced: str) -> str:
    """NAME=VALUE for `kubectl annotate`. `fenced`: verb, revision and step, such as `retry/<revision>/0`."""
    at = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f"sluice.dev/command={fenced}/{at}"


def for_run(verb: str, status: Status) -> str | None:
    """The command with the fences of the run that `status` shows; None if there is none."""
    if status.canary is None or status.run is None:
        return None
    return f"{verb}/{status.canary.revision}/{status.run.step}"


def is_paused(status: Status) -> bool:
    """Whether the run waits for a person at its step."""
    return status.phase == "Stepping" and status.has("Paused", "True")
