"""The checks on a logged model, one rule at a time."""

from __future__ import annotations

import dataclasses
import tracemalloc
from typing import Any

import msgspec
import pytest

from sluice_server.fetch.preflight import ListedFile, check_files, choose, parse_mlmodel
from sluice_server.model.mlmodel import MLmodel, Signature
from sluice_server.model.refusal import Refused
from sluice_server.runtimes.port import Allowed, Image
from sluice_server.settings import Trust

LIBRARIES = {"scikit-learn": "1.9.1", "xgboost-cpu": "3.2.0", "lightgbm": "4.7.0"}
ALLOWED = Allowed(Trust.TRUSTED_TYPES, ("sklearn.tree._tree.Tree",), Image("3.11.7", LIBRARIES, 2**30))
AS_CODE = Allowed(Trust.CODE, (), Image("3.11.7", {**LIBRARIES, "pandas": "3.0.0"}, 2**30))
GOOD = MLmodel(
    flavors={
        "python_function": {"python_version": "3.11.2"},
        "sklearn": {"pickled_model": "model.skops", "serialization_format": "skops", "sklearn_version": "1.9.0"},
    },
    signature=Signature('[{"type": "double", "name": "a"}]', None),
    model_size_bytes=1000,
)


def check(model: MLmodel, allowed: Allowed) -> Refused | None:
    """The first refusal on the way from an MLmodel to a model that a runtime serves."""
    candidates = choose(model, allowed)
    return candidates if isinstance(candidates, Refused) else None


def changed(**fields: Any) -> MLmodel:
    return msgspec.structs.replace(GOOD, **fields)


def sklearn(**fields: Any) -> MLmodel:
    flavor = (GOOD.flavors["sklearn"] or {}) | fields
    return changed(flavors=GOOD.flavors | {"sklearn": flavor})


def trusting(trust: Trust) -> Allowed:
    return dataclasses.replace(ALLOWED, trust=trust)


def refusal(model: MLmodel, allowed: Allowed = ALLOWED) -> tuple[str, str]:
    refused = check(model, allowed)
    assert refused is not None
    return refused.reason, refused.message


def test_a_skops_model_passes_whatever_is_trusted() -> None:
    """Equal minor versions, a signature and skops are all that is needed."""
    for trust in Trust:
        assert check(GOOD, trusting(trust)) is None


@pytest.mark.parametrize("saved", ["pickle", "cloudpickle"])
@pytest.mark.parametrize("trust", [Trust.DATA, Trust.TRUSTED_TYPES])
def test_a_pickle_is_refused_with_the_training_line_to_change(saved: str, trust: Trust) -> None:
    """The message shows how to log with skops instead, and what would allow the pickle."""
    found, message = refusal(sklearn(serialization_format=saved, pickled_model="model.pkl"), trusting(trust))
    assert found == "PickleNotTrusted"
    assert saved in message
    assert "serialization_format='skops'" in message
    assert "trust: Code" in message


@pytest.mark.parametrize(
    ("function", "served"), [("predict", True), ("predict_proba", True), ("predict_log_proba", False), ("score", False)]
)
def test_a_model_is_asked_as_it_was_logged_or_not_at_all(function: str, served: bool) -> None:
    """MLflow would call the function that was logged; another one gives other numbers."""
    flavors = GOOD.flavors | {"python_function": {"predict_fn": function}}
    refused = check(changed(flavors=flavors), ALLOWED)
    assert (refused is None) == served
    if refused is not None:
        assert refused.reason == "UnsupportedPredictFunction"
        assert function in refused.message


def test_an_old_mlmodel_without_a_format_is_a_pickle() -> None:
    """MLflow wrote no format when pickle was the only one."""
    flavors: dict[str, dict[str, Any] | None] = {"sklearn": {"pickled_model": "model.pkl", "sklearn_version": "1.9.1"}}
    assert refusal(changed(flavors=flavors))[0] == "PickleNotTrusted"


@pytest.mark.parametrize(
    ("flavors", "reason", "named"),
    [
        ({"python_function": {}, "prophet": {}}, "CodeNotTrusted", "flavor prophet,"),
        ({"python_function": {}}, "CodeNotTrusted", "flavor python_function,"),
        ({"keras": {}, "another": {}}, "UnsupportedFlavor", "flavors another, keras,"),
        ({}, "UnsupportedFlavor", "flavors none,"),
    ],
)
def test_another_flavor_is_refused_by_name(flavors: dict[str, Any], reason: str, named: str) -> None:
    """The flavor that was found is in the message; MLflow itself runs those with a python_function."""
    found, message = refusal(changed(flavors=flavors))
    assert found == reason
    assert named in message


