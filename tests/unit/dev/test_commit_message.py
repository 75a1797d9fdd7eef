"""The hook that checks commit messages."""

from pathlib import Path

import pytest

from dev.commit_message import MOST_CHARACTERS, complaint, main, subject

LONGEST = "x" * MOST_CHARACTERS


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        ("Rules: one more\n", "Rules: one more"),
        ("\n\nRules: one more\n\nWhy: it was missing.\n", "Rules: one more"),
        ("# a comment of git\nRules: one more\n# another\n", "Rules: one more"),
        ("Rules: one\nmore\n\nWhy\n", "Rules: one more"),
        ("Rules: one more\r\n\r\nWhy\r\n", "Rules: one more"),
        ("# nothing but comments\n", ""),
        ("", ""),
    ],
)
def test_subject_is_the_first_paragraph_without_comments(message: str, expected: str) -> None:
    """As `git log --format=%s` shows it."""
    assert subject(message) == expected


@pytest.mark.parametrize("body", ["", "\n\n" + "a body of any length " * 20])
def test_subject_of_72_characters_is_accepted(body: str) -> None:
    """The body is not measured."""
    assert complaint(LONGEST + body) == ""


@pytest.mark.parametrize("message", [LONGEST + "x", LONGEST + "\nx"])
def test_longer_subject_is_refused_with_its_length(message: str) -> None:
    """Also if it is spread over lines, because git joins them."""
    assert complaint(message).startswith(f"the subject has {len(subject(message))} characters")


def test_characters_are_counted_and_not_bytes() -> None:
    """An umlaut is one character."""
    assert complaint("ü" * MOST_CHARACTERS) == ""


@pytest.mark.parametrize("prefix", ["fixup! ", "squash! ", "amend! "])
def test_subject_that_a_rebase_removes_may_be_longer(prefix: str) -> None:
    """It repeats the subject of the commit that it is merged into."""
    assert complaint(prefix + LONGEST) == ""


@pytest.mark.parametrize(("message", "code"), [(LONGEST, 0), (LONGEST + "x", 1)])
def test_exit_code_1_refuses_the_commit(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], message: str, code: int
) -> None:
    """The reason is on standard error, where git shows it."""
    file = tmp_path / "COMMIT_EDITMSG"
    file.write_text(message, encoding="utf-8")
    assert main([str(file)]) == code
    assert capsys.readouterr().err == (complaint(message) + "\n" if code else "")
