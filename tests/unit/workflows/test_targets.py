"""The make targets that workflows call: which program they start, and that a variable stays one word of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
HOSTILE = "$(touch pwned) `touch pwned`; touch pwned \" ' | & $HOME"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """Programs of .venv that write down what they are called with."""
    for name in ("python", "pip-audit"):
        program = tmp_path / name
        where = str(tmp_path / "called")
        script = f"import json, sys\nopen({where!r}, 'w').write(json.dumps(sys.argv[1:]))\n"
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
    return tmp_path


def called(programs: Path, target: str, **variables: str) -> list[str]:
    """What the program was called with."""
    command = ["make", "--no-print-directory", "--old-file=.venv/installed", f"BIN={programs}", target]
    done = subprocess.run(
        command, cwd=ROOT, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    arguments: list[str] = json.loads((programs / "called").read_text())
    return arguments


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("validate-data", ["-m", "sluice_trainer", "validate", "--sample"]),
        ("train", ["-m", "sluice_trainer", "train"]),
        (
            "validate-model",
            ["-m", "dev.workflows.model_validation", "--model", "models:/iris@champion", "--min-accuracy", "0.70"],
        ),
        (
            "deploy",
            [
                *("-m", "dev.workflows.deploy", "--timeout", "2h"),
                *("--manifest", "manifests/examples/iris.yaml", "--report", "report.md"),
            ],
        ),
    ],
)
def test_a_target_does_something_useful_without_variables(programs: Path, target: str, arguments: list[str]) -> None:
    """Also where a workflow sets them to nothing."""
    empty = dict.fromkeys(("DATA", "SCHEMA", "ALIAS", "MODEL_URI", "MIN_ACCURACY", "MANIFEST", "TIMEOUT", "REPORT"), "")
    assert called(programs, target, **empty) == arguments


@pytest.mark.parametrize(
    ("target", "variable", "flag"),
    [
        ("validate-data", "DATA", "--data"),
        ("train", "ALIAS", "--alias"),
        ("validate-model", "MODEL_URI", "--model"),
        ("validate-model", "MIN_ACCURACY", "--min-accuracy"),
        ("deploy", "MODEL_URI", "--model"),
        ("deploy", "MANIFEST", "--manifest"),
        ("deploy", "TIMEOUT", "--timeout"),
        ("deploy", "REPORT", "--report"),
        ("release-files", "HELM", "--helm"),
    ],
)
def test_a_variable_is_one_word_whatever_is_in_it(programs: Path, target: str, variable: str, flag: str) -> None:
    """It comes from a form that somebody has filled in, or from another system."""
    arguments = called(programs, target, **{"TAG": "v1", "SCHEMA": "", variable: HOSTILE})
    assert arguments[arguments.index(flag) + 1] == HOSTILE
    assert not (ROOT / "pwned").exists()


def test_the_security_target_asks_about_all_lock_files(programs: Path) -> None:
    """That of development has the packages of all images."""
    arguments = called(programs, "security", PIP_AUDIT_FLAGS="--vulnerability-service=osv")
    assert {"dev/requirements.txt", "dev/requirements-build.txt", "--vulnerability-service=osv"} <= set(arguments)
    pinned = pins("dev")
    for component in ("operator", "server", "store", "trainer"):
        assert pins(component) <= pinned


def test_the_coverage_of_all_packages_is_written_for_other_programs(programs: Path) -> None:
    """As a table, too."""
    arguments = called(programs, "coverage")
    assert {"--cov", "--cov-report=xml", "tests/unit"} <= set(arguments)
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert settings["tool"]["coverage"]["run"]["source"] == ["operator", "server", "store", "trainer"]


def pins(folder: str) -> set[str]:
    """The packages of a lock file, such as numpy==2.4.6."""
    lines = (ROOT / folder / "requirements.txt").read_text(encoding="utf-8").splitlines()
    return {line.split()[0] for line in lines if "==" in line}