@pytest.mark.parametrize(
    ("model", "library"),
    [
        (sklearn(sklearn_version="1.7.2"), "scikit-learn 1.7.2"),
        (changed(flavors=GOOD.flavors | {"python_function": {"python_version": "3.12.1"}}), "Python 3.12.1"),
    ],
)
def test_another_minor_version_is_refused_with_both(model: MLmodel, library: str) -> None:
    """The message says what the model has and what the image has."""
    reason, message = refusal(model)
    assert reason == "LibraryMismatch"
    assert library in message
    assert "this server image has" in message


def test_an_onnx_model_may_come_from_any_python() -> None:
    """The file is for no version of Python or of a library; it is data, whatever is trusted."""
    flavors: dict[str, dict[str, Any] | None] = {
        "python_function": {"python_version": "3.13.1"},
        "onnx": {"data": "m.onnx"},
    }
    for trust in Trust:
        assert check(changed(flavors=flavors), trusting(trust)) is None


def booster(**fields: Any) -> MLmodel:
    return changed(flavors={"python_function": {"python_version": "3.14.1"}, "xgboost": fields})


@pytest.mark.parametrize("version", ["3.2.4", "3.1.0", "2.1.4", ""])
def test_a_format_that_newer_libraries_read_may_be_older_than_the_image(version: str) -> None:
    """From any Python: there is none in the file."""
    assert check(booster(model_class="xgboost.sklearn.XGBClassifier", xgb_version=version), ALLOWED) is None


@pytest.mark.parametrize("version", ["3.3.0", "4.0.0", "dev"])
def test_a_format_that_is_newer_than_the_library_is_refused(version: str) -> None:
    """The image cannot know what is in it."""
    reason, message = refusal(booster(xgb_version=version))
    assert reason == "LibraryMismatch"
    assert "xgboost-cpu 3.2 or older" in message


@pytest.mark.parametrize(
    ("flavor", "model_class", "line"),
    [
        ("xgboost", "mine.MyXGBClassifier", "model.get_booster()"),
        ("lightgbm", "mine.MyLGBMClassifier", "model.booster_"),
    ],
)
def test_a_class_that_is_not_served_is_refused_with_the_line_to_log(flavor: str, model_class: str, line: str) -> None:
    """Its methods could answer anything."""
    reason, message = refusal(changed(flavors={flavor: {"model_class": model_class}}))
    assert reason == "UnsupportedFlavor"
    assert model_class in message
    assert line in message


@pytest.mark.parametrize(("saved", "served"), [({"serialization_format": "skops"}, True), ({}, False)])
def test_an_estimator_of_lightgbm_is_served_out_of_skops(saved: dict[str, str], served: bool) -> None:
    """MLflow pickled it before it had skops."""
    refused = check(changed(flavors={"lightgbm": {"model_class": "lightgbm.sklearn.LGBMRanker"} | saved}), ALLOWED)
    assert (refused is None) == served
    if refused is not None:
        assert refused.reason == "PickleNotTrusted"
        assert "serialization_format='skops'" in refused.message


@pytest.mark.parametrize("signature", [None, Signature(None, None), Signature("", None)])
def test_code_without_a_signature_is_refused_with_the_line_to_add(signature: Signature | None) -> None:
    """Requests could not be checked. Files that are data may tell their columns, so these are looked into first."""
    assert check(changed(signature=signature), ALLOWED) is None
    reason, message = refusal(changed(signature=signature, flavors={"python_function": {}}), AS_CODE)
    assert reason == "NoSignature"
    assert "infer_signature" in message


def test_a_signature_that_cannot_be_served_names_the_column() -> None:
    """Columns of lists are not served."""
    reason, message = refusal(changed(signature=Signature('[{"type": "array", "name": "words"}]', None)))
    assert reason == "UnsupportedSignature"
    assert "'words'" in message


def test_a_model_beyond_the_memory_limit_is_refused_with_both_sizes() -> None:
    """Refused before the download; without a limit any size passes."""
    reason, message = refusal(changed(model_size_bytes=2**31))
    assert reason == "ModelTooLarge"
    assert "2048 MiB" in message
    assert "1024 MiB" in message
    boundless = dataclasses.replace(ALLOWED, image=dataclasses.replace(ALLOWED.image, memory_limit=None))
    assert check(changed(model_size_bytes=2**40), boundless) is None


