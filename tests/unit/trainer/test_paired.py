import pytest
from scipy.stats import binomtest

from sluice_trainer import paired
from sluice_trainer.paired import Compared, Verdict


def compared(only_candidate: int, only_champion: int, both: int = 100) -> Compared:
    rows = [(True, False)] * only_candidate + [(False, True)] * only_champion + [(True, True)] * both
    return paired.compare([candidate for candidate, _ in rows], [champion for _, champion in rows])


@pytest.mark.parametrize(("only_candidate", "only_champion"), [(0, 0), (1, 0), (6, 0), (3, 9), (40, 41), (900, 800)])
def test_the_p_value_is_that_of_a_fair_coin(only_candidate: int, only_champion: int) -> None:
    """As the exact binomial test of scipy has it."""
    differ = only_candidate + only_champion
    expected = binomtest(only_candidate, differ).pvalue if differ else 1.0
    assert compared(only_candidate, only_champion).p_value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("only_candidate", "only_champion", "verdict"),
    [
        (6, 0, Verdict.BETTER),
        (0, 6, Verdict.WORSE),
        (5, 0, Verdict.CANNOT_TELL),
        (0, 0, Verdict.CANNOT_TELL),
        (30, 12, Verdict.BETTER),
        (26, 16, Verdict.CANNOT_TELL),
    ],
)
def test_the_verdict_needs_more_than_chance(only_candidate: int, only_champion: int, verdict: Verdict) -> None:
    """Six rows that all speak for one model are the fewest that say something."""
    assert compared(only_candidate, only_champion).verdict == verdict


def test_equally_good_models_are_told_apart_at_most_as_often_as_the_limit_says() -> None:
    """Over all ways in which 30 coins can fall, counted out."""
    found = [binomial(30, heads) for heads in range(31) if compared(heads, 30 - heads).verdict != Verdict.CANNOT_TELL]
    assert 0 < sum(found) <= paired.ALPHA


def binomial(coins: int, heads: int) -> float:
    ways = 1
    for number in range(heads):
        ways = ways * (coins - number) // (number + 1)
    return ways / (1 << coins)


def test_the_rows_that_both_have_right_only_move_the_accuracy() -> None:
    """The gain is a share of all rows, and the p-value is not changed by them."""
    few, many = compared(6, 0, both=4), compared(6, 0, both=94)
    assert (few.gain, many.gain) == (0.6, 0.06)
    assert few.p_value == many.p_value


def test_hold_outs_of_different_length_are_not_compared() -> None:
    with pytest.raises(ValueError, match="shorter"):
        paired.compare([True, False], [True])


def test_as_many_rows_as_a_tag_has_are_compared_exactly() -> None:
    """Numbers that no float could hold on the way do not matter."""
    assert compared(24_000, 23_999).p_value == pytest.approx(1.0)
    assert compared(24_000, 20_000).p_value < 1e-50
