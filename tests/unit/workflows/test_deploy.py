"""The script of the deploy workflow: what is applied, and what is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dev.api_server import ROOT
from dev.workflows import deploy
from dev.workflows.registry import NotResolvedError
from sluice_operator.api.status import dump
from tests.unit.sluice_operator.build import again, raw_spec, stable_on
from tests.unit.sluice_operator.cli.terminal import Terminal

EXAMPLE = (ROOT / "manifests" / "examples" / "iris.yaml").read_text(encoding="utf-8")


@pytest.fixture
def terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    """A cluster where version 2 serves already."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    terminal = Terminal(tmp_path, capsys)
    terminal.set_object(raw_spec(), dump(again(stable_on(2)).status))
    (tmp_path / "iris.yaml").write_text(EXAMPLE)
    return terminal


def run(terminal: Terminal, *flags: str) -> int:
    folder = terminal.folder
    return deploy.main([f"--manifest={folder / 'iris.yaml'}", f"--report={folder / 'report.md'}", *flags])


def test_a_version_is_applied_waited_for_and_reported(terminal: Terminal) -> None:
    """In the namespace of the manifest, with the exit code of the verdict."""
    assert run(terminal, "--model", "models:/iris/2") == 0
    assert terminal.kubectl_calls[0] == "apply --filename=-"
    assert "--namespace=models" in terminal.kubectl_calls[1]
    assert (terminal.folder / "report.md").read_text(encoding="utf-8").startswith("### ✅ iris: ")


def test_only_the_model_of_the_manifest_is_another_one() -> None:
    """The rest is as it stands in the repository; the file itself is not changed."""
    before = yaml.safe_load(EXAMPLE)
    after = deploy.manifest(EXAMPLE, "models:/iris/2")
    assert after["spec"]["model"].pop("uri") == "models:/iris/2"
    assert before["spec"]["model"].pop("uri") == "models:/iris@challenger"
    assert after == before


@pytest.mark.parametrize(
    "text", ["", "a: [", "- 1", "kind: Pod", f"{EXAMPLE}\n---\n{EXAMPLE}", f"{EXAMPLE}\n---\nkind: Secret"]
)
def test_a_manifest_with_anything_else_is_refused(text: str) -> None:
    """Nothing is applied that nobody waits for."""
    with pytest.raises(deploy.NotDeployedError):
        deploy.manifest(text, "")


def test_an_alias_needs_a_registry_that_says_what_it_names(terminal: Terminal) -> None:
    """What is deployed would not be what is reported. Nothing is applied then."""
    with pytest.raises(NotResolvedError):
        deploy.version("models:/iris@champion")
    assert run(terminal, "--model", "models:/iris@champion") == 2
    assert run(terminal) == 2
    assert not (terminal.folder / "calls").exists()


def test_what_kubectl_refuses_is_the_end(terminal: Terminal, capsys: pytest.CaptureFixture[str]) -> None:
    """With its words."""
    program = terminal.folder / "kubectl"
    program.write_text("#!/bin/sh\necho 'the host is taken' >&2\nexit 1\n")
    assert run(terminal, "--model", "models:/iris/2") == 2
    assert "the host is taken" in capsys.readouterr().err
