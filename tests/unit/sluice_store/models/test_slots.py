"""Who may send a model now, and who must stop."""

from __future__ import annotations

from itertools import takewhile

from sluice_store.models.slots import FAST, GUARANTEED, Slots, Upload


def taken(slots: Slots, namespace: str) -> list[Upload]:
    """What it gets when it asks for as many as there are."""
    return [upload for upload in takewhile(bool, (slots.take(namespace) for _ in range(20))) if upload]


def ended(uploads: list[Upload]) -> list[int]:
    """Which of them must end."""
    return [at for at, upload in enumerate(uploads) if upload.ends_for]


def test_the_namespaces_share_the_slots() -> None:
    """As they share everything else; asking for more ends nothing of the others."""
    slots = Slots(8)
    uploads = [taken(slots, namespace) for namespace in "abcd"]
    assert [len(each) for each in uploads] == [4, 2, 1, 1]
    assert [ended(each) for each in uploads] == [[], [], [], []]
    slots.give(uploads[1][0])
    assert [len(taken(slots, namespace)) for namespace in "ae"] == [0, 1]


def test_a_namespace_without_a_slot_gets_one_of_those_that_have_several() -> None:
    """The newest one, which has least to lose. Asking again ends no second one, and others ask for themselves."""
    slots = Slots(8)
    first, second, *_ = [taken(slots, namespace) for namespace in "abcd"]
    assert [slots.take(namespace) for namespace in "eef"] == [None] * 3
    assert (ended(first), ended(second)) == ([2, 3], [])
    assert [upload.ends_for for upload in first[2:]] == ["f", "e"]
    slots.give(first[3])
    assert slots.take("a") is None
    assert slots.take("e") is not None
    assert [slots.take("g") for _ in range(2)] == [None] * 2
    assert (ended(first[:3]), ended(second)) == ([2], [1])


def test_slow_uploads_make_room_when_each_namespace_has_one() -> None:
    """The slowest, after the time that each of them has. One that comes fast is left alone, however large it is."""
    slots = Slots(4)
    uploads = [upload for namespace in "abcd" if (upload := slots.take(namespace))]
    for upload in uploads:
        upload.came, upload.waited = 1, GUARANTEED - 1
    slots.take("e")
    assert ended(uploads) == []
    for upload, rate in zip(uploads, (1.0, 0.2, 0.1, 2.0), strict=True):
        upload.came, upload.waited = round(rate * FAST * GUARANTEED), GUARANTEED
    slots.take("e")
    assert ended(uploads) == [2]
    slots.take("f")
    slots.take("g")
    assert ended(uploads) == [1, 2]
