"""examples/dvc and examples/airflow: the commands in them are commands of this project, in an order that makes sense.

DVC and Airflow themselves are no dependencies. What they would do is done here: DVC runs the commands in a folder and
looks for the files, and Airflow reads the file as a module.
"""

from __future__ import annotations

import argparse
import io
import json
import re
import shlex
import sys
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

from sluice_operator.cli import wait_command
from sluice_trainer.__main__ import main

EXAMPLES = Path(__file__).parents[3] / "examples"
DVC = yaml.safe_load((EXAMPLES / "dvc" / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
PARAMS = yaml.safe_load((EXAMPLES / "dvc" / "params.yaml").read_text(encoding="utf-8"))


def names(listed: list[Any]) -> set[str]:
    """The files of a list, some of which have settings."""
    return {next(iter(entry)) if isinstance(entry, dict) else entry for entry in listed}


def run_as_a_shell_does(command: str) -> None:
    """A command of the trainer in this process: to start Python with all libraries takes seconds."""
    *words, last = shlex.split(command)
    file = last.removeprefix(">") if last.startswith(">") else None
    python, flag, module, *arguments = words if file else [*words, last]
    assert (python, flag, module) == ("python", "-m", "sluice_trainer")
    printed = io.StringIO()
    with redirect_stdout(printed):
        assert main(arguments) == 0
    if file:
        Path(file).write_text(printed.getvalue())


def test_each_stage_of_dvc_writes_the_files_that_it_promises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the order of their dependencies, with few trees; what a stage depends on was made before."""
    monkeypatch.chdir(tmp_path)
    few, made = {**PARAMS, "trees": 5}, set[str]()
    for stage in DVC.values():
        assert names(stage.get("deps", [])) <= made
        assert set(stage.get("params", [])) == set(re.findall(r"\$\{(\w+)\}", stage["cmd"]))
        run_as_a_shell_does(re.sub(r"\$\{(\w+)\}", lambda found: str(few[found[1]]), stage["cmd"]))
        made |= names(stage.get("outs", []) + stage.get("metrics", []))
    assert {path.name for path in tmp_path.iterdir()} == made
    assert json.loads((tmp_path / "metrics.json").read_text())["total"] == 45
    assert json.loads((tmp_path / "quality.json").read_text())["good"] is True


@dataclass
class Operator:
    """BashOperator, as far as the example uses it."""

    task_id: str
    bash_command: str
    env: dict[str, str] = field(default_factory=dict)
    append_env: bool = False
    execution_timeout: object = None
    after: list[str] = field(default_factory=list)

    def __rshift__(self, other: Operator) -> Operator:
        other.after.append(self.task_id)
        return other


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> dict[str, Operator]:
    """The tasks of the DAG, as its file makes them."""

    class Dag:
        def __init__(self, dag_id: str, **settings: object) -> None: ...

        def __enter__(self) -> None: ...

        def __exit__(self, *error: object) -> None: ...

    made: dict[str, Operator] = {}

    def operator(**settings: Any) -> Operator:
        return made.setdefault(settings["task_id"], Operator(**settings))

    contents: dict[str, dict[str, Any]] = {
        "airflow.sdk": {"DAG": Dag},
        "airflow.providers.standard.operators.bash": {"BashOperator": operator},
    }
    for name, content in contents.items():
        module = ModuleType(name)
        vars(module).update(content)
        monkeypatch.setitem(sys.modules, name, module)
    path = EXAMPLES / "airflow" / "sluice_iris.py"
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), {})
    return made


def test_the_tasks_of_airflow_come_one_after_the_other(tasks: dict[str, Operator]) -> None:
    """Bad data are not trained on, and only a version that was registered is waited for."""
    assert {name: task.after for name, task in tasks.items()} == {
        "validate": [],
        "train": ["validate"],
        "rollout": ["train"],
    }


def test_the_commands_of_airflow_are_commands_of_the_trainer(
    tasks: dict[str, Operator], capsys: pytest.CaptureFixture[str]
) -> None:
    """With flags that it has. The training is told to register nothing, and then says only that it would be lost."""
    python = ["python", "-m", "sluice_trainer"]
    validate, train = (shlex.split(tasks[name].bash_command) for name in ("validate", "train"))
    assert validate[:3] == train[:3] == python
    assert main(validate[3:]) == 0
    assert main([*train[3:], "--no-register"]) == 2
    assert "--no-register needs --output" in capsys.readouterr().err


def test_airflow_waits_for_the_version_that_was_trained(tasks: dict[str, Operator]) -> None:
    """By the variable, which keeps it one word of the command."""
    rollout = tasks["rollout"]
    assert rollout.env == {"VERSION": "{{ ti.xcom_pull(task_ids='train') }}"}
    assert rollout.append_env  # or it would not find kubectl
    kubectl, sluice, *arguments = shlex.split(rollout.bash_command.replace("$VERSION", "models:/iris/3"))
    parser = argparse.ArgumentParser()
    wait_command.add(parser.add_subparsers())
    options = parser.parse_args(arguments)
    assert (kubectl, sluice, options.name, options.model) == ("kubectl", "sluice", "iris", "models:/iris/3")
