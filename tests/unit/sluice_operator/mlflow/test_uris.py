"""The grammar of model URIs: each form, and the hint for other texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sluice_operator.mlflow.uris import ByAlias, ByStage, ByVersion, LoggedModel, ModelUri, RunModel, Unreadable, parse
from tests.unit.growth import LINEAR, growth


@pytest.mark.parametrize(
    ("uri", "form"),
    [
        ("models:/iris/3", ByVersion("iris", "3")),
        ("models:/iris@champion", ByAlias("iris", "champion")),
        ("models:/iris/latest", ByAlias("iris", "latest")),
        ("models:/iris/LATEST", ByAlias("iris", "latest")),
        ("models:/iris/Production", ByStage("iris", "Production")),
        ("models:/iris/staging", ByStage("iris", "Staging")),
        ("models:/iris/ARCHIVED", ByStage("iris", "Archived")),
        ("models:/iris/none", ByStage("iris", "None")),
        ("models:/m-0a1b2c", LoggedModel("m-0a1b2c")),
        ("models:/my model.v2/3", ByVersion("my model.v2", "3")),
        ("runs:/0a1b2c/model", RunModel("0a1b2c", "model")),
        ("runs:/0a1b2c/nested/model/", RunModel("0a1b2c", "nested/model")),
    ],
)
def test_each_form_is_recognised(uri: str, form: ModelUri) -> None:
    """From the text, without a request."""
    assert parse(uri) == form


def test_a_long_path_takes_no_more_time_than_it_has_length() -> None:
    """Whoever may apply a ModelDeployment must not stop the operator of all."""
    assert growth(lambda length: parse(f"runs:/0a1b2c/{'a' * length}\n\n")) < LINEAR
    assert growth(lambda length: parse(f"runs:/0a1b2c/{'/' * length}\n\n")) < LINEAR


FORMS = "write models:/NAME@ALIAS, models:/NAME/VERSION, models:/NAME/latest, models:/m-ID or runs:/RUN/PATH"


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("models:/iris/champion", "'champion' is no version and no stage; for the alias write models:/iris@champion"),
        ("models:/iris/v3", "'v3' is no version and no stage; for the alias write models:/iris@v3"),
        ("models:/iris", f"'models:/iris' names no version: {FORMS}"),
        ("models:/iris@", f"'models:/iris@' names no version: {FORMS}"),
        ("models:/@champion", f"'models:/@champion' names no version: {FORMS}"),
        ("models:/iris/3/extra", f"'models:/iris/3/extra' has too many or empty parts: {FORMS}"),
        ("s3://bucket/model", f"'s3://bucket/model' is neither in the registry nor a run's: {FORMS}"),
        ("iris", f"'iris' is neither in the registry nor a run's: {FORMS}"),
        ("", f"'' is neither in the registry nor a run's: {FORMS}"),
        ("runs:/0a1b2c", f"'runs:/0a1b2c' is neither in the registry nor a run's: {FORMS}"),
        ("runs:/0a1b2c//", f"'runs:/0a1b2c//' is neither in the registry nor a run's: {FORMS}"),
    ],
)
def test_an_unknown_form_gets_a_hint(uri: str, message: str) -> None:
    """The message says what to write."""
    assert parse(uri) == Unreadable(message)


@given(st.text(max_size=40) | st.text("models:/runs@-0a", max_size=40))
def test_any_text_gives_a_form_or_a_hint(text: str) -> None:
    """It never raises, and no form has an empty part."""
    form = parse(text)
    assert isinstance(form, Unreadable) or all(getattr(form, field) for field in form.__slots__)
