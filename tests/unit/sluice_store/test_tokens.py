"""Tokens: what proves a namespace, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_store import tokens

KEY = b"k" * 32


@pytest.mark.parametrize("namespace", ["models", "team-a", "a", "n" * 63, tokens.EVERYWHERE])
def test_a_token_is_of_its_namespace(namespace: str) -> None:
    """Whoever holds the key can make it, and the store needs no list."""
    assert tokens.namespace_of(KEY, tokens.make(KEY, namespace)) == namespace


def test_another_key_makes_other_tokens() -> None:
    """A changed key ends all tokens that were made with it."""
    assert tokens.namespace_of(b"x" * 32, tokens.make(KEY, "models")) is None


def test_a_token_cannot_be_moved_to_another_namespace() -> None:
    """Nor to all of them."""
    proof = tokens.make(KEY, "team-a").partition(".")[2]
    assert tokens.namespace_of(KEY, f"team-b.{proof}") is None
    assert tokens.namespace_of(KEY, f"{tokens.EVERYWHERE}.{proof}") is None


@given(st.text())
def test_no_other_text_is_a_token(text: str) -> None:
    """Whatever a client sends is answered, and opens nothing."""
    assert tokens.namespace_of(KEY, text) is None
    assert tokens.namespace_of(KEY, f"models.{text}") is None


@pytest.mark.parametrize("name", ["", "Models", "a/b", "..", "-a", "n" * 64, "_shared", "a\n"])
def test_what_cannot_be_a_namespace_gets_no_token(name: str) -> None:
    """A namespace becomes a folder."""
    assert not tokens.is_scope(name)
