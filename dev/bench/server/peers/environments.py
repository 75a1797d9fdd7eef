"""A virtual environment for each peer in the user's cache, made once for each set of pins."""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

_PATIENCE = 600.0  # seconds for one step of an installation
_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"


def cache() -> Path:
    """Where the environments are; that folder may be deleted at any time."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sluice" / "peers"


def folder(root: Path, name: str, pins: str, python: str = _PYTHON) -> Path:
    """The environment of these pins and this Python; others have another folder."""
    digest = hashlib.sha256(f"{python}\n{pins}".encode()).hexdigest()
    return root / f"{name}-{digest[:12]}"


def version(pins: str, package: str) -> str:
    """What the pins say about a package. Raises ValueError if they do not."""
    for line in pins.splitlines():
        name, equals, pinned = line.partition("#")[0].partition("==")
        if equals and name.strip() == package:
            return pinned.strip()
    raise ValueError(f"{package} has no pin")


def programs(root: Path, pins: Path) -> Path:
    """The folder of the environment's programs, installed first if it is not there. Raises RuntimeError."""
    made = folder(root, pins.stem, pins.read_text())
    done = made / "installed"
    if not done.exists():
        print(f"installing {pins.stem} into {made}", file=sys.stderr, flush=True)
        shutil.rmtree(made, ignore_errors=True)
        _uv("venv", "--python", sys.executable, str(made))
        _uv("pip", "install", "--python", str(made / "bin" / "python"), "-r", str(pins))
        done.touch()
    return made / "bin"


def _uv(*arguments: str) -> None:
    command = [sys.executable, "-m", "uv", "--quiet", *arguments]
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.CalledProcessError as error:
        raise RuntimeError(error.stderr.strip() or f"uv ended with {error.returncode}") from error
    except subprocess.TimeoutExpired as error:
        raise RuntimeError(f"it was not installed within {_PATIENCE:.0f} s") from error
