"""`python -m dev.commit_message FILE`: the hook that git calls with the message of a commit.

A subject of at most 72 characters is shown whole by `git log`, by mail and by web pages. What it leaves out belongs in
the body.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

MOST_CHARACTERS = 72
_MERGED_LATER = ("fixup! ", "squash! ", "amend! ")  # subjects that `git rebase --autosquash` removes


def subject(message: str) -> str:
    """The subject as git takes it: the first paragraph as one line, without comments. Empty if there is none."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("#")]
    text = "\n".join(lines).strip()
    return " ".join(text.partition("\n\n")[0].split("\n"))


def complaint(message: str) -> str:
    """What is wrong with the message of a commit, and what to do; empty if nothing is."""
    found = subject(message)
    if len(found) <= MOST_CHARACTERS or found.startswith(_MERGED_LATER):
        return ""
    return f"the subject has {len(found)} characters, at most {MOST_CHARACTERS} are allowed: move details to the body"


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 for a message that must be changed. `arguments`: the path of the file that holds it."""
    (path,) = arguments
    wrong = complaint(Path(path).read_text(encoding="utf-8"))
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
