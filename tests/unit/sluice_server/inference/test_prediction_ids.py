"""Prediction ids: who may issue them, how long they live, and what a label says about them."""

from __future__ import annotations

import base64
import struct

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_server.inference.prediction_ids import (
    FeedbackError,
    Keyring,
    Label,
    LabelError,
    PredictionId,
    are_text,
    class_hashes,
)
from sluice_server.tolerance import Tolerance

KEY, OTHER = b"k" * 32, b"o" * 32
NOW, WEEK = 1_800_000_000, 7 * 86_400.0


def prediction(classes: tuple[Label, ...], *indexes: int) -> PredictionId:
    hashes = class_hashes(classes)
    return PredictionId(
        "abcdefghij", "gateway", NOW, b"12345678", are_text(classes), b"".join(hashes[index] for index in indexes)
    )


def of_numbers(*numbers: float) -> PredictionId:
    got = struct.pack(f">{len(numbers)}d", *numbers)
    return PredictionId("abcdefghij", "gateway", NOW, b"12345678", False, got, tolerance=Tolerance(0.1, relative=True))


FLOWERS = prediction(("setosa", "versicolor"), 0, 1)
NUMBERS = prediction((0, 1, 2), 2)


def test_an_id_says_who_predicted_what_and_when() -> None:
    """Reading an id gives back all that it was issued for, at any pod with the key."""
    assert Keyring(KEY).read(Keyring(KEY).issue(FLOWERS), NOW, WEEK) == FLOWERS


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=64))
def test_an_id_has_the_numbers_that_were_predicted(numbers: list[float]) -> None:
    """To the last digit, and what counts as right: so any pod can judge a label, whatever it serves itself."""
    issued = Keyring(KEY).issue(of_numbers(*numbers))
    read = Keyring(KEY).read(issued, NOW, WEEK)
    assert (read, read.rows) == (of_numbers(*numbers), len(numbers))
    assert [read.error(row, 0) for row in range(read.rows)] == numbers


def test_the_error_of_a_number_is_its_distance_from_the_label() -> None:
    """Below it the error is negative; a label that is no number is refused."""
    predicted = of_numbers(41.5)
    assert (predicted.error(0, "40"), predicted.error(0, 43)) == (1.5, -1.5)
    with pytest.raises(LabelError, match="answers numbers"):
        predicted.error(0, "late")


def test_an_id_says_whether_its_rows_are_kept() -> None:
    """Then the pod that gets a label, whichever it is, sends the label itself to the store."""
    kept = msgspec.structs.replace(FLOWERS, kept=True)
    assert Keyring(KEY).read(Keyring(KEY).issue(kept), NOW, WEEK) == kept


@pytest.mark.parametrize(
    ("label", "value"), [(1, 1), (1.0, 1), ("1", 1), (True, 1), (1.5, 1.5), (2**60, 2.0**60), ("-1e300", -1e300)]
)
def test_a_number_has_one_spelling_when_it_is_kept(label: Label, value: float) -> None:
    """However a client writes it: who trains with it compares it with classes. What is large stays short."""
    kept = NUMBERS.label(label)
    assert (kept, type(kept)) == (value, type(value))


def test_a_text_is_kept_as_it_is() -> None:
    """Also if it looks like a number."""
    assert FLOWERS.label("1.0") == "1.0"
    with pytest.raises(LabelError):
        FLOWERS.label(1)


def test_an_id_for_one_row_is_short() -> None:
    """It travels in logs and URLs."""
    identifier = Keyring(KEY).issue(NUMBERS)
    assert len(identifier) <= 64
    assert identifier.replace("-", "").replace("_", "").isalnum()


def test_the_previous_key_is_believed_while_keys_change() -> None:
    """Ids of the old key are read, new ones are of the new key, and a forgotten key is forged."""
    old = Keyring(KEY).issue(NUMBERS)
    rotated = Keyring(OTHER, previous=KEY)
    assert rotated.read(old, NOW, WEEK) == NUMBERS
    assert rotated.issue(NUMBERS) == Keyring(OTHER).issue(NUMBERS)
    with pytest.raises(FeedbackError, match="not issued here"):
        Keyring(OTHER).read(old, NOW, WEEK)


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_changed_id_is_refused(position: int, change: int) -> None:
    """No byte can be changed without the signature telling."""
    raw = bytearray(base64.urlsafe_b64decode(Keyring(KEY).issue(FLOWERS) + "=="))
    raw[position % len(raw)] ^= change
    forged = base64.urlsafe_b64encode(bytes(raw)).rstrip(b"=").decode()
    with pytest.raises(FeedbackError) as refused:
        Keyring(KEY).read(forged, NOW, WEEK)
    assert refused.value.location == ("prediction_id",)


@given(st.text(max_size=200))
def test_any_other_text_is_no_id(text: str) -> None:
    """Nonsense is refused and never raises anything else."""
    with pytest.raises(FeedbackError):
        Keyring(KEY).read(text, NOW, WEEK)


def test_ids_expire_and_do_not_come_from_the_future() -> None:
    """Counted up to the limit, refused with the age behind it; five minutes of clock skew are borne."""
    identifier = Keyring(KEY).issue(NUMBERS)
    Keyring(KEY).read(identifier, NOW + WEEK, WEEK)
    Keyring(KEY).read(identifier, NOW - 299, WEEK)
    with pytest.raises(FeedbackError, match="169 h old, and 168 h is the limit"):
        Keyring(KEY).read(identifier, NOW + WEEK + 3600, WEEK)
    with pytest.raises(FeedbackError, match="future"):
        Keyring(KEY).read(identifier, NOW - 301, WEEK)


@pytest.mark.parametrize("label", [2, 2.0, "2", " 2 ", "2.0"])
def test_a_number_has_many_spellings(label: Label) -> None:
    """Clients send class numbers as they have them."""
    assert NUMBERS.is_right(0, label)


@pytest.mark.parametrize("label", [0, 1, 7, 2.5, True])
def test_another_number_is_wrong(label: Label) -> None:
    """Also one that the model has no class for: it cannot have been right."""
    assert not NUMBERS.is_right(0, label)


def test_rows_are_judged_one_by_one() -> None:
    """Each row has its own hash."""
    assert FLOWERS.rows == 2
    assert FLOWERS.is_right(0, "setosa")
    assert not FLOWERS.is_right(1, "setosa")


@pytest.mark.parametrize(
    ("issued", "label", "message"),
    [
        (NUMBERS, "virginica", "answers numbers"),
        (NUMBERS, "0_0", "answers numbers"),
        (NUMBERS, "\u0662", "answers numbers"),
        (NUMBERS, "nan", "answers numbers"),
        (NUMBERS, float("nan"), "answers numbers"),
        (NUMBERS, 10**400, "answers numbers"),
        (FLOWERS, 0, "classes are text"),
        (FLOWERS, True, "classes are text"),
    ],
)
def test_a_label_of_the_wrong_kind_is_a_mistake_not_a_wrong_prediction(
    issued: PredictionId, label: Label, message: str
) -> None:
    """A client that sends names where the model has numbers is told so; nothing is counted."""
    with pytest.raises(LabelError, match=message):
        issued.is_right(0, label)
