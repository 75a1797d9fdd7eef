"""Which version is to be tried now. Pure."""

from __future__ import annotations

from sluice_server.handover import Failure, Report


def wanted(named: str, serving: str, failed: Failure | None) -> bool:
    """Whether the version that is named now is to be tried; all three are pinned URIs.

    One that has failed for good is not tried again while it is the one that is named.
    """
    return named != serving and (failed is None or failed.uri != named)


def remembered(named: str, failed: Failure | None) -> Failure | None:
    """What is left of a failure when `named` is named: nothing, if that is another version."""
    return failed if failed is not None and failed.uri == named else None


def failure(report: Report, named: str) -> Failure | None:
    """What the report of a new process says about the version `named`; None if it may serve.

    A process that serves something else was started with a second source, which was good enough.
    """
    if report.uri != named:
        return Failure(
            named, "it could not be fetched when the server was started, and MODEL_PATH is served: see the log"
        )
    return None if report.ready else Failure(named, report.reason)


def lasting(report: Report, named: str) -> Failure | None:
    """The same, if another try would end in the same way. A registry that hangs says nothing of a version."""
    return failure(report, named) if report.final else None
