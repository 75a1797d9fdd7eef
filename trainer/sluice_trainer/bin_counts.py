"""Asks Prometheus how the rows of requests were spread over the bins of the training data (docs/metrics.md)."""

import json
import re
from dataclasses import dataclass
from typing import Any

import requests
from requests.exceptions import RequestException

from sluice_trainer.errors import UnusableError
from sluice_trainer.psi import Bin, FeatureDrift

_PATIENCE = 60.0  # seconds
_BY = "namespace, version, feature, bin"
_RANGE = re.compile(r"\[([-+.\deE]+), .*[)\]]")
_ENDS = {"below": -1.0, "above": 1.0, "unseen": 2.0, "(unseen)": 2.0, "missing": 3.0, "(missing)": 3.0}
Labels = dict[str, str]
Sample = tuple[Labels, float]


@dataclass(frozen=True, slots=True)
class Served:
    """A version that answered requests: in which namespace, and what its features were like."""

    namespace: str
    version: str
    features: tuple[FeatureDrift, ...]

    @property
    def rows(self) -> float:
        """How many were counted: the same for each feature, but for what Prometheus estimates."""
        return min(feature.rows for feature in self.features)


def fetch(prometheus: str, selector: Labels, days: int) -> list[Served]:
    """The versions with counts in the last days, the one with most rows first.

    `prometheus`: its address. `selector`: labels that the series must have. Raises UnusableError.
    """
    chosen = "{" + ",".join(f"{name}={json.dumps(value)}" for name, value in selector.items()) + "}"
    counts = _ask(prometheus, f"sum by ({_BY}) (increase(ml_feature_bin_total{chosen}[{days}d]))")
    ratios = _ask(prometheus, f"max by ({_BY}) (max_over_time(ml_feature_reference_ratio{chosen}[{days}d]))")
    return served(counts, ratios)


def served(counts: list[Sample], ratios: list[Sample]) -> list[Served]:
    """What the two answers say together; pure. Bins that only one of them has are of a pod that just started."""
    rows = {_place(labels): number for labels, number in counts}
    found: dict[tuple[str, str], dict[str, list[Bin]]] = {}
    for labels, expected in ratios:
        if (number := rows.get(_place(labels))) is not None:
            features = found.setdefault((labels.get("namespace", ""), labels["version"]), {})
            features.setdefault(labels["feature"], []).append(Bin(labels["bin"], expected, number))
    made = [Served(namespace, version, _features(bins)) for (namespace, version), bins in found.items()]
    return sorted(made, key=lambda each: -each.rows)


def _features(bins: dict[str, list[Bin]]) -> tuple[FeatureDrift, ...]:
    return tuple(FeatureDrift(name, tuple(sorted(bins[name], key=_order))) for name in sorted(bins))


def _order(each: Bin) -> tuple[float, float]:
    """As the server names them: what is below, numbers as they rise, categories by frequency, and the others."""
    if each.name in _ENDS:
        return _ENDS[each.name], 0.0
    number = _RANGE.fullmatch(each.name)
    return 0.0, float(number[1]) if number else -each.expected


def _place(labels: Labels) -> tuple[str, ...]:
    return tuple(labels.get(name, "") for name in ("namespace", "version", "feature", "bin"))


def _ask(prometheus: str, query: str) -> list[Sample]:
    try:
        answer = requests.post(f"{prometheus.rstrip('/')}/api/v1/query", data={"query": query}, timeout=_PATIENCE)
    except RequestException as error:
        raise UnusableError(
            f"Prometheus at {prometheus} does not answer: check --prometheus or SLUICE_PROMETHEUS_URL "
            f"({type(error).__name__})"
        ) from None
    try:
        document: dict[str, Any] = answer.json()
        if document["status"] != "success":
            raise UnusableError(f"Prometheus at {prometheus} refuses the query: {document['error']}")
        return [(each["metric"], float(each["value"][1])) for each in document["data"]["result"]]
    except (KeyError, TypeError, ValueError):
        raise UnusableError(
            f"{prometheus} does not answer like a Prometheus (HTTP {answer.status_code}): check --prometheus"
        ) from None
