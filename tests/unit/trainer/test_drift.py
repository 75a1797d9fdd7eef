"""The drift report, as far as it goes without a Prometheus."""

import json
import xml.etree.ElementTree as ET

import pytest

from sluice_trainer import bin_counts, drift_command, drift_picture, psi
from sluice_trainer.bin_counts import Sample, Served
from sluice_trainer.psi import Bin, FeatureDrift, Severity

MOVED = FeatureDrift("petal <width>", (Bin("[0.0, 1.0)", 0.5, 100), Bin("[1.0, 2.0]", 0.5, 900), Bin("missing", 0, 0)))
STEADY = FeatureDrift("sepal_width", (Bin("[0.0, 1.0)", 0.5, 500), Bin("[1.0, 2.0]", 0.5, 500), Bin("missing", 0, 0)))
SERVED = Served("models", "3", (MOVED, STEADY))


def test_rows_that_are_spread_alike_have_no_drift() -> None:
    assert STEADY.score == 0
    assert MOVED.score == pytest.approx(0.4 * 2.1972246)  # (0.9 - 0.5) ln 1.8 + (0.1 - 0.5) ln 0.2


def test_an_empty_bin_weighs_much_but_not_without_limit() -> None:
    """On both sides alike."""
    assert psi.index([1.0, 0.0], [0.0, 1.0]) == pytest.approx(psi.index([0.0, 1.0], [1.0, 0.0]))
    assert 18 < psi.index([1.0, 0.0], [0.0, 1.0]) < 19


@pytest.mark.parametrize(
    ("score", "severity"),
    [
        (0.1, Severity.NONE),
        (0.11, Severity.LOW),
        (0.2, Severity.LOW),
        (0.21, Severity.MEDIUM),
        (0.3, Severity.MEDIUM),
        (0.31, Severity.HIGH),
    ],
)
def test_the_severity_is_high_where_the_alert_fires(score: float, severity: Severity) -> None:
    """That is above 0.3."""
    assert psi.severity(score) is severity


def sample(version: str, feature: str, name: str, value: float) -> Sample:
    return {"namespace": "models", "version": version, "feature": feature, "bin": name}, value


def test_counts_and_ratios_are_put_together_by_bin() -> None:
    """The version with most rows comes first. A bin that one answer lacks is left out."""
    counts = [sample("1", "a", "low", 10), sample("1", "a", "high", 30), sample("2", "a", "low", 900)]
    ratios = [sample("2", "a", "low", 1.0), sample("1", "a", "low", 0.6), sample("1", "a", "high", 0.4)]
    found = bin_counts.served(counts, [*ratios, sample("1", "b", "low", 1.0)])
    assert [(each.version, each.rows) for each in found] == [("2", 900), ("1", 40)]
    assert found[1].features == (FeatureDrift("a", (Bin("low", 0.6, 10), Bin("high", 0.4, 30))),)


@pytest.mark.parametrize(
    "names",
    [
        ["below", "[-2.0, 1e-05)", "[1e-05, 3.0)", "[3.0, 3.0]", "above", "missing"],
        ["often", "at times", "rarely", "unseen", "missing"],
    ],
)
def test_bins_stand_in_their_order(names: list[str]) -> None:
    """Prometheus gives them in any. Categories are as frequent as here in the training."""
    ratios = [sample("1", "a", name, 0.5 - place / 100) for place, name in enumerate(names)]
    counts = [sample("1", "a", name, 10) for name in names]
    [found] = bin_counts.served(counts, sorted(ratios, key=lambda each: each[0]["bin"][::-1]))
    assert [each.name for each in found.features[0].bins] == names


def test_the_table_names_the_bin_that_has_moved_most() -> None:
    table = drift_command.as_text([MOVED, STEADY]).splitlines()
    assert table[0].split() == ["feature", "score", "severity", "moved", "most"]
    assert table[1].endswith("0.879  high      [0.0, 1.0) from 50.0% to 10.0%")
    assert len(table) == 3


def test_the_json_has_all_bins() -> None:
    document = json.loads(drift_command.as_json("iris", SERVED, [MOVED, STEADY]))
    assert (document["rows"], document["severity"]) == (1000, "high")
    assert document["features"][1]["bins"][1] == {"name": "[1.0, 2.0]", "expected": 0.5, "seen": 0.5}


def test_the_picture_has_a_pair_of_bars_for_each_bin() -> None:
    """It is well formed, whatever a feature is called, and each bin tells its numbers."""
    root = ET.fromstring(drift_picture.drawn("models:/iris/3", [MOVED, STEADY]))
    svg = "{http://www.w3.org/2000/svg}"
    bins = root.findall(f"{svg}g")
    assert [len(each.findall(f"{svg}rect")) for each in bins] == [2] * 6
    assert bins[1][0].text == "[1.0, 2.0]: 50.0% of the training, 90.0% of the requests"
    assert "petal <width>" in [text.text for text in root.findall(f"{svg}text")]
