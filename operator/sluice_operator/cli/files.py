"""Files that a command writes at its end: whether it can is looked at when it begins."""

import os
from pathlib import Path

from sluice_operator.cli.cluster import CommandError


def check_writable(path: str | None) -> None:
    """Raises CommandError if nothing can be written to `path`; None is no file, and fine."""
    if path is None:
        return
    file = Path(path)
    folder = file.parent
    if file.is_dir() or not folder.is_dir():
        why = "it is a folder" if file.is_dir() else f"there is no folder {folder}"
        raise CommandError(f"{path} cannot be written: {why}")
    if not os.access(file if file.exists() else folder, os.W_OK):
        raise CommandError(f"{path} cannot be written: permission denied")


def write(path: str, text: str) -> None:
    """Raises CommandError."""
    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise CommandError(f"{path} cannot be written: {error.strerror}") from error
