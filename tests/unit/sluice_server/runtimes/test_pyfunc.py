"""Which models are run as code, and with which image."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from sluice_server.fetch.fetch import choose_by_file
from sluice_server.fetch.preflight import Candidate, choose, parse_mlmodel
from sluice_server.model.mlmodel import MLmodel, Signature
from sluice_server.model.refusal import Refused
from sluice_server.runtimes.port import Allowed, Image
from sluice_server.settings import Trust

GENERAL = Image("3.11.7", {"scikit-learn": "1.9.1"}, None)
PYFUNC = Image("3.11.7", {**GENERAL.libraries, "pandas": "3.1.1"}, None)
ALLOWED = Allowed(Trust.CODE, (), PYFUNC)


def logged(flavor: str, **fields: Any) -> MLmodel:
    function = {"python_version": "3.11.2", "loader_module": f"mlflow.{flavor}"}
    inputs = Signature('[{"type": "double", "name": "a"}]', None)
    return MLmodel({"python_function": function, flavor: fields}, inputs)


def sklearn(serialization: str) -> MLmodel:
    file = "model.skops" if serialization == "skops" else "model.pkl"
    return logged("sklearn", pickled_model=file, serialization_format=serialization, sklearn_version="1.9.1")


def runtimes(model: MLmodel, allowed: Allowed = ALLOWED) -> list[str]:
    chosen = choose(model, allowed)
    assert not isinstance(chosen, Refused), chosen
    return [candidate.runtime.name for candidate in chosen]


def refusal(model: MLmodel, allowed: Allowed) -> Refused:
    refused = choose(model, allowed)
    assert isinstance(refused, Refused)
    return refused


def trusting(trust: Trust) -> Allowed:
    return dataclasses.replace(ALLOWED, trust=trust)


def test_code_runs_only_what_is_not_data() -> None:
    """What the data runtime accepts goes there first; a pickle and any other flavor go to MLflow."""
    assert runtimes(sklearn("skops")) == ["skops", "pyfunc"]
    assert runtimes(sklearn("cloudpickle")) == ["pyfunc"]
    assert runtimes(logged("prophet")) == ["pyfunc"]
    assert runtimes(MLmodel({"python_function": {}}, Signature('[{"type": "string"}]'))) == ["pyfunc"]


def test_a_signature_without_params_is_read_as_mlflow_writes_it() -> None:
    """MLmodel has `params: null`, of which the reader of its YAML makes a text."""
    text = (
        'flavors: {python_function: {}}\nsignature: {inputs: \'[{"type": "string"}]\', outputs: null, params: null}\n'
    )
    model = parse_mlmodel(text)
    assert isinstance(model, MLmodel)
    assert runtimes(model) == ["pyfunc"]


@pytest.mark.parametrize("trust", [Trust.DATA, Trust.TRUSTED_TYPES])
def test_without_the_trust_no_code_is_run(trust: Trust) -> None:
    """A pickle has two ways out, another flavor one; skops needs no code."""
    assert runtimes(sklearn("skops"), trusting(trust)) == ["skops"]
    pickled, other = (refusal(model, trusting(trust)) for model in (sklearn("pickle"), logged("prophet")))
    assert pickled.reason == "PickleNotTrusted"
    assert "serialization_format='skops'" in pickled.message
    assert "trust: Code" in pickled.message
    assert other.reason == "CodeNotTrusted"
    assert "prophet" in other.message
    assert f"trust: {trust} forbids" in other.message


def test_the_general_image_names_the_one_that_runs_code() -> None:
    """It has no MLflow to run it with."""
    refused = refusal(sklearn("pickle"), dataclasses.replace(ALLOWED, image=GENERAL))
    assert refused.reason == "CodeNotServedHere"
    assert "sluice-server-pyfunc" in refused.message


def test_a_pickle_is_for_one_minor_version_of_its_library() -> None:
    """Another one would read it, and might compute something else."""
    old = logged("sklearn", pickled_model="model.pkl", sklearn_version="1.5.0")
    assert refusal(old, ALLOWED).reason == "LibraryMismatch"


def chosen_by_file(model: MLmodel, folder: Path) -> Candidate | Refused:
    candidates = choose(model, ALLOWED)
    assert not isinstance(candidates, Refused)
    return choose_by_file(folder, candidates, ALLOWED)


def test_packages_that_the_image_lacks_are_refused_with_the_image_to_make(tmp_path: Path) -> None:
    """Before the model is started, and not by an import that fails in each pod."""
    (tmp_path / "MLmodel").write_text("")
    assert isinstance(chosen_by_file(logged("prophet"), tmp_path), Candidate)
    (tmp_path / "requirements.txt").write_text("mlflow==3.17.2\nprophet==1.1.5\npandas==3.0.1\n")
    refused = chosen_by_file(logged("prophet"), tmp_path)
    assert isinstance(refused, Refused)
    assert refused.reason == "PackagesMissing"
    assert "prophet==1.1.5 (missing)" in refused.message
    assert "pandas" not in refused.message
    assert "FROM sluice-server-pyfunc" in refused.message


def test_a_file_that_is_no_data_after_all_is_run_as_code(tmp_path: Path) -> None:
    """Under trust: Code a skops file with types of somebody's own needs no list of the administrator."""
    (tmp_path / "MLmodel").write_text("")
    (tmp_path / "model.skops").write_bytes(b"not an archive")
    candidate = chosen_by_file(sklearn("skops"), tmp_path)
    assert isinstance(candidate, Candidate)
    assert (candidate.runtime.name, candidate.flavor) == ("pyfunc", "sklearn")
