import numpy as np
import pandas as pd
import pytest

from sluice_trainer import data, forest, paired, quality, retraining, validate_command
from sluice_trainer.data import Dataset, Split
from sluice_trainer.quality import Finding, Quality
from sluice_trainer.retraining import Outcome, Terms

IRIS = data.iris()
BASE = data.split(IRIS, forest.HOLDOUT_SHARE, seed=7)
SCHEMA = validate_command.schema_in(None)
GOOD = Quality(500, 100.0, ())


def new_rows(number: int) -> Dataset:
    """Rows that are not in the iris data; the first ones are always the same."""
    random = np.random.default_rng(1)
    places = np.arange(number) % len(IRIS.labels)
    features = IRIS.features[places] + random.normal(0, 0.01, (number, 4))
    return Dataset(features, IRIS.labels[places], IRIS.feature_names, IRIS.class_names)


def as_table(rows: Dataset) -> pd.DataFrame:
    return rows.frame.assign(species=[rows.class_names[label] for label in rows.labels])


def compared(only_candidate: int, only_champion: int, total: int = 100) -> paired.Compared:
    return paired.Compared(total, 60 + only_candidate, 60 + only_champion, only_candidate, only_champion)


def test_some_of_the_rows_are_held_out() -> None:
    """About as many as of the base data."""
    parts = retraining.split(new_rows(4_000), BASE)
    assert len(parts.hold_out.labels) + len(parts.train.labels) == 4_000
    assert len(parts.hold_out.labels) / 4_000 == pytest.approx(forest.HOLDOUT_SHARE, abs=0.03)


def test_a_row_is_on_the_same_side_in_each_retraining() -> None:
    """Whatever comes with it: else a version would be judged by rows that it was trained on."""
    first, second = retraining.split(new_rows(200), BASE), retraining.split(new_rows(100), BASE)
    assert held_out(second) == held_out(first) & {tuple(row) for row in new_rows(100).features.tolist()}


def held_out(parts: Split) -> set[tuple[float, ...]]:
    return {tuple(row) for row in parts.hold_out.features.tolist()}


def test_a_row_of_the_base_data_stays_where_it_is() -> None:
    """If production gets a row that all versions were trained on, it judges none of them."""
    parts = retraining.split(IRIS, BASE)
    assert held_out(parts) == held_out(BASE) - {tuple(row) for row in BASE.train.features.tolist()}


def test_rows_that_come_again_count_once_with_the_newest_label() -> None:
    table = as_table(new_rows(3)).iloc[[0, 1, 2, 0]].reset_index(drop=True)
    table.loc[3, "species"] = "virginica"
    rows = retraining.usable(table, IRIS, "species")
    assert len(rows.labels) == 3
    assert rows.labels[-1] == 2


def test_rows_that_cannot_be_learned_from_are_left_out() -> None:
    """A feature that is no number, one that is missing, and a class that nobody knows."""
    table = as_table(new_rows(4)).astype(object)
    table.loc[0, "petal_width"] = "wide"
    table.loc[1, "petal_width"] = None
    table.loc[2, "species"] = "rose"
    assert len(retraining.usable(table, IRIS, "species").labels) == 1
    assert len(retraining.usable(table.drop(columns="petal_width"), IRIS, "species").labels) == 0


def test_the_key_is_of_the_rows_and_of_what_decides() -> None:
    """The same ones have the same key, and anything else has another one."""
    table, recipe, terms = as_table(new_rows(5)), forest.Recipe(), Terms()
    key = retraining.key("iris", IRIS, table, SCHEMA, recipe, terms)
    others = [
        retraining.key("tulips", IRIS, table, SCHEMA, recipe, terms),
        retraining.key("iris", IRIS, as_table(new_rows(6)), SCHEMA, recipe, terms),
        retraining.key("iris", IRIS, table.assign(species="virginica"), SCHEMA, recipe, terms),
        retraining.key("iris", IRIS, table, SCHEMA, forest.Recipe(seed=8), terms),
        retraining.key("iris", IRIS, table, SCHEMA, recipe, Terms(min_gain=0.1)),
    ]
    assert retraining.key("iris", data.iris(), as_table(new_rows(5)), SCHEMA, recipe, terms) == key
    assert len({key, *others}) == 6


@pytest.mark.parametrize(
    ("rows", "found", "outcome", "words"),
    [
        (99, GOOD, Outcome.TOO_FEW_ROWS, "99 different rows of 500 can be used, 100 are needed"),
        (100, Quality(100, 79.9, (Finding("a", "bad", 2),)), Outcome.QUALITY_TOO_LOW, "79.9, 80 is needed: a: bad"),
    ],
)
def test_poor_data_are_refused_with_the_numbers(rows: int, found: Quality, outcome: Outcome, words: str) -> None:
    refused = retraining.refusal(retraining.split(new_rows(rows), BASE), found, Terms())
    assert refused is not None
    assert refused.outcome is outcome
    assert words in refused.reason


def test_a_hold_out_that_can_show_nothing_is_refused() -> None:
    """However few rows one asks for: of five no division is uneven enough."""
    parts = retraining.split(new_rows(3), BASE)
    refused = retraining.refusal(parts, GOOD, Terms(min_rows=1))
    assert refused is not None
    assert "can show nothing" in refused.reason


def test_good_data_are_not_refused() -> None:
    assert retraining.refusal(retraining.split(new_rows(100), BASE), Quality(100, 80.0, ()), Terms()) is None


@pytest.mark.parametrize(
    ("found", "outcome", "words"),
    [
        (compared(20, 2), Outcome.CHALLENGER, "80 instead of 62 of 100 rows right (+18.0%, p = 0.00012)"),
        (compared(20, 15), Outcome.ARCHIVED, "more than +5.0% is needed"),
        (compared(60, 10, total=1_000), Outcome.ARCHIVED, "more than +5.0% is needed"),
        (compared(5, 0, total=65), Outcome.ARCHIVED, "can show by chance"),
        (compared(2, 20), Outcome.ARCHIVED, "-18.0%"),
    ],
)
def test_a_challenger_is_better_by_enough_and_by_more_than_chance(
    found: paired.Compared, outcome: Outcome, words: str
) -> None:
    """Exactly the asked gain is not more than it."""
    decision = retraining.judged(found, Terms())
    assert decision.outcome is outcome
    assert words in decision.reason


def test_a_candidate_that_is_no_better_is_rarely_a_challenger() -> None:
    """Of 1,000 pairs of equally good models on 30 rows, a gain of 5 points alone would let one of four through."""
    random, by_gain, by_both = np.random.default_rng(5), 0, 0
    for _ in range(1_000):
        found = paired.compare(*(random.random((2, 30)) < 0.9).tolist())
        by_gain += found.gain > Terms().min_gain
        by_both += retraining.judged(found, Terms()).outcome is Outcome.CHALLENGER
    assert by_gain > 200
    assert by_both < 25


def test_the_quality_of_the_sample_is_good_enough() -> None:
    """The schema that is the default takes the data that are the base."""
    assert quality.measure(as_table(IRIS), SCHEMA).score == 100
