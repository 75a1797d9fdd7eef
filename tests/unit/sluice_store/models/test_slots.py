"""Who may send a model now."""

from __future__ import annotations

from sluice_store.models.slots import Slots


def taken(slots: Slots, namespace: str) -> int:
    """How many it gets when it asks for as many as there are."""
    return sum(slots.take(namespace) for _ in range(20))


def test_one_namespace_gets_half_and_the_next_half_of_the_rest() -> None:
    """So the fourth one, too, finds a free slot."""
    slots = Slots(8)
    assert [taken(slots, namespace) for namespace in "abcd"] == [4, 2, 1, 1]


def test_a_slot_that_is_given_back_goes_to_whoever_has_fewer() -> None:
    """And not again to the one that has many."""
    slots = Slots(8)
    for namespace in "abcd":
        taken(slots, namespace)
    slots.give("b")
    assert [taken(slots, namespace) for namespace in "ae"] == [0, 1]
    for _ in range(4):
        slots.give("a")
    assert taken(slots, "a") > 0
