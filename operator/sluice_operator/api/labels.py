"""Whether a text can be a label selector, as the API server reads one. Pure."""

import re

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?"
_KEY = rf"(?:[a-z0-9](?:[a-z0-9.-]{{0,251}}[a-z0-9])?/)?{_NAME}"
_VALUE = rf"(?:{_NAME})?"
_ONE_OF = rf"\s+(?:in|notin)\s*\(\s*{_VALUE}\s*(?:,\s*{_VALUE}\s*)*\)"
_REQUIREMENT = rf"\s*(?:!\s*{_KEY}|{_KEY}(?:\s*(?:==?|!=)\s*{_VALUE}|{_ONE_OF}|\s*[<>]\s*-?[0-9]+)?)\s*"
_SELECTOR = re.compile(rf"{_REQUIREMENT}(?:,{_REQUIREMENT})*")


def is_selector(text: str) -> bool:
    """Such as `team=a,!legacy,tier in (one, two)`."""
    return _SELECTOR.fullmatch(text) is not None
