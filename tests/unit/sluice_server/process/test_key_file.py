"""Keys of prediction ids are read again: a Secret that was made anew reaches pods that go on serving."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice_server.inference.prediction_ids import FeedbackError, Keyring, PredictionId
from sluice_server.process.key_file import LOOK_AGAIN, KeyFile, keys
from sluice_server.variables import SettingError

OLD, NEW = b"o" * 32, b"n" * 32
NOW, WEEK = 1_800_000_000, 7 * 86_400.0
PREDICTION = PredictionId("abcdefghij", "gateway", NOW, b"12345678", False, b"1234")


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def _pod(file: Path, key: bytes = OLD) -> tuple[KeyFile, Clock]:
    clock = Clock()
    file.write_bytes(key)
    return KeyFile(file, Keyring(key), clock), clock


def test_labels_are_counted_after_a_secret_was_made_anew(tmp_path: Path) -> None:
    """Ids of a new pod are read by one that began with the old key, and its own old ids as well."""
    pod, clock = _pod(tmp_path / "key")
    before, from_new_pod = pod.issue(PREDICTION), Keyring(NEW).issue(PREDICTION)
    (tmp_path / "key").write_bytes(NEW)
    with pytest.raises(FeedbackError):
        pod.read(from_new_pod, NOW, WEEK)
    clock.now += LOOK_AGAIN
    assert pod.read(from_new_pod, NOW, WEEK) == PREDICTION
    assert pod.read(before, NOW, WEEK) == PREDICTION
    assert Keyring(NEW).read(pod.issue(PREDICTION), NOW, WEEK) == PREDICTION


@pytest.mark.parametrize("damage", [b"", b"short", None])
def test_a_file_that_cannot_be_used_changes_nothing(tmp_path: Path, damage: bytes | None) -> None:
    """An empty key would let anybody sign; a file may be gone while it is replaced."""
    pod, clock = _pod(tmp_path / "key")
    identifier = pod.issue(PREDICTION)
    (tmp_path / "key").unlink() if damage is None else (tmp_path / "key").write_bytes(damage)
    clock.now += LOOK_AGAIN
    assert pod.read(identifier, NOW, WEEK) == PREDICTION


def test_without_a_file_feedback_is_off_and_a_short_key_ends_the_start(tmp_path: Path) -> None:
    """The first is a choice, the second a mistake."""
    assert keys(tmp_path / "key") is None
    (tmp_path / "key").write_bytes(b"short")
    with pytest.raises(SettingError, match="at least 16 bytes"):
        keys(tmp_path / "key")


def test_the_file_is_not_read_with_each_request(tmp_path: Path) -> None:
    """A look costs two reads, at most every five seconds."""
    pod, clock = _pod(tmp_path / "key")
    (tmp_path / "key").write_bytes(NEW)
    clock.now += LOOK_AGAIN - 0.1
    with pytest.raises(FeedbackError):
        pod.read(Keyring(NEW).issue(PREDICTION), NOW, WEEK)
