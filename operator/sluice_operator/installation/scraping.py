"""Whether Prometheus scrapes model servers with the labels and as often as the operator needs it."""

import statistics
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Protocol

from sluice_operator.installation.outcome import CheckError
from sluice_operator.settings import Settings

_LABELS = ("namespace", "pod", "pod_uid", "model_deployment")
_HINT = "see what must be scraped in docs/prometheus.md"


class Scrapes(Protocol):
    """The part of the Reader that is needed here. Both raise MetricsLostError."""

    async def scraped_pods(self) -> list[Mapping[str, str]]: ...

    async def scrape_times(self, pod: Mapping[str, str]) -> list[float]: ...


async def model_servers_are_scraped(reader: Scrapes, settings: Settings) -> str:
    """They are, if there are any. Raises CheckError."""
    pods = await reader.scraped_pods()
    if not pods:
        return "no model server is scraped yet, so there is nothing to look at: ask again when a model is served"
    if lacking := [label for label in _LABELS if not all(pod.get(label) for pod in pods)]:
        raise CheckError(f"series of model servers lack the label {' and '.join(lacking)}: {_HINT}")
    seconds = interval(await reader.scrape_times(pods[0]))
    if seconds is None:
        return f"{len(pods)} model servers are scraped; for how often, ask again in some minutes"
    expected = settings.scrape_interval
    if not 0.5 * expected <= seconds <= 1.5 * expected:
        raise CheckError(
            f"Prometheus scrapes model servers every {_shown(seconds)}, and SLUICE_SCRAPE_INTERVAL says {expected:g} s:"
            f" set it to {_shown(seconds).replace(' ', '')} (prometheus.scrapeInterval in the chart)"
        )
    return f"{len(pods)} model servers are scraped every {_shown(seconds)}"


def _shown(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds >= 1 else f"{max(1, round(seconds * 1000))} ms"


def interval(times: Sequence[float]) -> float | None:
    """The usual time between scrapes in seconds; None for fewer than three of them."""
    gaps = [later - earlier for earlier, later in pairwise(times)]
    return statistics.median(gaps) if len(gaps) > 1 else None
