"""`python -m dev.workflows.deploy --manifest iris.yaml`: applies a ModelDeployment and waits for its verdict.

With `--model`, that version is deployed instead of the one in the file; an alias or a stage is resolved first, so that
what is deployed is what is reported. The exit codes are those of `kubectl sluice wait`.
"""

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from dev.workflows import registry
from sluice_operator.api import names
from sluice_operator.cli import __main__ as plugin
from sluice_operator.cli.ending import pinned


class NotDeployedError(Exception):
    """It could not be applied. The text is one sentence for the log of the workflow."""


def manifest(text: str, model: str) -> dict[str, Any]:
    """The one ModelDeployment in a file, with this model; its own one if `model` is empty. Raises NotDeployedError."""
    try:
        documents = [each for each in yaml.safe_load_all(text) if each is not None]
    except yaml.YAMLError as error:
        raise NotDeployedError(f"the manifest is no YAML: {error}") from error
    if len(documents) != 1 or not isinstance(documents[0], dict) or documents[0].get("kind") != names.KIND:
        raise NotDeployedError(f"the manifest must hold one {names.KIND} and nothing else")
    found: dict[str, Any] = documents[0]
    if model:
        found["spec"]["model"]["uri"] = model
    return found


def version(uri: str) -> str:
    """The pinned URI of what `uri` names now. Raises NotResolvedError."""
    return pinned(uri) or registry.resolved(uri).uri


def apply(body: dict[str, Any]) -> None:
    """Apply it with the kubectl on the PATH. Raises NotDeployedError with what kubectl says."""
    command = ["kubectl", "apply", "--filename=-"]
    done = subprocess.run(command, input=yaml.safe_dump(body), capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotDeployedError(f"kubectl apply: {done.stderr.strip()}")
    print(done.stdout.strip(), flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the changes of the rollout, and write the report."""
    parser = argparse.ArgumentParser(prog="python -m dev.workflows.deploy", description=__doc__)
    parser.add_argument("--manifest", type=Path, required=True, help="a file with one ModelDeployment")
    parser.add_argument("--model", default="", help="such as models:/iris/3 or models:/iris@challenger")
    parser.add_argument("--timeout", default="2h", help="of the wait (default: %(default)s)")
    parser.add_argument("--report", default="report.md", help="file for the report (default: %(default)s)")
    options = parser.parse_args(arguments)
    try:
        wanted = version(options.model) if options.model else ""
        body = manifest(options.manifest.read_text(encoding="utf-8"), wanted)
        expected = wanted or version(str(body["spec"]["model"]["uri"]))
        apply(body)
    except (NotDeployedError, registry.NotResolvedError, OSError, KeyError) as error:
        print(f"not deployed: {error}", file=sys.stderr)
        return 2
    metadata = body["metadata"]
    place = ["--namespace", metadata["namespace"]] if "namespace" in metadata else []
    waiting = ["wait", metadata["name"], *place, "--timeout", options.timeout, "--report", options.report]
    return plugin.main([*waiting, "--model", expected])


if __name__ == "__main__":
    sys.exit(main())
