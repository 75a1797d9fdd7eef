"""`python -m dev.commit_message FILE`: the hook that git calls to check a commit message.

`git log`, mail and web pages show a subject of at most 72 characters in full. More details belong into the body.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

MOST_CHARACTERS = 72
_MERGED_LATER = ("fixup! ", "squash! ", "amend! ")  # subjects that `git rebase --autosquash` removes


def subject(message: str) -> str:
    """The subject as git reads it: the first paragraph as one line, without comments. Empty if there is none."""
    lines = [line.strip() for line in message.splitlines() if not line.startswith("#")]
    text = "\n".join(lines).strip()
    return " ".join(text.partition("\n\n")[0].split("\n"))


def complaint(message: str) -> str:
    """What is wrong with a commit message, and what to do; empty if nothing is wrong."""
    text = subject(message)
    if len(text) <= MOST_CHARACTERS or text.startswith(_MERGED_LATER):
        return ""
    return f"the subject has {len(text)} characters, at most {MOST_CHARACTERS} are allowed: move details to the body"


def main(arguments: Sequence[str]) -> int:
    """Exit code 1 for a message that must be changed. `arguments`: the path of the file with the message."""
    (path,) = arguments
    text = complaint(Path(path).read_text(encoding="utf-8"))
    if text:
        print(text, file=sys.stderr)
    return 1 if text else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
