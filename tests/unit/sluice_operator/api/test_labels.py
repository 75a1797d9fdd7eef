"""A label selector is refused at the start of the operator, and not at its first request."""

from __future__ import annotations

import pytest

from sluice_operator.api.labels import is_selector


@pytest.mark.parametrize(
    "text",
    ["team=a", "sluice.dev/shard==a,tier!=b", "team", "!team", "team in (a, b),tier notin (c)", "team=", "size>3"],
)
def test_what_the_api_server_reads_is_a_selector(text: str) -> None:
    """In each of its forms."""
    assert is_selector(text)


@pytest.mark.parametrize(
    "text", ["team=a b", "bad key=a", "team=a,", "=a", "team in a", "team=" + "a" * 64, "Team.Dev/a=b", "team=-a"]
)
def test_what_it_refuses_is_none(text: str) -> None:
    """A space, an empty part, a name that is too long."""
    assert not is_selector(text)
