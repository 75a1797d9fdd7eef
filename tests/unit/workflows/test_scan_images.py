"""dev/workflows/scan_images.sh, with programs in the place of Trivy and docker that write down what they are asked."""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.workflows.release import LOCKS

SCRIPT = Path(__file__).parents[3] / "dev" / "workflows" / "scan_images.sh"


@dataclass(frozen=True)
class Programs:
    """A folder with the programs, and what was called."""

    folder: Path

    def add(self, name: str, script: str) -> None:
        file = self.folder / name
        file.write_text(f'#!/bin/bash\necho "{name} $*" >>{self.folder}/calls\n{script}\n')
        file.chmod(0o755)

    def scan(self, *archives: str, **variables: str) -> subprocess.CompletedProcess[str]:
        path = {"PATH": f"{self.folder}:/usr/bin:/bin"}
        return subprocess.run(
            [str(SCRIPT), *archives],
            env={**os.environ, **path, **variables},
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def calls(self, name: str) -> list[str]:
        return [call for call in (self.folder / "calls").read_text().splitlines() if call.startswith(f"{name} ")]


@pytest.fixture
def programs(tmp_path: Path) -> Programs:
    """Trivy that finds nothing, and docker."""
    found = Programs(tmp_path)
    found.add("trivy", "")
    found.add("docker", "")
    return found


def test_all_images_of_a_release_are_built_and_scanned(programs: Programs) -> None:
    """As archives, which no registry has to have; they are gone afterwards."""
    done = programs.scan()
    assert (done.returncode, done.stdout) == (0, f"nothing was found in {len(LOCKS)} images\n"), done.stderr
    scanned = [call.split("--input ")[1].split()[0] for call in programs.calls("trivy")]
    assert [Path(archive).name for archive in scanned] == [f"{image}.tar" for image in LOCKS]
    assert [f"dest={archive} " in call for archive, call in zip(scanned, programs.calls("docker"), strict=True)] == [
        True
    ] * len(LOCKS)
    assert not Path(scanned[0]).parent.exists()


def test_archives_that_are_there_are_scanned_instead(programs: Programs) -> None:
    """Also one whose name is relative, and has a blank. What nobody can mend yet is not asked for."""
    assert programs.scan("an image.tar", SEVERITY="CRITICAL", TRIVY_FLAGS="--skip-db-update --quiet").returncode == 0
    (call,) = programs.calls("trivy")
    assert call == (
        f"trivy image --input {programs.folder}/an image.tar --scanners vuln --severity CRITICAL --ignore-unfixed"
        " --exit-code 3 --no-progress --skip-db-update --quiet"
    )
    assert programs.calls("docker") == []


@pytest.mark.parametrize(
    ("trivy", "code", "says"),
    [
        ('case "$*" in *b.tar*) exit 3 ;; esac', 1, "mends what was found in b.tar:"),
        ('case "$*" in *a.tar*) exit 1 ;; *) exit 3 ;; esac', 2, "not scanned: a.tar\n"),
    ],
    ids=["one is vulnerable", "one cannot be read"],
)
def test_one_bad_image_fails_after_all_were_scanned(programs: Programs, trivy: str, code: int, says: str) -> None:
    """A scan that did not take place is no good news, and another failure than a vulnerability."""
    programs.add("trivy", trivy)
    done = programs.scan("a.tar", "b.tar", "c.tar")
    assert done.returncode == code
    assert says in done.stderr
    assert len(programs.calls("trivy")) == 3


def test_a_build_that_fails_ends_the_scan(programs: Programs) -> None:
    """Or the other images alone would be called good."""
    programs.add("docker", "exit 1")
    assert programs.scan().returncode == 2
    assert programs.calls("trivy") == []


def test_without_trivy_it_says_how_to_get_it(programs: Programs) -> None:
    """Before minutes of builds."""
    (programs.folder / "trivy").unlink()
    done = programs.scan()
    assert done.returncode == 2
    assert "GOEXPERIMENT=jsonv2 go install github.com/aquasecurity/trivy" in done.stderr