def test_an_artefact_without_mlmodel_says_what_was_found() -> None:
    """A folder that is no model is refused with a few of its names; an empty one too."""
    refused = check_files([ListedFile("weights.bin", 3)], ALLOWED)
    assert refused is not None
    assert refused.reason == "NoMLmodel"
    assert "weights.bin" in refused.message
    assert "nothing" in (check_files([], ALLOWED) or Refused("", "")).message


@pytest.mark.parametrize(
    "path", ["../evil", "sub/../../evil", "/etc/passwd", "..\\evil", "C:\\evil", "a\0b", "a//b", "a/", "a\u200b"]
)
def test_a_name_that_leads_elsewhere_is_refused(path: str) -> None:
    """A hostile listing cannot make us write outside the model folder."""
    refused = check_files([ListedFile("MLmodel", 1), ListedFile(path, 1)], ALLOWED)
    assert refused is not None
    assert refused.reason == "UnsafePath"


def test_too_much_is_refused_before_it_is_downloaded() -> None:
    """Both the number of files and their listed sizes have limits."""
    many = [ListedFile("MLmodel", 1), *(ListedFile(f"f{at}", 1) for at in range(1000))]
    large = [ListedFile("MLmodel", 1), ListedFile("a", 2**29), ListedFile("b", 2**29)]
    assert (check_files(many, ALLOWED) or Refused("", "")).reason == "TooManyFiles"
    assert (check_files(large, ALLOWED) or Refused("", "")).reason == "ModelTooLarge"


@pytest.mark.parametrize(
    "text",
    [
        "[",
        "- 1",
        "flavors: 3",
        "flavors: {sklearn: {pickled_model: [1]}}",
        "x" * 2**21,
    ],
)
def test_an_mlmodel_that_is_none_is_refused(text: str) -> None:
    """Broken YAML, other shapes and huge files are refused and never raise."""
    assert isinstance(parse_mlmodel(text), Refused)


MERGED = "a0: &a0 {x: 1}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}], y{n}: 1}}\n" for n in range(1, 40)
)
MANY = "a0: &a0 [x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 40))


@pytest.mark.parametrize(
    "text",
    [
        MERGED,
        MANY,
        "flavors: &f {sklearn: *f}",
        "model_size_bytes: 1" + ":1" * 400_000,
        'model_size_bytes: !!int ""',
        "model_size_bytes: " + "9" * 100_000,
        "model_size_bytes: !!timestamp x",
        "flavors: {sklearn: !!python/object/apply:os.system [x]}",
        "? [a]\n: b",
        "utc_time_created: 2026-13-45",
        "[" * 5_000,
    ],
    ids=[
        "merges",
        "aliases",
        "cycle",
        "base 60",
        "empty int",
        "digits",
        "timestamp",
        "python",
        "list as key",
        "date",
        "deep",
    ],
)
def test_a_hostile_mlmodel_is_read_or_refused_and_costs_nothing(text: str) -> None:
    """Whatever YAML can do, it is text here: no merges, no numbers, no types."""
    tracemalloc.start()
    try:
        assert isinstance(parse_mlmodel(text), MLmodel | Refused)
        assert tracemalloc.get_traced_memory()[1] < 20 * len(text) + 2**24
    finally:
        tracemalloc.stop()


def test_null_is_nothing_in_an_mlmodel() -> None:
    """MLflow writes what is not there as null."""
    text = "flavors: {python_function: null, sklearn: {code: null}}\nsignature: null\nmodel_size_bytes: null\n"
    model = parse_mlmodel(text)
    assert isinstance(model, MLmodel)
    assert (model.signature, model.model_size_bytes, model.inputs, model.predict_function) == (
        None,
        None,
        "",
        "predict",
    )


def test_an_mlmodel_has_at_most_1048576_characters() -> None:
    """A file of that size is read, and one more character is refused before the file is parsed."""
    largest = "flavors: {}\n#".ljust(1_048_576, "x")
    assert isinstance(parse_mlmodel(largest), MLmodel)
    assert parse_mlmodel(largest + "x") == Refused(
        "BadMLmodel", "the file MLmodel has 1048577 characters, and 1048576 is the limit"
    )
