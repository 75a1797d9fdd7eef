"""The folder of a model as a whole: emptied before another try, since its digest covers all that is in it."""

from __future__ import annotations

import shutil
from pathlib import Path

from sluice_server.model import manifest
from sluice_server.variables import SettingError

INCOMING = ".incoming"  # what comes from the store, until its digest was checked


def made_anew(folder: Path) -> Path:
    """The folder without what an earlier try left in it; nothing of that may get into a digest."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def empty(folder: Path) -> None:
    """Removes what an earlier try left; raises SettingError for a folder that holds something else."""
    folder.mkdir(parents=True, exist_ok=True)
    found = list(folder.iterdir())
    if found and not {path.name for path in found} & {manifest.FILES, manifest.NAME, INCOMING}:
        raise SettingError(
            f"SLUICE_MODEL_DIR is {str(folder)!r}, which holds {found[0].name!r} and no model: name a folder of its "
            "own, because it is emptied first."
        )
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
