"""How often is scraped and judged, and what follows from it."""

from dataclasses import dataclass

_OVERDUE_SECONDS = 30.0  # a request that is not finished after this, or two scrapes if that is longer, hangs


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds: how often Prometheus scrapes, and how often a run is judged at most."""

    scrape: float
    evaluation: float

    @property
    def tick(self) -> float:
        return max(self.scrape, self.evaluation)

    @property
    def stale_after(self) -> float:
        """A pod that was not scraped for so long while others were is gone."""
        return max(3 * self.scrape, 10.0)

    @property
    def overdue_after(self) -> float:
        return max(_OVERDUE_SECONDS, 2 * self.scrape)
