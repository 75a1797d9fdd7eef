"""`python -m dev.workflows.release v0.2.0 --output dist`: all files of a release but its images.

That is the chart, the Python package (with `kubectl sluice`), the CRD, an SBOM for each image, the notes out of
CHANGELOG.md, and SHA256SUMS. A tag that is not the version of the project is refused, and so is a version that the
changelog calls unreleased.
"""

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path

import yaml

from dev.workflows import sbom

ROOT = Path(__file__).resolve().parents[2]
LOCKS = {  # of each image
    "sluice-operator": "operator/requirements.txt",
    "sluice-server": "server/requirements.txt",
    "sluice-server-pyfunc": "server/requirements-pyfunc.txt",
    "sluice-store": "store/requirements.txt",
    "sluice-trainer": "trainer/requirements.txt",
}


class NotReleasedError(Exception):
    """It cannot be released like this. The text says why."""


def checked(tag: str, project: str, chart: Mapping[str, str]) -> str:
    """The version of a tag such as v0.2.0, which project and chart must have. Raises NotReleasedError."""
    version = tag.removeprefix("v")
    if not tag.startswith("v") or version != project:
        raise NotReleasedError(f"tag {tag} is not v{project}, the version in pyproject.toml")
    wanted = re.sub(r"\.?(dev|a|b|rc)(\d+)$", r"-\1.\2", version)  # the same as the chart must write it
    for key in ("version", "appVersion"):
        if chart[key] != wanted:
            raise NotReleasedError(f"{key} in chart/Chart.yaml is {chart[key]}, and must be {wanted}")
    return version


def notes(version: str, changelog: str) -> str:
    """What the changelog says of a version. Raises NotReleasedError."""
    base = re.split(r"\.?(?:dev|a|b|rc)\d+$", version)[0]
    found = re.search(rf"^## {re.escape(base)} - (.*)\n((?:.*\n)*?)(?=^## |\Z)", changelog, re.MULTILINE)
    if found is None:
        raise NotReleasedError(f"CHANGELOG.md has no part `## {base} - DATE`")
    if base == version and found[1] == "unreleased":
        raise NotReleasedError(f"CHANGELOG.md calls {version} unreleased: write its date")
    return found[2].strip() + "\n"


def sums(folder: Path) -> str:
    """The lines that `sha256sum --check` reads, for all files of a folder."""
    files = sorted(path for path in folder.iterdir() if path.name != "SHA256SUMS")
    return "".join(f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n" for path in files)


def build(version: str, changes: str, output: Path, helm: str) -> None:
    """Write all files into `output`. Raises NotReleasedError with what a program printed."""
    output.mkdir(parents=True)
    _run(helm, "package", str(ROOT / "chart"), f"--destination={output}")
    _run(sys.executable, "-m", "hatchling", "build", "--target=wheel", f"--directory={output}")
    shutil.copy(ROOT / "crds" / "modeldeployments.yaml", output)
    for image, lock in LOCKS.items():
        text = sbom.document(image, version, (ROOT / lock).read_text(encoding="utf-8"))
        (output / f"{image}.cdx.json").write_text(text, encoding="utf-8")
    (output / "notes.md").write_text(changes, encoding="utf-8")
    (output / "SHA256SUMS").write_text(sums(output), encoding="utf-8")


def _run(*command: str) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotReleasedError(f"{' '.join(command)}: {done.stderr.strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the files. Exit code 1 if it cannot be released."""
    parser = argparse.ArgumentParser(prog="python -m dev.workflows.release", description=__doc__)
    parser.add_argument("tag", help="such as v0.2.0")
    parser.add_argument("--output", type=Path, default=Path("dist"), help="a new folder (default: %(default)s)")
    parser.add_argument("--helm", default="helm", help="the program (default: %(default)s)")
    options = parser.parse_args(arguments)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    chart = yaml.safe_load((ROOT / "chart" / "Chart.yaml").read_text(encoding="utf-8"))
    try:
        version = checked(options.tag, project, chart)
        build(
            version, notes(version, (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), options.output, options.helm
        )
    except (NotReleasedError, FileExistsError, FileNotFoundError) as error:
        print(f"not released: {error}", file=sys.stderr)
        return 1
    print(*sorted(path.name for path in options.output.iterdir()), sep="\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
