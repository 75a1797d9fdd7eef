"""From a webhook of MLflow to a repository dispatch: whose messages are believed, and which of them are handed on."""

import base64
import hashlib
import hmac
from typing import Any

import pytest

from dev.workflows.relay import Delivery, Wanted, main, payload, signed

NOW = 1_772_366_400.0
BODY = b'{"entity": "model_version_alias"}'
WANTED = Wanted("iris", "champion")


def delivery(sent: str = str(int(NOW)), secret: str = "secret", body: bytes = BODY) -> Delivery:
    """As MLflow signs it: HMAC-SHA256 of id, time and body."""
    code = hmac.new(secret.encode(), b"d1." + sent.encode() + b"." + body, hashlib.sha256).digest()
    return Delivery("d1", sent, f"v1,{base64.b64encode(code).decode()}")


def test_a_message_with_mlflows_signature_is_believed() -> None:
    """Also some minutes later: clocks differ, and MLflow tries again."""
    assert signed("secret", delivery(), BODY, NOW)
    assert signed("secret", delivery(), BODY, NOW + 299)


@pytest.mark.parametrize(
    ("sent", "body", "now"),
    [
        pytest.param(delivery(secret="other"), BODY, NOW, id="another secret"),
        pytest.param(delivery(), BODY + b" ", NOW, id="another body"),
        pytest.param(Delivery("d2", delivery().sent, delivery().signature), BODY, NOW, id="another id"),
        pytest.param(delivery(), BODY, NOW + 301, id="an old one, sent again"),
        pytest.param(delivery(str(int(NOW) + 301)), BODY, NOW, id="of the future"),
        pytest.param(delivery("yesterday"), BODY, NOW, id="no time"),
        pytest.param(delivery("9" * 400), BODY, NOW, id="a number that is no time"),
        pytest.param(Delivery("", "", ""), BODY, NOW, id="no headers"),
        pytest.param(Delivery("d1", delivery().sent, "ä"), BODY, NOW, id="no base64"),
    ],
)
def test_any_other_message_is_not(sent: Delivery, body: bytes, now: float) -> None:
    """Whoever reaches the port could start deployments."""
    assert not signed("secret", sent, body, now)


def event(**changes: Any) -> dict[str, Any]:
    data = {"name": "iris", "alias": "champion", "version": "7"}
    return {"entity": "model_version_alias", "action": "created", "data": data, **changes}


def test_the_version_is_handed_on_by_its_number() -> None:
    """The alias may point elsewhere when the workflow runs."""
    assert payload(event(), WANTED) == {"model_uri": "models:/iris/7", "alias": "champion"}


@pytest.mark.parametrize(
    "other",
    [
        event(entity="model_version"),
        event(action="deleted"),
        event(data={"name": "other", "alias": "champion", "version": "7"}),
        event(data={"name": "iris", "alias": "challenger", "version": "7"}),
        event(data={"name": "iris", "alias": "champion", "version": "$(id)"}),
        event(data={"name": "iris", "alias": "champion"}),
        event(data=None),
        [],
        "text",
    ],
)
def test_all_other_events_start_nothing(other: Any) -> None:
    """MLflow sends those of all models, and an example when it is asked to test the webhook."""
    assert payload(other, WANTED) is None


def test_missing_settings_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    """All at once, with exit code 2."""
    assert main({"MLFLOW_MODEL_NAME": "iris"}) == 2
    assert "MLFLOW_WEBHOOK_SECRET, GITHUB_REPOSITORY, GITHUB_TOKEN" in capsys.readouterr().err
