"""The workflows of .github before actionlint, with shellcheck for their scripts."""

import subprocess
import sys
from pathlib import Path

import pytest

from dev.api_server import ROOT
from dev.programs import find_program

WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def actionlint(*files: Path) -> subprocess.CompletedProcess[str]:
    try:
        program = find_program("actionlint")
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    shellcheck = f"-shellcheck={Path(sys.executable).with_name('shellcheck')}"
    command = [program, "-oneline", shellcheck, *map(str, files)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_actionlint_finds_nothing() -> None:
    """Neither in expressions, types of inputs and permissions, nor in the shell scripts."""
    done = actionlint(*WORKFLOWS)
    assert (done.returncode, done.stdout) == (0, "")


def test_actionlint_reads_scripts(tmp_path: Path) -> None:
    """The test above would pass if it did not find shellcheck, or looked at nothing."""
    workflow = tmp_path / "wrong.yml"
    steps = "[{run: 'echo ${{ github.nothing }}'}, {run: 'cat $(ls)'}]"
    workflow.write_text(f"on: push\njobs: {{a: {{runs-on: ubuntu-latest, steps: {steps}}}}}\n")
    found = actionlint(workflow).stdout
    assert '"nothing" is not defined' in found
    assert "SC2046" in found
