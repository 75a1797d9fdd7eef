"""What is checked of a skops file before it is loaded; whole files are in the tests of fetch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import skops.io
from scipy.stats import loguniform
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import RandomizedSearchCV, TimeSeriesSplit

from sluice_server.runtimes.port import Allowed, Image
from sluice_server.runtimes.safe_types import SAFE_TYPES
from sluice_server.runtimes.skops import check_archive, check_types
from sluice_server.settings import Trust

IMAGE = Image("3.11.7", {"scikit-learn": "1.9.1"}, 2**30)


@pytest.mark.parametrize(
    ("trust", "hint"),
    [
        (Trust.DATA, "set `trust: TrustedTypes`, and have the administrator add them"),
        (Trust.TRUSTED_TYPES, "have the administrator add them to SLUICE_TRUSTED_TYPES"),
    ],
)
def test_types_beyond_the_safe_ones_and_the_operators_list_are_refused(trust: Trust, hint: str) -> None:
    """Those that are neither are named, and the message says what would allow them."""
    allowed = Allowed(trust, ("a.B",), IMAGE)
    refused = check_types(["sklearn.tree._tree.Tree", "posix.system"], allowed)
    assert refused is not None
    assert refused.reason == "UntrustedTypes"
    assert "posix.system" in refused.message
    assert hint in refused.message
    assert "sklearn.tree._tree.Tree" not in refused.message


@pytest.mark.parametrize("kind", ["GridSearchCV", "RandomizedSearchCV", "HalvingGridSearchCV"])
def test_a_search_is_told_to_log_what_it_has_found(kind: str) -> None:
    """Its distributions and splits are in no prediction; whatever they are."""
    for types in (["scipy.stats._distn_infrastructure.rv_continuous_frozen"], ["xgboost.sklearn.XGBClassifier"]):
        refused = check_types(types, Allowed(Trust.DATA, (), IMAGE), root=kind)
        assert refused is not None
        assert "log search.best_estimator_" in refused.message


def test_the_class_of_a_search_is_read_from_its_file(tmp_path: Path) -> None:
    """As `fetch` does before it constructs anything."""
    distribution = {"C": loguniform(0.1, 1)}
    search = RandomizedSearchCV(LogisticRegression(), distribution, n_iter=1, cv=TimeSeriesSplit(2), random_state=0)
    search.fit([[at] for at in range(12)], [0, 1] * 6)
    skops.io.dump(search, tmp_path / "model.skops")
    refused = check_archive(tmp_path, "model.skops", Allowed(Trust.DATA, (), IMAGE), SAFE_TYPES)
    assert refused is not None
    assert "TimeSeriesSplit. It is a RandomizedSearchCV" in refused.message


def test_a_booster_inside_of_a_pipeline_is_told_how_to_be_logged() -> None:
    """No list of types makes it safe: compiled code follows its trees unchecked."""
    for flavor, name in (("xgboost", "XGBoost"), ("lightgbm", "LightGBM")):
        refused = check_types([f"{flavor}.sklearn.AnyClassifier"], Allowed(Trust.DATA, (), IMAGE))
        assert refused is not None
        assert f"an estimator of {name} inside of another one" in refused.message
        assert f"log that estimator alone with mlflow.{flavor}.log_model" in refused.message
        assert "or set trust: Code" in refused.message


def test_safe_types_are_data_and_those_of_the_operator_need_trusted_types() -> None:
    """Under the default, nothing has to be set for a model that is data."""
    for trust in Trust:
        assert check_types(SAFE_TYPES, Allowed(trust, (), IMAGE)) is None
    for trust, allowed in ((Trust.DATA, False), (Trust.TRUSTED_TYPES, True)):
        assert (check_types(["a.B"], Allowed(trust, ("a.B",), IMAGE)) is None) == allowed


def test_the_runtimes_are_known_without_their_libraries() -> None:
    """The serving process answers health checks before scikit-learn, which takes most of a start, is imported."""
    code = "import sys; import sluice_server.process.serve; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "skops", "mlflow", "xgboost", "lightgbm"} & set(found)
    assert "sluice_server.runtimes.skops" in found
