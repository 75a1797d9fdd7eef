"""What a release is made of, and what is known of its packages: with Helm, and servers of loopback for the others."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from dev.api_server import ROOT
from dev.programs import find_program
from dev.workflows import release
from tests.contract.listening import Handler, listening, server

DIGEST = f"sha256:{'ab' * 32}"


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The files of a release of this checkout, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    output = tmp_path_factory.mktemp("release") / "dist"
    assert release.main([f"v{project['version']}", f"--output={output}", f"--helm={find_program('helm')}"]) == 0
    return {path.name: path for path in output.iterdir()}


def test_the_chart_and_the_package_are_whole(files: dict[str, Path]) -> None:
    """The chart has its CRD, and the package the program `kubectl-sluice`."""
    [chart] = [path for name, path in files.items() if name.endswith(".tgz")]
    with tarfile.open(chart) as archive:
        assert {"sluice/Chart.yaml", "sluice/crds/modeldeployments.yaml"} <= set(archive.getnames())
    [wheel] = [path for name, path in files.items() if name.endswith(".whl")]
    with zipfile.ZipFile(wheel) as archive:
        [entry_points] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert b"kubectl-sluice" in archive.read(entry_points)
        assert "sluice_trainer/iris-schema.json" in archive.namelist()


def test_each_image_has_an_sbom_with_all_its_packages(files: dict[str, Path]) -> None:
    """With versions and hashes, out of the lock file that the image is installed from."""
    for image in release.LOCKS:
        document = json.loads(files[f"{image}.cdx.json"].read_text(encoding="utf-8"))
        assert document["metadata"]["component"]["name"] == image
        packages = {each["name"]: each for each in document["components"]}
        assert all(each["hashes"] and each["purl"].startswith("pkg:pypi/") for each in packages.values())
    operator = json.loads(files["sluice-operator.cdx.json"].read_text(encoding="utf-8"))
    assert {"kopf", "numpy", "msgspec"} <= {each["name"] for each in operator["components"]}


def test_the_sums_are_those_of_all_other_files(files: dict[str, Path]) -> None:
    """And the notes are what the changelog says."""
    lines = files["SHA256SUMS"].read_text(encoding="utf-8").splitlines()
    expected = {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()}
    assert {name: digest for digest, name in (line.split("  ") for line in lines)} == {
        name: digest for name, digest in expected.items() if name != "SHA256SUMS"
    }
    assert "### Added" in files["notes.md"].read_text(encoding="utf-8")


def program(folder: Path, name: str, script: str) -> None:
    """A program that writes its arguments down and then does what `script` says."""
    file = folder / name
    file.write_text(f'#!/bin/bash\necho "{name} $*" >>{folder}/calls\n{script}\n')
    file.chmod(0o755)


def published(folder: Path, docker: str, helm: str = f"echo Digest: {DIGEST} >&2") -> tuple[int, list[str]]:
    """The exit code of publish.sh with these programs, and what it called."""
    program(folder, "docker", docker)
    program(folder, "helm", helm)
    program(folder, "cosign", "")
    (folder / "sluice.tgz").touch()
    environment = os.environ | {"PATH": f"{folder}:{os.environ['PATH']}", "REGISTRY": "registry.example/team"}
    command = [str(ROOT / "dev" / "workflows" / "publish.sh"), "1.2.3", str(folder / "sluice.tgz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, (folder / "calls").read_text().splitlines()


TELLS_DIGEST = f"""
while [ "$1" != --metadata-file ]; do shift; done
echo '{{"containerimage.digest": "{DIGEST}"}}' >"$2"
"""


def test_images_and_chart_are_pushed_and_signed_by_digest(tmp_path: Path) -> None:
    """Each image with its labels, an SBOM and its provenance."""
    code, calls = published(tmp_path, TELLS_DIGEST)
    assert code == 0
    builds = [call for call in calls if call.startswith("docker")]
    assert len(builds) == len(release.LOCKS)
    for build, image in zip(builds, release.LOCKS, strict=True):
        assert f"--tag registry.example/team/{image}:1.2.3" in build
        assert "--sbom=true --provenance=mode=max" in build
        assert "--label org.opencontainers.image.revision=" in build
    signed = [call for call in calls if call.startswith("cosign")]
    assert signed == [
        *(f"cosign sign --yes registry.example/team/{image}@{DIGEST}" for image in release.LOCKS),
        f"cosign sign --yes registry.example/team/charts/sluice@{DIGEST}",
    ]


@pytest.mark.parametrize(
    ("docker", "helm", "most"),
    [("exit 1", "", 1), (": no digest", "", 1), (TELLS_DIGEST, "echo pushed", 11)],
    ids=["a build fails", "no digest of an image", "no digest of the chart"],
)
def test_what_cannot_be_signed_ends_the_release(tmp_path: Path, docker: str, helm: str, most: int) -> None:
    """And nothing is pushed after it."""
    code, calls = published(tmp_path, docker, helm)
    assert code != 0
    assert len(calls) == most


def test_a_vulnerable_package_fails_the_security_workflow() -> None:
    """`make security` with a database of loopback that knows something of one of our packages."""
    asked: list[str] = []

    class Osv(Handler):
        def respond(self) -> None:
            package = self.received()["package"]["name"]
            asked.append(package)
            self.answer(200, {"vulns": [{"id": "OSV-1", "affected": []}] if package == "hatchling" else []})

    with listening(server(Osv)) as url:
        flags = f"--vulnerability-service=osv --osv-url={url}"
        where = f"BIN={Path(sys.executable).parent}"
        done = subprocess.run(
            ["make", "--no-print-directory", "--old-file=.venv/installed", where, "security"],
            cwd=ROOT, env=os.environ | {"PIP_AUDIT_FLAGS": flags}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert done.returncode != 0, done.stderr
    assert "OSV-1" in done.stdout
    assert {"hatchling", "kopf", "numpy"} <= set(asked)
