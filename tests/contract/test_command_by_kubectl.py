"""docs/commands.md: what a client without the plugin writes, and the role that it needs, on a real API server."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

from dev.api_server import ROOT
from tests.contract.conftest import Kubectl

PAGE = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
SCRIPT = next(block for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) if "lastCommand" in block)
ROLES = (ROOT / "manifests" / "install" / "user-roles" / "user-roles.yaml").read_text(encoding="utf-8")
PERSON = "jane"
LAST_COMMAND = {"by": PERSON, "at": "2026-03-01T12:00:00Z", "answer": "Accepted", "message": "traffic goes back"}


def program(folder: Path, name: str, *command: str) -> None:
    """A program `name` in `folder` that adds its arguments to `command`."""
    file = folder / name
    file.write_text(f'#!/bin/sh\nexec {" ".join(command)} "$@"\n')
    file.chmod(0o755)


def answering() -> str:
    """The operator's part, as a line of the shell: the command `$command` is answered."""
    status = json.dumps({"status": {"lastCommand": {"id": "$command", **LAST_COMMAND}}}).replace('"', '\\"')
    return f'admin patch modeldeployment iris -n models --subresource=status --type=merge -p "{status}"\n'


def test_a_person_with_the_role_asks_and_gets_the_answer(kubectl: Kubectl, created_iris: None, tmp_path: Path) -> None:
    """The lines of the page, with those of the operator in between."""
    run = json.dumps({"status": {"run": {"canary": {"revision": "k3v9q2x7ma"}}}})
    kubectl("patch", "mdep", "iris", "-n=models", "--subresource=status", "--type=merge", f"-p={run}")
    kubectl("apply", "--filename=-", stdin=ROLES)
    kubectl("create", "rolebinding", PERSON, "--namespace=models", "--clusterrole=sluice-edit", f"--user={PERSON}")
    admin = (kubectl.program, f"--kubeconfig={kubectl.kubeconfig}")
    program(tmp_path, "admin", *admin)
    program(tmp_path, "kubectl", *admin, f"--as={PERSON}")
    environment = os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    asking, waiting = SCRIPT.split("kubectl wait", 1)
    script = f"set -e\n{asking}{answering()}kubectl wait{waiting}"
    done = subprocess.run(["sh", "-c", script], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "Accepted: traffic goes back"
    kubectl("delete", "rolebinding", PERSON, "--namespace=models")
