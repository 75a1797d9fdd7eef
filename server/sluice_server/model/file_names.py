"""Which names the files of a model may have, wherever they come from."""

from __future__ import annotations

MAX_NAME = 1_000  # bytes of a path


def is_inside(path: str) -> bool:
    """Whether a name stays below the folder that it is put into, on every file system.

    The store takes no other names either, so that no model is refused there again and again.
    """
    unsafe = any(character in path for character in "\\:\0") or not path.isprintable()
    long = len(path.encode(errors="replace")) > MAX_NAME
    return not unsafe and not long and all(part not in ("", ".", "..") for part in path.split("/"))
