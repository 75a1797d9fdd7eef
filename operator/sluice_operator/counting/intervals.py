"""How often Prometheus scrapes and how often a run is evaluated, with the times that follow from both."""

from dataclasses import dataclass

_OVERDUE_SECONDS = 30.0  # an unfinished request hangs after this, or after two scrapes if that is longer


@dataclass(frozen=True, slots=True)
class Intervals:
    """Seconds: the scrape interval, and the time between two evaluations of a run, apart from those of a new tick."""

    scrape: float
    evaluation: float

    @property
    def tick(self) -> float:
        """The length of a tick, in seconds."""
        return max(self.scrape, self.evaluation)

    @property
    def stale_after(self) -> float:
        """A pod that was not scraped for so many seconds, while other pods were, is gone."""
        return max(3 * self.scrape, 10.0)

    @property
    def overdue_after(self) -> float:
        """A request that is not finished after so many seconds hangs."""
        return max(_OVERDUE_SECONDS, 2 * self.scrape)
