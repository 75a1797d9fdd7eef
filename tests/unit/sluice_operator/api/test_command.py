"""The annotation that holds a command, and who wrote it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from sluice_operator.api.command import Asked, Command, Verb, asked, parse, text_of

TEXT = "abort/k3v9q2x7ma/1/2026-03-01T12:00:00Z"


def body(*managers: dict[str, Any], text: str = TEXT) -> dict[str, Any]:
    return {"metadata": {"annotations": {"sluice.dev/command": text}, "managedFields": list(managers)}}


def wrote(manager: str, time: str, key: str = "f:sluice.dev/command") -> dict[str, Any]:
    """An entry of managedFields, as the API server keeps it."""
    fields: dict[str, Any] = {"f:metadata": {"f:annotations": {".": {}, key: {}}}}
    return {"manager": manager, "operation": "Update", "time": time, "fieldsV1": fields}


def test_a_command_has_a_verb_a_revision_a_step_and_a_time() -> None:
    """In the order that docs/commands.md gives."""
    assert parse(TEXT) == Command(Verb.ABORT, "k3v9q2x7ma", 1)


@pytest.mark.parametrize("verb", list(Verb))
def test_what_is_written_is_read(verb: Verb) -> None:
    """Two commands within a second differ, because the whole text is the id."""
    now = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)
    text = text_of(verb, "k3v9q2x7ma", 2, now)
    assert text.endswith("/2026-03-01T12:00:00.250Z")
    assert parse(text) == Command(verb, "k3v9q2x7ma", 2)


@pytest.mark.parametrize(
    "text", ["abort", "abort/rev/one/2026-03-01T12:00:00Z", "abort/rev/1/soon", "abort/rev/1", "/".join("abcdefg")]
)
def test_another_text_is_no_command(text: str) -> None:
    """The message says what to write."""
    with pytest.raises(ValueError, match="is not a command: write <verb>/<revision>/<step>/<time>, such as abort/"):
        parse(text)


@pytest.mark.parametrize("text", ["x" * 201, "\x01" * 250_000 + "/x/0/2026-03-01T12:00:00Z"])
def test_a_long_text_is_refused_and_not_repeated(text: str) -> None:
    """A refusal is stored in status."""
    with pytest.raises(ValueError, match=f"at most 200 characters, and this text {len(text)}: write") as refused:
        parse(text)
    assert len(str(refused.value)) < 250


def test_a_revision_is_one_word() -> None:
    """What is repeated in messages and Events holds no control characters."""
    with pytest.raises(ValueError, match="is not the name of a revision"):
        parse("abort/\x1b]0;you/0/2026-03-01T12:00:00Z")


def test_an_unknown_verb_is_refused_with_the_known_ones() -> None:
    """People guess words."""
    with pytest.raises(ValueError, match="'stop' is not a verb: write one of promote, promote-full, abort"):
        parse("stop/k3v9q2x7ma/1/2026-03-01T12:00:00Z")


def test_the_manager_of_the_annotation_asked() -> None:
    """The newest one that wrote this annotation, with the time of the API server."""
    found = asked(
        body(
            wrote("argocd-server", "2026-03-01T11:00:00Z"),
            wrote("kubectl-sluice:jane", "2026-03-01T12:00:01Z"),
            wrote("kubectl-edit", "2026-03-01T13:00:00Z", key="f:other"),
        )
    )
    assert found == Asked(TEXT, "kubectl-sluice:jane", datetime(2026, 3, 1, 12, 0, 1, tzinfo=UTC))


def test_an_object_without_managed_fields_has_a_command_by_nobody() -> None:
    """Some tools remove managedFields."""
    assert asked(body()) == Asked(TEXT, "", None)


def test_an_object_without_the_annotation_has_no_command() -> None:
    """With or without other annotations."""
    assert asked({"metadata": {}}) is None
    assert asked({"metadata": {"annotations": {"a": "b"}}}) is None


def test_a_long_text_has_a_short_id() -> None:
    """Status stores it, and an annotation can have 256 kB."""
    assert len(Asked("x" * 100_000).id) == 200
