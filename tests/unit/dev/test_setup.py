"""dev/setup.sh as a newcomer calls it, and dev/setup.ps1 as a parser of PowerShell reads it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import tree_sitter_powershell
from tree_sitter import Language, Node, Parser

ROOT = Path(__file__).parents[3]
POWERSHELL = ROOT / "dev" / "setup.ps1"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A folder with the script, and a `make` that makes an environment with one program."""
    (tmp_path / "dev").mkdir()
    shutil.copy(ROOT / "dev" / "setup.sh", tmp_path / "dev")
    shutil.copy(ROOT / ".env.example", tmp_path)
    programs = tmp_path / "programs"
    programs.mkdir()
    make = programs / "make"
    make.write_text('#!/bin/sh\necho "make $*"\nmkdir -p .venv/bin\nln -sf /bin/echo .venv/bin/python\n')
    make.chmod(0o755)
    (programs / "python3.11").symlink_to(sys.executable)
    return tmp_path


def setup(checkout: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    path = f"{checkout}/programs:/usr/bin:/bin"
    environment = {"PATH": path, "HOME": str(checkout), "GIT_CEILING_DIRECTORIES": str(checkout.parent), **variables}
    command = [str(checkout / "dev" / "setup.sh")]
    return subprocess.run(command, env=environment, cwd="/", capture_output=True, text=True, check=False)


def test_setup_makes_the_environment_and_env(checkout: Path) -> None:
    """With the first Python that is new enough, from whatever folder it is called."""
    done = setup(checkout)
    assert done.returncode == 0, done.stderr
    assert "make --silent .venv/installed PYTHON=python3.11" in done.stdout
    assert "-m sluice_trainer validate --sample" in done.stdout
    assert (checkout / ".env").read_text() == (checkout / ".env.example").read_text()


def test_setup_again_changes_no_settings(checkout: Path) -> None:
    """Whoever has written a .env keeps it."""
    (checkout / ".env").write_text("LOG_LEVEL=DEBUG\n")
    assert setup(checkout).returncode == 0
    assert (checkout / ".env").read_text() == "LOG_LEVEL=DEBUG\n"


def test_setup_says_what_is_missing(checkout: Path) -> None:
    """And how to get it; nothing is made then."""
    (checkout / "programs" / "python3.11").unlink()
    for name in ("python3.11", "python3.12", "python3.13", "python3", "python"):
        (checkout / "programs" / name).write_text("#!/bin/sh\nexit 1\n")
        (checkout / "programs" / name).chmod(0o755)
    done = setup(checkout)
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed" in done.stderr
    assert not (checkout / ".env").exists()


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.children:
        yield from nodes(child)


def parsed(text: str) -> Node:
    return Parser(Language(tree_sitter_powershell.language())).parse(text.encode()).root_node


def test_the_script_for_windows_is_powershell() -> None:
    """By a parser that is not Microsoft's: the script itself is run by the job `setup` of ci on Windows only."""
    tree = parsed(POWERSHELL.read_text(encoding="utf-8"))
    assert [each.text for each in nodes(tree) if each.is_error or each.is_missing] == []
    functions = {
        each.text.decode().split()[1] for each in nodes(tree) if each.type == "function_statement" and each.text
    }
    assert functions == {"Test-Python", "Find-Python", "Invoke-Checked"}


def test_the_parser_finds_mistakes() -> None:
    """The test above would pass if it found none."""
    assert parsed(POWERSHELL.read_text(encoding="utf-8").replace("{", "", 1)).has_error


def test_the_script_for_windows_installs_as_make_does() -> None:
    """With the same flags, in the same order; and it has no letter that an old PowerShell would read otherwise."""
    script = POWERSHELL.read_text(encoding="utf-8")
    assert script.isascii()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    for words in re.findall(r"python -m pip (install --quiet .*)$", makefile, re.MULTILINE):
        flags = set(re.findall(r"--[a-z-]+", words))
        assert {flag for flag in flags if f'"{flag}"' not in script} == set()


def test_dev_setup_is_executable() -> None:
    """It is called as a program."""
    assert os.access(ROOT / "dev" / "setup.sh", os.X_OK)
