"""How the commands that bring a model end: an outcome becomes termination message, line of the log and exit code."""

from __future__ import annotations

import logging
from collections.abc import Callable

from sluice_server.fetch.outcome import Fetched, Outcome, Unavailable
from sluice_server.fetch.termination_message import termination_message
from sluice_server.model.refusal import Refused
from sluice_server.settings import FetchSettings

logger = logging.getLogger("sluice.fetch")


def run(settings: FetchSettings, step: Callable[[], Outcome]) -> int:
    """Does the step, reports, and gives the exit code: 0 fetched, 3 refused for good, 1 worth another try."""
    outcome = _outcome(settings, step)
    settings.termination_log.write_bytes(termination_message(outcome))
    match outcome:
        case Fetched():
            logger.info("fetched %s: %s", settings.model_uri, outcome.digest)
            return 0
        case Refused(reason, message):
            logger.error("refused %s (%s): %s", settings.model_uri, reason, message)
            return 3
        case Unavailable(reason, message):
            logger.error("cannot fetch %s now (%s): %s", settings.model_uri, reason, message)
            return 1


def _outcome(settings: FetchSettings, step: Callable[[], Outcome]) -> Outcome:
    """What the step gives; a failure that nobody has thought of is one that may not come again."""
    try:
        return step()
    except Exception as error:
        logger.exception("fetching failed")
        what = " ".join(f"{type(error).__name__}: {error}".split())[:500]
        return Unavailable("FetchFailed", f"fetching {settings.model_uri} failed, and its log says where: {what}")
