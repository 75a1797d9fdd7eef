"""One variable of the environment, read as what it should be.

A value that cannot be used raises `SettingError` with a sentence that names the variable.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from enum import StrEnum
from typing import TypeVar

Number = TypeVar("Number", int, float)
Choice = TypeVar("Choice", bound=StrEnum)

_HEADER_NAME = re.compile(r"[A-Za-z0-9-]{1,64}")


class SettingError(ValueError):
    """A variable of the environment that cannot be used; the message names it and says what to write."""


def required(env: Mapping[str, str], name: str, example: str) -> str:
    """The text of a variable that has to be there. `example`: what it needs, in words."""
    value = env.get(name, "").strip()
    if not value:
        raise SettingError(f"{name} is not set: it needs {example}.")
    return value


def number(
    env: Mapping[str, str], name: str, kind: type[Number], default: Number, lowest: Number, highest: Number
) -> Number:
    """A number from `lowest` to `highest`."""
    text = env.get(name, "").strip()
    if not text:
        return default
    what = "a whole number" if kind is int else "a number"
    sentence = f"{name} is {text!r}: it must be {what} from {lowest:g} to {highest:g}."
    try:
        value = kind(text)
    except ValueError:
        raise SettingError(sentence) from None
    if not lowest <= value <= highest:
        raise SettingError(sentence)
    return value


def choice(env: Mapping[str, str], name: str, kind: type[Choice], default: Choice) -> Choice:
    """One of the values of an enumeration."""
    text = env.get(name, "").strip()
    if not text:
        return default
    try:
        return kind(text)
    except ValueError:
        raise SettingError(f"{name} is {text!r}: it must be one of {', '.join(kind)}.") from None


def names(env: Mapping[str, str], variable: str) -> tuple[str, ...]:
    """What a variable lists, separated by commas."""
    return tuple(name.strip() for name in env.get(variable, "").split(",") if name.strip())


def flag(env: Mapping[str, str], name: str) -> bool:
    """`true` or `false`; false where it is not set."""
    text = env.get(name, "").strip().lower()
    if text not in {"", "true", "false"}:
        raise SettingError(f"{name} is {text!r}: it must be true or false.")
    return text == "true"


def header(env: Mapping[str, str], name: str, default: str) -> str:
    """The name of an HTTP header."""
    value = env.get(name, "").strip() or default
    if not _HEADER_NAME.fullmatch(value):
        raise SettingError(f"{name} is {value!r}: a header name has letters, digits and '-' only.")
    return value
