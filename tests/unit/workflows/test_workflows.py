"""What must be true of each workflow, beyond what actionlint finds (tests/contract/test_workflow_lint.py)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[3]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
PINNED = re.compile(r"uses: [\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
TARGET = re.compile(r"^([a-z-]+):.*## ", re.MULTILINE)


def workflow(path: Path) -> dict[Any, Any]:
    document: dict[Any, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return document


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(path)["jobs"].values():
        yield from job["steps"]


@pytest.fixture(params=WORKFLOWS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    found: Path = request.param
    return found


def test_each_action_is_pinned_by_its_commit(path: Path) -> None:
    """A tag can be moved to other code. The comment has the version, for people."""
    uses = [line.strip(" -") for line in path.read_text(encoding="utf-8").splitlines() if "uses:" in line]
    assert [line for line in uses if not PINNED.search(line)] == []


def test_a_workflow_may_only_read_unless_a_job_says_what_it_writes(path: Path) -> None:
    """And why, in a comment on the same line."""
    assert workflow(path)["permissions"] == {"contents": "read"}
    for line in path.read_text(encoding="utf-8").splitlines():
        if re.fullmatch(r"\s+[\w-]+: write\b.*", line):
            assert re.search(r"write # \S+", line), line


def test_nothing_from_outside_becomes_a_part_of_a_command(path: Path) -> None:
    """An expression in `run` is put into the script before the shell reads it; in `env` it is a value."""
    assert [step["run"] for step in steps(path) if "${{" in step.get("run", "")] == []


def test_a_checkout_leaves_no_token_behind(path: Path) -> None:
    """Whatever runs later in the job could read it from the folder."""
    kept = [
        step
        for step in steps(path)
        if "actions/checkout" in step.get("uses", "") and step.get("with", {}).get("persist-credentials") is not False
    ]
    assert kept == []


def test_each_job_ends_by_itself(path: Path) -> None:
    """Six hours, GitHub's default, is a long time for something that hangs."""
    assert [name for name, job in workflow(path)["jobs"].items() if "timeout-minutes" not in job] == []


def test_no_workflow_runs_code_of_strangers_with_secrets(path: Path) -> None:
    """As `pull_request_target` does; and one for pull requests uses none."""
    text = path.read_text(encoding="utf-8")
    triggers = workflow(path)[True]  # YAML's name for the key `on`
    assert "pull_request_target" not in triggers
    assert "pull_request" not in triggers or "secrets." not in text


def test_the_scripts_of_workflows_are_targets_and_files_of_the_project(path: Path) -> None:
    """So each can be run on a laptop, and is tested."""
    targets = set(TARGET.findall((ROOT / "Makefile").read_text(encoding="utf-8")))
    text = "\n".join(step.get("run", "") for step in steps(path))
    assert set(re.findall(r"(?:^|\(| )make ([a-z-]+)(?= PYTHON)", text, re.MULTILINE)) <= targets
    scripts = re.findall(r"(?:^|\s)(?:\./)?((?:dev/|\.ci/)[\w./-]+)", text)
    assert [script for script in scripts if not (ROOT / script).is_file()] == []


def test_all_workflows_of_the_guides_are_there() -> None:
    """And the tests above have found them."""
    assert {path.stem for path in WORKFLOWS} == {
        *("ci", "data-validation", "model-training", "deploy", "model-validation", "security", "release")
    }


LINUX_ONLY = re.compile(r"import (fcntl|resource|pwd|grp)\b|SIGKILL|SIGSTOP|os\.fork|os\.geteuid|\"/proc/|#!/")


def test_the_portable_tests_know_no_operating_system() -> None:
    """They run on macOS and Windows as well: what only Linux has stands in other folders."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    portable = makefile.partition("PORTABLE_TESTS =")[2].partition("\n\n")[0]
    folders = [ROOT / name for name in re.findall(r"tests/unit/[a-z_/]+", portable)]
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 50
    assert [str(path) for path in files if LINUX_ONLY.search(path.read_text(encoding="utf-8"))] == []
