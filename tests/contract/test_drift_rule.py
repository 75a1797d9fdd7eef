"""The recording rules and the report of drift with a real Prometheus, of what a model server exports."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from prometheus_client import CollectorRegistry

from sluice_server.inference.feature_bins import FeatureBinCollector, FeatureBins
from sluice_server.model.reference import FeatureReference, Reference
from sluice_server.model.schema import Column, Kind, Schema
from tests.contract import trainer
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


@dataclass(frozen=True)
class Drifted:
    """A Prometheus that has many rows of one namespace and few of another, and how the feature `moved` is drifted."""

    url: str
    index: float


@pytest.fixture(scope="module")
def drifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Drifted]:
    rng = np.random.default_rng(7)
    moved = rng.choice([0.5, 1.5, 9.0], 2_000, p=[0.2, 0.3, 0.5])
    steady = np.resize([0.5] * 50 + [1.5] * 30 + [2.5] * 20, 2_000)
    scrapes = {
        "many": (samples(moved.tolist(), steady.tolist()), {"namespace": "many"}),
        "few": (samples(moved[:500].tolist(), steady[:500].tolist()), {"namespace": "few"}),
    }
    shares = [(moved == value).mean() for value in (0.5, 1.5)]
    pairs = [(shares[0], 0.5), (shares[1], 0.3), (0.0001, 0.2), ((moved == 9.0).mean(), 0.0001)]
    with prometheus(tmp_path_factory.mktemp("prometheus"), scrapes) as url:
        yield Drifted(url, sum((p - q) * math.log(p / q) for p, q in pairs))


def test_the_rule_is_the_population_stability_index(drifted: Drifted) -> None:
    """For each feature, as its formula says, with 0.0001 for an empty bin; nothing is said about few rows."""
    score = RULES["model_drift_score"].replace(
        "model:ml_feature_bin:ratio1d", f"({RULES['model:ml_feature_bin:ratio1d']})"
    )
    query = score.replace("[1d]", "[2d]")  # the first sample is a whole day old
    answer = httpx.get(f"{drifted.url}/api/v1/query", params={"query": query})
    assert answer.status_code == 200, answer.text
    found = {
        (entry["metric"]["namespace"], entry["metric"]["feature"]): float(entry["value"][1])
        for entry in answer.json()["data"]["result"]
    }
    assert found == pytest.approx({("many", "moved"): drifted.index, ("many", "steady"): 0.0}, abs=1e-6)


def test_the_report_has_the_score_of_the_rule(drifted: Drifted, tmp_path: Path) -> None:
    """Of the version that answered most, with its picture."""
    picture = tmp_path / "drift.svg"
    done = report(drifted, "--json", "--picture", str(picture))
    document = json.loads(done.out)
    assert (done.code, document["namespace"], document["version"]) == (0, "many", "3"), done.err
    assert document["rows"] == pytest.approx(2_000, rel=0.01)
    scores = {feature["name"]: (feature["score"], feature["severity"]) for feature in document["features"]}
    assert scores["moved"] == (pytest.approx(drifted.index, abs=1e-6), "high")
    assert scores["steady"] == (pytest.approx(0.0, abs=1e-6), "none")
    assert "moved" in picture.read_text(encoding="utf-8")


def test_there_is_no_report_of_few_rows(drifted: Drifted) -> None:
    done = report(drifted, "--namespace", "few")
    assert (done.code, done.out) == (1, "")
    assert "1000 are needed: take more --days" in done.err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--version", "99"], "has no bins of {'model': 'iris', 'version': '99'} in the last 2 d"),
        (["--prometheus", "http://127.0.0.1:9"], "does not answer: check --prometheus"),
        (["--prometheus", "nowhere"], "name Prometheus with --prometheus"),
    ],
)
def test_what_cannot_be_reported_is_told(drifted: Drifted, flags: list[str], words: str) -> None:
    done = report(drifted, *flags)
    assert (done.code, done.out) == (2, "")
    assert words in done.err


def report(drifted: Drifted, *flags: str) -> trainer.Done:
    """Of two days: the first sample is a whole day old."""
    return trainer.run("drift", "--name", "iris", "--days", "2", *flags, SLUICE_PROMETHEUS_URL=drifted.url)
