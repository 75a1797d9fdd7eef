"""How many objects wait for a worker, and for how long. Asked when Prometheus asks."""

from collections.abc import Callable, Iterator, Mapping, Sequence

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

FAMILIES: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "sluice_queue_depth": ("Objects that wait for a worker.", ("lane",)),
    "sluice_queue_oldest_age_seconds": ("For how long the first of them has waited.", ("lane",)),
}


class Waiting(Collector):
    """The work queue as metrics. `ages`: for how many seconds each object waits, by lane."""

    def __init__(self, ages: Callable[[], Mapping[str, Sequence[float]]]) -> None:
        self._ages = ages

    def collect(self) -> Iterator[GaugeMetricFamily]:
        depth, oldest = (GaugeMetricFamily(name, text, labels=labels) for name, (text, labels) in FAMILIES.items())
        for lane, ages in self._ages().items():
            depth.add_metric((lane,), len(ages))
            oldest.add_metric((lane,), max(ages, default=0.0))
        yield from (depth, oldest)
