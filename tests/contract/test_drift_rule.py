"""The recording rules of drift in a real Prometheus, with what a model server exports."""

from __future__ import annotations

import math
import time
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry

from sluice_server.inference.feature_bins import FeatureBinCollector, FeatureBins
from sluice_server.model.reference import FeatureReference, Reference
from sluice_server.model.schema import Column, Kind, Schema
from tests.contract.test_prometheus import prometheus

FILE = Path(__file__).parents[2] / "manifests" / "alerts" / "models.yaml"
(RULES,) = (
    {rule["record"]: rule["expr"] for rule in group["rules"] if "record" in rule}
    for group in yaml.safe_load(FILE.read_text(encoding="utf-8"))["groups"]
    if group["name"] == "sluice-drift"
)
DAY = 86_400


def samples(rows: list[float], steady: list[float]) -> bytes:
    """What a pod exports at the begin of a day without requests, and at its end."""
    features = tuple(FeatureReference(name, (50, 30, 20), edges=(0.0, 1.0, 2.0, 3.0)) for name in ("moved", "steady"))
    schema = Schema(tuple(Column(feature.name, Kind.NUMBER) for feature in features))
    bins, registry = FeatureBins(schema, Reference(100, features)), CollectorRegistry()
    registry.register(FeatureBinCollector(bins, ("iris", "3", "abcdefghij")))
    now, lines = time.time(), []
    for at in (now - DAY, now):
        for metric in registry.collect():
            for sample in metric.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sample.labels.items())
                lines.append(f"{sample.name}{{{labels}}} {sample.value} {at * 1000:.0f}")
        for pair in zip(rows, steady, strict=True):
            bins.add(np.array([pair]))
    return "\n".join([*lines, ""]).encode()


def test_the_rule_is_the_population_stability_index(tmp_path: Path) -> None:
    """For each feature, as its formula says, with 0.0001 for an empty bin; nothing is said about few rows."""
    rng = np.random.default_rng(7)
    moved = rng.choice([0.5, 1.5, 9.0], 2_000, p=[0.2, 0.3, 0.5])
    steady = np.resize([0.5] * 50 + [1.5] * 30 + [2.5] * 20, 2_000)
    scrapes = {
        "many": (samples(moved.tolist(), steady.tolist()), {"namespace": "many"}),
        "few": (samples(moved[:500].tolist(), steady[:500].tolist()), {"namespace": "few"}),
    }
    score = RULES["model_drift_score"].replace(
        "model:ml_feature_bin:ratio1d", f"({RULES['model:ml_feature_bin:ratio1d']})"
    )
    with prometheus(tmp_path, scrapes) as url:
        query = score.replace("[1d]", "[2d]")  # the first sample is a whole day old
        answer = httpx.get(f"{url}/api/v1/query", params={"query": query})
    assert answer.status_code == 200, answer.text
    found = {
        (entry["metric"]["namespace"], entry["metric"]["feature"]): float(entry["value"][1])
        for entry in answer.json()["data"]["result"]
    }
    shares = [(moved == value).mean() for value in (0.5, 1.5)]
    pairs = [(shares[0], 0.5), (shares[1], 0.3), (0.0001, 0.2), ((moved == 9.0).mean(), 0.0001)]
    index = sum((p - q) * math.log(p / q) for p, q in pairs)
    assert found == pytest.approx({("many", "moved"): index, ("many", "steady"): 0.0}, abs=1e-6)
