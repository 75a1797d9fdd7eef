"""Prediction ids: signed and self-contained, so that any pod can count a label for the right revision.

An id holds the format version, the key's id, the revision and entry that predicted, the issue time, a random request
id and what each row got. For a class that is a hash of the predicted label, not its index, because the pod that gets
the label may serve a model with another list of classes; for a number it is the number itself, and the tolerance that
its revision has. Signed with HMAC-SHA256; base64url without padding. Pure: time and randomness are arguments.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
import re
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

import msgspec

from sluice_server.tolerance import Tolerance

MAX_ROWS = 64
_CLASSES, _NUMBERS = 1, 2  # formats: what the rows got
_HEAD = struct.Struct(">BBBBI8s")  # format, key id, flags, length of revision, issue time, request id
_HASH = 4  # bytes per row: two labels of one model meet by chance once in 4e9
_NUMBER_OF_ROW = struct.Struct(">d")
_TOLERANCE = struct.Struct(">d?")  # before the numbers
_WIDTHS = {_CLASSES: _HASH, _NUMBERS: _NUMBER_OF_ROW.size}  # bytes per row
_MAC = 16
_GATEWAY, _TEXT, _KEPT = 1, 2, 4
_EXACT = 2.0**53  # whole numbers below are the same as float and as int
_CLOCK_SKEW = 300.0  # seconds that another node's clock may be ahead

_NUMBER = re.compile(r" *-?[0-9]+(\.[0-9]+)?([eE][+-]?[0-9]+)? *")
_SHOWN = 50  # characters of a label

Label = bool | int | float | str


class FeedbackError(ValueError):
    """A prediction id or label that cannot be counted; `location` leads to it, the message says why."""

    def __init__(self, location: tuple[str | int, ...], message: str) -> None:
        super().__init__(message)
        self.location = location


class LabelError(ValueError):
    """A label that is not of the kind of the model's classes."""


class PredictionId(msgspec.Struct, frozen=True, gc=False):
    """What an id contains: who predicted what, and when (seconds since the epoch).

    `got`: what each row got: hashes of labels (`text`: of a model whose classes are text), or, where there is a
    `tolerance`, the numbers as doubles with the first byte first. `kept`: the store keeps the rows, and wants to know
    the labels themselves.
    """

    revision: str
    entry: str
    issued: int
    request: bytes
    text: bool
    got: bytes
    kept: bool = False
    tolerance: Tolerance | None = None

    @property
    def format(self) -> int:
        return _CLASSES if self.tolerance is None else _NUMBERS

    @property
    def rows(self) -> int:
        return len(self.got) // _WIDTHS[self.format]

    def is_right(self, row: int, label: Label) -> bool:
        """Whether the label is the predicted class; raises LabelError for a label of the wrong kind."""
        return self.got[row * _HASH : (row + 1) * _HASH] == label_hash(canonical(label, self.text))

    def error(self, row: int, label: Label) -> float:
        """How far the predicted number is above the label; raises LabelError for a label that is no number."""
        (number,) = _NUMBER_OF_ROW.unpack_from(self.got, row * _NUMBER_OF_ROW.size)
        return float(number - float(canonical(label, text=False)))

    def label(self, label: Label) -> str | int | float:
        """The label as it is kept: a text where classes are text, else the number; raises LabelError."""
        spelling = canonical(label, self.text)
        if self.text:
            return spelling.decode()
        number = float(spelling)
        return int(number) if number.is_integer() and abs(number) < _EXACT else number


class Keys(Protocol):
    """Signs prediction ids, and reads those that were signed with one of its keys."""

    def issue(self, prediction: PredictionId) -> str: ...

    def read(self, text: str, now: float, max_age: float) -> PredictionId: ...


