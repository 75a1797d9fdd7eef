"""Something that several namespaces share."""

from __future__ import annotations

from sluice_store.shares import Shares


def taken(shares: Shares, namespace: str) -> int:
    """How much it gets when it asks for as much as there is."""
    return sum(shares.take(namespace) for _ in range(20))


def test_one_namespace_gets_half_and_the_next_half_of_the_rest() -> None:
    """So the fourth one, too, finds something free."""
    shares = Shares(8)
    assert [taken(shares, namespace) for namespace in "abcd"] == [4, 2, 1, 1]


def test_what_is_given_back_goes_to_whoever_has_less() -> None:
    """And not again to the one that has much."""
    shares = Shares(8)
    for namespace in "abcd":
        taken(shares, namespace)
    shares.give("b")
    assert [taken(shares, namespace) for namespace in "ae"] == [0, 1]
    shares.give("a", 4)
    assert taken(shares, "a") > 0


def test_a_large_amount_is_as_fair_as_many_small_ones() -> None:
    """It is taken as a whole or not at all."""
    shares = Shares(100)
    assert [shares.take("a", 40), shares.take("a", 30), shares.take("a", 10)] == [True, False, True]
    assert [shares.take("b", 60), shares.take("b", 20)] == [False, True]
    assert [shares.taken(namespace) for namespace in "abc"] == [50, 20, 0]
