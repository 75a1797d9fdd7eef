"""What is looked into before a model file is believed."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
import skops.io
from sklearn.datasets import load_iris
from sklearn.ensemble import RandomForestClassifier

from sluice_server.fetch import fetch
from sluice_server.fetch.preflight import Candidate
from sluice_server.model.mlmodel import MLmodel
from sluice_server.model.refusal import Refused
from sluice_server.runtimes.port import Allowed, Image
from sluice_server.runtimes.skops import SkopsRuntime
from sluice_server.settings import Trust, fetch_settings

ALLOWED = Allowed(Trust.TRUSTED_TYPES, ("sklearn.tree._tree.Tree",), Image("3.11.7", {"scikit-learn": "1.9.1"}, 2**30))


def check_model_file(folder: Path, name: str, allowed: Allowed) -> Refused | None:
    """The refusal for a model whose MLmodel says that its file has this name."""
    model = MLmodel({"sklearn": {"pickled_model": name, "serialization_format": "skops"}})
    runtime = SkopsRuntime()
    return fetch.check_model_file(folder, Candidate(model, runtime, runtime.read(model)), allowed)


def reason(folder: Path, name: str = "model.skops", allowed: Allowed = ALLOWED) -> str:
    refused = check_model_file(folder, name, allowed)
    return "" if refused is None else refused.reason


def test_a_forest_is_data(forest: RandomForestClassifier, tmp_path: Path) -> None:
    """skops does not trust trees; this server checks them when it loads them."""
    skops.io.dump(forest, tmp_path / "model.skops")
    for trust in Trust:
        assert reason(tmp_path, allowed=Allowed(trust, (), ALLOWED.image)) == ""


def test_a_file_that_would_run_code_is_refused_without_running_it(tmp_path: Path) -> None:
    """A function of another module is a type like any other: not on the list."""
    skops.io.dump({"harmless": 1, "call": shutil.rmtree}, tmp_path / "model.skops")
    refused = check_model_file(tmp_path, "model.skops", ALLOWED)
    assert refused is not None
    assert refused.reason == "UntrustedTypes"
    assert "shutil.rmtree" in refused.message


@pytest.mark.parametrize("content", [b"", b"not a zip", b"PK\x03\x04 broken"])
def test_a_file_that_is_no_skops_is_refused(content: bytes, tmp_path: Path) -> None:
    """A pickle under the name of a skops file is not even looked at."""
    (tmp_path / "model.skops").write_bytes(content)
    assert reason(tmp_path) == "BadModelFile"


@pytest.mark.parametrize("schema", ["{}", "[1]", '{"__module__": "os", "__class__": "x", "__loader__": "ObjectNode"}'])
def test_a_schema_that_breaks_the_parser_is_refused(schema: str, tmp_path: Path) -> None:
    """Whatever the parser raises, the answer is a refusal."""
    with zipfile.ZipFile(tmp_path / "model.skops", "w") as archive:
        archive.writestr("schema.json", schema)
    assert reason(tmp_path) in {"BadModelFile", "UntrustedTypes"}


@pytest.mark.parametrize("name", ["../secret.skops", "/etc/passwd", "missing.skops", ""])
def test_a_model_file_elsewhere_is_refused(name: str, tmp_path: Path) -> None:
    """MLmodel cannot make us open a file outside of the artefact."""
    (tmp_path / "secret.skops").write_bytes(b"x")
    (tmp_path / "files").mkdir()
    assert reason(tmp_path / "files", name) == "BadModelFile"


def test_an_archive_that_unpacks_beyond_the_memory_is_refused(tmp_path: Path) -> None:
    """A zip bomb is told by its table of contents, without unpacking."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "{}")
        archive.writestr("big.npy", b"\0" * 2**21)
    (tmp_path / "model.skops").write_bytes(content.getvalue())
    small = Allowed(ALLOWED.trust, ALLOWED.trusted_types, Image("3.11.7", {"scikit-learn": "1.9.1"}, 2**20))
    assert reason(tmp_path, allowed=small) == "ModelTooLarge"


@pytest.mark.parametrize("part", ["[],", '{"a": 1},'])
def test_a_structure_that_takes_more_memory_than_there_is_is_refused(part: str, tmp_path: Path) -> None:
    """Each list or object of some bytes would become some kilobytes; they are counted without being made."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", "[" + part * 500_000 + "1]")
    (tmp_path / "model.skops").write_bytes(content.getvalue())
    assert reason(tmp_path) == "ModelTooLarge"


def test_a_forest_of_many_trees_is_not_too_large(tmp_path: Path) -> None:
    """The estimate is near what it takes."""
    skops.io.dump(RandomForestClassifier(300).fit(*load_iris(return_X_y=True)), tmp_path / "model.skops")
    assert reason(tmp_path) == ""


def test_whatever_goes_wrong_is_told_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The operator and the person paged read the termination message, and not the log."""

    def broken(*_: object) -> None:
        raise MemoryError("a file that nobody has thought of")

    monkeypatch.setattr("sluice_server.fetch.artifacts.locate", broken)
    log = tmp_path / "termination"
    settings = fetch_settings(
        {
            "SLUICE_MODEL_URI": "models:/iris/3",
            "SLUICE_MODEL_DIR": str(tmp_path),
            "MLFLOW_TRACKING_URI": "http://mlflow.invalid",
            "SLUICE_TERMINATION_LOG": str(log),
        }
    )
    assert fetch.run(settings) == 1
    told = json.loads(log.read_text())["unavailable"]
    assert told["reason"] == "FetchFailed"
    assert "MemoryError: a file that nobody has thought of" in told["message"]
