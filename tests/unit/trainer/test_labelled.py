import json
from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_trainer import labelled, quality
from sluice_trainer.labelled import LabelledRow, Window

NOON = datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()
MIDNIGHT = NOON - 43_200
CLASSES = ("setosa", "versicolor", "virginica")
SCHEMA = quality.parse(
    {
        "columns": [{"name": "a", "type": "number"}, {"name": "species", "type": "text", "values": CLASSES}],
        "label": "species",
    }
)


def line(time: float, label: Any) -> bytes:
    """A row as the store gives it."""
    row = {"prediction": "0" * 16, "row": 0, "time": time, "features": {"a": 1.5}, "predicted": 0, "label": label}
    return json.dumps(row).encode()


@pytest.mark.parametrize("now", [MIDNIGHT, NOON, MIDNIGHT + 86_399.9])
def test_whole_days_are_the_same_all_day(now: float) -> None:
    """So a second call on the same day asks for the same rows."""
    window = labelled.whole_days(now, 7)
    assert window == Window(MIDNIGHT - 7 * 86_400, MIDNIGHT)
    assert str(window) == "2026-11-22T00:00:00+00:00/2026-11-29T00:00:00+00:00"


def test_an_urgent_window_has_the_newest_rows() -> None:
    assert labelled.until_now(NOON, 1) == Window(NOON - 86_400, NOON)


def test_days_after_the_window_are_read_too() -> None:
    """A pod sends its rows some minutes later, and so perhaps on the next day."""
    window = labelled.whole_days(NOON, 1)
    assert window.days(["2026-11-30", "2026-11-27", "2026-11-29", "2026-11-28"]) == [
        "2026-11-28",
        "2026-11-29",
        "2026-11-30",
    ]


def test_rows_of_the_window_with_a_label_count() -> None:
    """Its start belongs to it, its end does not."""
    window = Window(MIDNIGHT, NOON)
    lines = [line(MIDNIGHT - 1, 1), line(MIDNIGHT, 2), line(MIDNIGHT, None), line(NOON - 1, "setosa"), line(NOON, 0)]
    assert list(labelled.rows(lines, window)) == [
        LabelledRow(MIDNIGHT, {"a": 1.5}, 2),
        LabelledRow(NOON - 1, {"a": 1.5}, "setosa"),
    ]


@pytest.mark.parametrize("wrong", [b"<html>", b"[]", b"{}", b'{"label": 1}', b'{"label": 1, "time": "now"}', b"\xff"])
def test_a_line_that_is_no_row_is_shown(wrong: bytes) -> None:
    with pytest.raises(labelled.NoRowError, match="is no row of a prediction"):
        list(labelled.rows([wrong], Window(0, 1)))


@pytest.mark.parametrize(
    ("label", "name"),
    [(1, "versicolor"), (1.0, "versicolor"), ("1", "versicolor"), ("virginica", "virginica"), (7, "7"), (-1, "-1")],
)
def test_a_class_is_called_by_its_name(label: str | float, name: str) -> None:
    """A client may send its number. What is no class stays as it is, so that the validation shows it."""
    assert labelled.class_name(label, CLASSES) == name


def test_classes_whose_names_are_numbers_keep_them() -> None:
    assert labelled.class_name(1, ("3", "1")) == "1"


def test_a_table_has_the_oldest_row_first() -> None:
    found = [LabelledRow(2.0, {"a": 2}, 0), LabelledRow(1.0, {"a": [1, 2]}, "x")]
    assert labelled.table(found, SCHEMA).to_dict("list") == {"a": ["[1, 2]", 2], "species": ["x", "setosa"]}


def test_a_table_without_rows_has_its_columns() -> None:
    """So the quality of nothing can be measured: there are too few rows."""
    empty = labelled.table([], SCHEMA)
    assert list(empty.columns) == ["a", "species"]
    assert [finding.what for finding in quality.measure(empty, SCHEMA).findings] == ["0 rows, 1 are needed"]
