"""What is said about an answer that is not MLflow's, or that refuses the login: what was found, and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from sluice_operator.api.observation import Denied, Unreachable
from sluice_operator.mlflow.connection import Connection
from tests.unit.sluice_operator.build import model
from tests.unit.sluice_operator.loopback import Behaviour
from tests.unit.sluice_operator.mlflow.test_client import HOME, Server, answers


def html(page: str, status: int = 200) -> Behaviour:
    return lambda _: web.Response(status=status, text=page, content_type="text/html")


PACKED = b"not packed at all"  # whoever unpacked it would say so: a kilobyte took 1.26 GB and 17 s
AT_HOME = f"MLflow at {HOME} gave no usable answer"
NO_API = f"where MLflow's API should be: is the address right, with its path, such as {HOME}/mlflow?"


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            html("<html><title>Welcome to\n nginx!</title></html>"),
            f"{AT_HOME}: HTTP 200 with a page of HTML ('Welcome to nginx!') {NO_API}",
        ),
        (html("<h1>404</h1>", 404), f"{AT_HOME}: HTTP 404 with a page of HTML {NO_API}"),
        (answers({"detail": "Not Found"}, 404), f"{AT_HOME}: HTTP 404 with something else {NO_API}"),
        (html("", 502), f"{AT_HOME}: HTTP 502 with something else {NO_API}"),
        (
            lambda _: web.Response(status=302, headers={"location": "https://user:pass@login.example/?next=x"}),
            f"{AT_HOME}: HTTP 302 to login.example, and redirects are not followed: write the address that answers,"
            " with its path",
        ),
        (answers({"error_code": "INTERNAL_ERROR", "message": "boom"}, 500), f"{AT_HOME}: HTTP 500, boom"),
        (answers(["x"]), f"{AT_HOME}: its JSON is not an answer of MLflow (Expected `object`, got `array`)"),
        (
            answers({"model_version": 3}),
            f"{AT_HOME}: its JSON is not an answer of MLflow (Expected `object`, got `int` - at `$.model_version`)",
        ),
        (
            lambda _: web.Response(body=PACKED, headers={"Content-Encoding": "gzip, gzip"}),
            f"{AT_HOME}: it is compressed (gzip, gzip), which was not asked for",
        ),
    ],
)
def test_the_message_names_what_was_found_at_the_address(answer: Behaviour, message: str) -> None:
    """A person sees that the path prefix is missing, and not what a parser expected."""
    assert Server(answer).resolve() == Unreachable(message)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_login_is_neither_an_outage_nor_a_missing_model(status: int) -> None:
    """Without credentials, the message says where to write some."""
    denied = Server(html("You are not authenticated", status)).resolve()
    assert denied == Denied(
        "RegistryLoginRefused",
        f"MLflow at {HOME} asks for a login (HTTP {status}): name a Secret with token, or username and password, in"
        " model.registry.credentialsSecret",
    )


def test_a_host_name_that_mlflow_does_not_know_is_told_as_that() -> None:
    """MLflow answers 403 to Service names that are not on its list, which is no matter of credentials."""
    denied = Server(html("Invalid Host header - possible DNS rebinding attack detected", 403)).resolve()
    assert denied == Denied(
        "RegistryHostRefused",
        f"MLflow at {HOME} does not answer to this host name: start it with --allowed-hosts mlflow.mlflow.svc:5000 in"
        " addition to its other hosts",
    )


def test_a_long_answer_is_not_read() -> None:
    """The operator's memory is not the registry's to fill."""
    sent = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal sent
        while True:
            sent += 1
            yield b" " * 1_000_000

    resolution = Server(lambda _: web.Response(body=endless())).resolve()
    assert resolution == Unreachable(f"{AT_HOME}: it is longer than 4 MB, and is not read")
    assert sent < 20, "sockets on the way hold some more"


def test_a_page_of_a_stranger_fills_no_condition() -> None:
    """Texts from outside are cut, and on one line."""
    resolution = Server(html(f"<title>{'x' * 5000}\n</title>")).resolve()
    assert isinstance(resolution, Unreachable)
    assert len(resolution.message) < 500


def test_each_kind_of_question_tells_a_refused_login() -> None:
    """A hold-out that may not be read is no hold-out that is missing: the model is not to blame."""
    answer = Server(html("no", 401)).asked(lambda registry: registry.hold_out(model(1), Connection()))
    assert isinstance(answer, Denied)