@dataclass(frozen=True, slots=True)
class Keyring:
    """The key that signs, and the one before it that is still accepted while keys are changed."""

    current: bytes
    previous: bytes | None = None

    def issue(self, prediction: PredictionId) -> str:
        """The id for a prediction of at most MAX_ROWS rows."""
        revision = prediction.revision.encode()
        flags = (_GATEWAY if prediction.entry == "gateway" else 0) | (_TEXT if prediction.text else 0)
        flags |= _KEPT if prediction.kept else 0
        head = _HEAD.pack(
            prediction.format, _key_id(self.current), flags, len(revision), prediction.issued, prediction.request
        )
        allowed = prediction.tolerance
        within = b"" if allowed is None else _TOLERANCE.pack(allowed.by, allowed.relative)
        signed = head + revision + within + prediction.got
        return base64.urlsafe_b64encode(signed + _mac(self.current, signed)).rstrip(b"=").decode()

    def read(self, text: str, now: float, max_age: float) -> PredictionId:
        """What the id contains; raises FeedbackError if it was not issued with one of the keys, or too long ago."""
        raw = _decode(text)
        signed, mac = raw[:-_MAC], raw[-_MAC:]
        keys = [key for key in (self.current, self.previous) if key is not None and _key_id(key) == raw[1]]
        if not any(hmac.compare_digest(_mac(key, signed), mac) for key in keys):
            raise FeedbackError(("prediction_id",), "this id was not issued here, or was changed")
        form, _, flags, length, issued, request = _HEAD.unpack_from(signed)
        revision, got = signed[_HEAD.size : _HEAD.size + length], signed[_HEAD.size + length :]
        if now - issued > max_age:
            hours = (now - issued) / 3600
            raise FeedbackError(
                ("prediction_id",), f"the id is {hours:.0f} h old, and {max_age / 3600:.0f} h is the limit"
            )
        if issued - now > _CLOCK_SKEW:
            raise FeedbackError(("prediction_id",), "the id is from the future: compare the clocks of the nodes")
        entry = "gateway" if flags & _GATEWAY else "cluster"
        allowed = Tolerance(*_TOLERANCE.unpack_from(got)) if form == _NUMBERS else None
        got = got if allowed is None else got[_TOLERANCE.size :]
        of_text, kept = bool(flags & _TEXT), bool(flags & _KEPT)
        return PredictionId(revision.decode(), entry, issued, request, of_text, got, kept, allowed)


def canonical(label: Label, text: bool) -> bytes:
    """One spelling per label: 1, 1.0, true and "1" are the same number; text must be text. Raises LabelError."""
    if text:
        if not isinstance(label, str):
            raise LabelError(f"the model's classes are text, and {_shown(label)} is not: send the class name")
        return label.encode()
    number = _number(label)
    if not math.isfinite(number):
        raise LabelError(f"the model answers numbers, and {_shown(label)} is none: send the true number")
    return (str(int(number)) if number.is_integer() else repr(number)).encode()


def _number(label: Label) -> float:
    """A number, or a text that JSON reads as one, spaces apart; else NaN. Python would read "0_0" and Arabic digits."""
    if isinstance(label, str) and not _NUMBER.fullmatch(label):
        return math.nan
    try:
        return float(label)
    except OverflowError:
        return math.nan


def _shown(label: Label) -> str:
    text = repr(label)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def label_hash(spelling: bytes) -> bytes:
    """The hash of a canonical label that goes into an id."""
    return hashlib.blake2b(spelling, digest_size=_HASH).digest()


def class_hashes(classes: tuple[Label, ...]) -> tuple[bytes, ...]:
    """The hash of each class of a model, in the order of its classes."""
    text = are_text(classes)
    return tuple(label_hash(canonical(label, text)) for label in classes)


def are_text(classes: tuple[Label, ...]) -> bool:
    """Whether a model's classes are strings."""
    return any(isinstance(label, str) for label in classes)


def _decode(text: str) -> bytes:
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if (
        len(raw) < _HEAD.size + _HASH + _MAC
        or raw[0] not in _WIDTHS
        or len(raw) > _HEAD.size + 255 + _TOLERANCE.size + MAX_ROWS * _WIDTHS[raw[0]] + _MAC
    ):
        raise FeedbackError(
            ("prediction_id",), "this is not a prediction id: send the one of the /predict answer, unchanged"
        )
    return raw


@lru_cache
def _key_id(key: bytes) -> int:
    return hashlib.sha256(b"key id" + key).digest()[0]


def _mac(key: bytes, signed: bytes) -> bytes:
    keyed = _keyed(key).copy()
    keyed.update(signed)
    return keyed.digest()[:_MAC]


@lru_cache
def _keyed(key: bytes) -> hmac.HMAC:
    """The HMAC of nothing yet: taking in the key costs more than all the rest."""
    return hmac.new(key, digestmod="sha256")
