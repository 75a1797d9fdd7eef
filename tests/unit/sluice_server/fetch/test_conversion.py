"""The conversion as `fetch` starts it: a process that may break, hang, or take too much."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sluice_server.fetch.conversion import convert, converted, was_not_done
from sluice_server.fetch.outcome import Fetched, Unavailable
from sluice_server.fetch.own_process import TRIES, Limits
from sluice_server.model import manifest
from sluice_server.model.digest import tree_digest
from sluice_server.model.manifest import CONVERTED
from tests.unit.sluice_server.conftest import Save

RUN = """
import sys
from sluice_server import runtimes
from sluice_server.model import manifest
from pathlib import Path
import numpy
folder = Path(sys.argv[1])
found = manifest.read(folder)
rows = numpy.array([[5.1, 3.5, 1.4, 0.2], [6.3, 3.3, 6.0, 2.5]])
print(runtimes.by_name(found.runtime).load(folder / found.folder, found, (), rows).predict(rows).values.tolist())
heavy = {"mlflow", "onnx", "pandas", "scipy", "skl2onnx", "sklearn", "skops"}
print(sorted(heavy & {name.partition(".")[0] for name in sys.modules}))
"""


@pytest.fixture
def folder(forest: object, save: Save, tmp_path: Path) -> Path:
    return save(tmp_path / "model", forest)


def test_a_forest_is_served_without_scikit_learn(folder: Path) -> None:
    """Converted in a process of its own; the one that serves it imports none of the libraries that take long.

    A Job that runs again gets the same file, and so the same digest, in whichever order Python has its sets.
    """
    again = shutil.copytree(folder, folder.with_name("again"))
    found = converted(folder, Limits(2**31), os.environ | {"PYTHONHASHSEED": "1"})
    assert (found.runtime, found.converted_from, found.flavor) == ("onnx", "skops", "sklearn")
    assert found == manifest.read(folder)
    done = subprocess.run([sys.executable, "-c", RUN, folder], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[0, 2]", "[]"]
    converted(again, Limits(2**31), os.environ | {"PYTHONHASHSEED": "102"})
    assert tree_digest(again) == tree_digest(folder)


def test_a_conversion_that_hangs_is_tried_twice(folder: Path) -> None:
    """The node may have been busy, which is told. Then the model is served as it was logged; the manifest says why."""
    at_once, fetched = Limits(None, clock=0.01), Fetched(manifest.read(folder))
    outcome = convert(fetched, folder, at_once, is_last=was_not_done(folder))
    assert isinstance(outcome, Unavailable)
    assert "did not end within 0 s" in outcome.message
    assert manifest.read(folder) == fetched.manifest
    outcome = convert(fetched, folder, at_once, is_last=was_not_done(folder))
    assert isinstance(outcome, Fetched)
    assert outcome.manifest.not_converted == "the conversion did not end within 0 s"
    assert outcome.manifest == manifest.read(folder)


def test_all_tries_of_a_conversion_take_ten_minutes_at_most() -> None:
    """A start waits for both of them, and nobody is served by a new revision meanwhile."""
    assert Limits(None).clock * TRIES == 600.0


def test_a_conversion_is_limited_by_the_work_and_not_by_the_clock(folder: Path) -> None:
    """On a busy node it takes longer, and comes to the same end; the limit is one of CPU time."""
    (folder / CONVERTED).mkdir()
    (folder / CONVERTED / "model.onnx").write_bytes(b"its begin")
    found = converted(folder, Limits(None, cpu=1), os.environ)
    assert (found.runtime, found.not_converted) == ("skops", "the conversion takes more than 1 s of a core")
    assert found == manifest.read(folder)
    assert not (folder / CONVERTED).exists()  # it would be part of the digest


def test_a_conversion_that_takes_too_much_memory_is_given_up(folder: Path) -> None:
    """It may take what this process leaves, and Kubernetes has no reason to end the container."""
    found = converted(folder, Limits(1), os.environ)
    assert found.runtime == "skops"
    assert "exit code" in str(found.not_converted)
