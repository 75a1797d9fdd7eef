import base64

import pytest

from sluice_trainer import data, forest, hold_out

IRIS = data.iris()


def test_each_row_has_a_bit_that_is_set_if_it_was_right() -> None:
    """The first row is the highest bit. Zeros fill the last byte."""
    tags = hold_out.tags(IRIS, [True, False, True, True, False, False, False, False, False, True])

    assert tags == {
        "sluice.holdout.digest": data.digest(IRIS),
        "sluice.holdout.correct": base64.b64encode(bytes([0b10110000, 0b01000000])).decode(),
    }


@pytest.mark.parametrize(("rows", "has_bits"), [(48_000, True), (48_001, False)])
def test_a_hold_out_that_does_not_fit_is_not_cut_off(rows: int, has_bits: bool) -> None:
    """MLflow takes 8,000 characters. Bits of only the first rows would look like another hold-out."""
    tags = hold_out.tags(IRIS, [True] * rows)

    assert ("sluice.holdout.correct" in tags) is has_bits
    assert len(tags.get("sluice.holdout.correct", "")) <= 8000


def test_the_same_seed_gives_the_same_hold_out() -> None:
    """So versions with different recipes can be compared row by row. Noise in the training rows does not matter."""
    recipes = forest.Recipe(trees=5), forest.Recipe(trees=5, label_noise=0.4), forest.Recipe(trees=5, seed=8)
    trained = [forest.train(IRIS, recipe) for recipe in recipes]
    plain, noisy, other_seed = (hold_out.tags(model.hold_out, model.score.right) for model in trained)

    assert plain["sluice.holdout.digest"] == noisy["sluice.holdout.digest"]
    assert plain["sluice.holdout.correct"] != noisy["sluice.holdout.correct"]
    assert plain["sluice.holdout.digest"] != other_seed["sluice.holdout.digest"]


def test_what_was_written_is_read() -> None:
    """Also where the last byte is filled up."""
    right = [True, False, True] * 7
    tags = hold_out.tags(IRIS, right)
    assert hold_out.read(tags, {"correct": 14.0, "total": 21.0}) == hold_out.HoldOut(
        tags[hold_out.DIGEST], tuple(right)
    )


@pytest.mark.parametrize(
    ("changed", "metrics", "words"),
    [
        ({hold_out.DIGEST: ""}, {}, "no tag sluice.holdout.digest"),
        ({}, {"total": 0.0}, "no tag sluice.holdout.digest with the metrics"),
        ({hold_out.CORRECT: "%"}, {}, "not base64"),
        ({hold_out.CORRECT: "AAAA"}, {}, "not of 14 right rows of 21"),
        ({}, {"correct": 13.0}, "not of 13 right rows of 21"),
        ({}, {"total": 16.0}, "not of 14 right rows of 16"),
    ],
)
def test_tags_that_do_not_fit_are_not_used(changed: dict[str, str], metrics: dict[str, float], words: str) -> None:
    """They may be of another hold-out."""
    tags = hold_out.tags(IRIS, [True, False, True] * 7)
    with pytest.raises(hold_out.UnreadableError, match=words):
        hold_out.read({**tags, **changed}, {"correct": 14.0, "total": 21.0, **metrics})


def test_a_hold_out_without_bits_says_why() -> None:
    tags = hold_out.tags(IRIS, [True] * (hold_out.MOST_ROWS + 1))
    with pytest.raises(hold_out.UnreadableError, match="48000 rows do not fit"):
        hold_out.read(tags, {"correct": 48_001.0, "total": 48_001.0})
