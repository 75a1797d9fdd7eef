"""The page asks as its viewer, answers reads alone, and keeps the token where no script and no other site gets it."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
import yarl

from sluice_operator.api import names
from sluice_operator.http_client import Answer, HttpError, Request
from sluice_operator.web import sign_in
from sluice_operator.web.cluster import Cluster, Viewer
from tests.unit.sluice_operator.cli.terminal import a_record, config_map
from tests.unit.sluice_operator.web.fake_cluster import EVERYWHERE, URL, FakeCluster, browser
from tests.unit.sluice_operator.web.pages_data import body, stepping

JANE = {"Authorization": "Bearer jane-token"}
BY_COOKIE = {"Cookie": f"{sign_in.COOKIE}=jane-token"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PAGES = ["/", "/namespaces/models", "/namespaces/models/models/iris", "/namespaces/models/models/iris/runs/none"]

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def a_cluster(**changes: Any) -> FakeCluster:
    return FakeCluster([body(stepping()), body(stepping(), "churn", "others")], **changes)


@pytest.mark.parametrize("path", PAGES)
async def test_without_a_token_there_is_a_form_and_nothing_is_asked(path: str) -> None:
    """Status 401; the form leads back to the page."""
    cluster = a_cluster()
    async with browser(cluster) as client:
        answer = await client.get(path)
        text = await answer.text()
    assert answer.status == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert f'value="{path}"' in text
    assert cluster.asked == []


@pytest.mark.parametrize("headers", [JANE, BY_COOKIE])
async def test_each_read_is_made_with_the_token_of_the_viewer(headers: dict[str, str]) -> None:
    """The page has none of its own."""
    cluster = a_cluster()
    async with browser(cluster) as client:
        for path in PAGES[:3]:
            assert "Signed in as <b>jane</b>" in await (await client.get(path, headers=headers)).text()
    assert {request.headers["Authorization"] for request in cluster.asked} == {"Bearer jane-token"}
    assert {request.method for request in cluster.asked if not request.url.endswith("selfsubjectreviews")} == {"GET"}


async def test_a_token_that_is_no_longer_accepted_asks_for_another_one() -> None:
    """Status 401, a sentence, and the browser forgets it."""
    async with browser(a_cluster(may={})) as client:
        answer = await client.get("/namespaces/models", headers=BY_COOKIE)
        text = await answer.text()
    assert answer.status == 401
    assert "it has expired" in text
    assert "Max-Age=0" in answer.headers["Set-Cookie"]


async def test_a_viewer_sees_the_namespaces_of_their_rights() -> None:
    """Neither the list of all of them nor another one; a sentence says why, and the form asks for a namespace."""
    async with browser(a_cluster(may={"jane-token": ("models",)})) as client:
        everything = await client.get("/", headers=JANE)
        own = await client.get("/namespaces/models", headers=JANE)
        other = await client.get("/namespaces/others/models/churn", headers=JANE)
        assert (everything.status, own.status, other.status) == (403, 200, 403)
        refusal, shown = await everything.text(), await own.text()
    assert "no right in all namespaces" in refusal
    assert 'action="/namespaces"' in refusal
    assert 'action="/sign-out"' in refusal
    assert "churn" not in refusal
    assert ">iris</a>" in shown
    assert "churn" not in shown


@pytest.mark.parametrize(
    ("name", "path"), [("models", "/namespaces/models"), ("../evil", "/"), ("A_B", "/"), ("", "/")]
)
async def test_the_form_for_a_namespace_leads_to_it(name: str, path: str) -> None:
    """Whatever cannot be the name of one leads to the first page."""
    async with browser(a_cluster()) as client:
        answer = await client.get("/namespaces", params={"name": name}, allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, path)


async def test_a_page_for_some_namespaces_shows_those_that_the_viewer_may_read() -> None:
    """Of those that it was started with; without any right in them, a sentence."""
    cluster = a_cluster(may={"jane-token": ("models",), "joe-token": ("elsewhere",), "admin-token": (EVERYWHERE,)})
    async with browser(cluster, "others", "models") as client:
        texts = []
        for person in ("jane", "joe", "admin"):
            answer = await client.get("/", headers={"Authorization": f"Bearer {person}-token"})
            texts.append((answer.status, await answer.text()))
    (jane, joe, admin) = texts
    assert jane[0] == 200
    assert "Namespace models" in jane[1]
    assert "Namespace others" not in jane[1]
    assert joe[0] == 403
    assert "Namespace others" in admin[1]


async def test_a_service_account_begins_in_its_own_namespace() -> None:
    """Where it may not read all of them."""
    cluster = a_cluster(may={"jane-token": ("models",)}, named={"jane-token": "system:serviceaccount:models:jane"})
    async with browser(cluster) as client:
        answer = await client.get("/", headers=JANE)
        text = await answer.text()
    assert answer.status == 200
    assert ">iris</a>" in text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize("path", [*PAGES, "/namespaces", "/signed-in", "/style.css", "/healthz"])
async def test_no_page_takes_anything_but_reads(method: str, path: str) -> None:
    """Status 405, with what is allowed, and nothing is asked."""
    cluster = a_cluster()
    async with browser(cluster) as client:
        answer = await client.request(method, path, headers=JANE)
    assert answer.status == 405
    assert answer.headers["Allow"] == "GET,HEAD"
    assert cluster.asked == []


@pytest.mark.parametrize("path", [*PAGES, "/style.css", "/live.js", "/icon.svg", "/nothing", "/namespaces/A_B"])
async def test_every_answer_forbids_what_a_page_does_not_need(path: str) -> None:
    """No inline script or style, no other site, no frame, no copy in a cache."""
    async with browser(a_cluster()) as client:
        headers = (await client.get(path, headers=JANE)).headers
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    assert policy["default-src"] == "'none'"
    assert policy["frame-ancestors"] == "'none'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


async def test_signing_in_keeps_the_token_for_this_host_alone() -> None:
    """No script reads the cookie, no other site sends it, and it goes over TLS only; then the page that was wanted."""
    async with browser(a_cluster()) as client:
        form = {"token": " jane-token\n", "path": "/namespaces/models"}
        answer = await client.post("/sign-in", data=form, allow_redirects=False)
        cookie = answer.headers["Set-Cookie"]
        back = await client.get(answer.headers["Location"], headers=BY_COOKIE, allow_redirects=False)
    assert answer.status == 303
    assert cookie.startswith("__Host-sluice-token=jane-token; ")
    assert set(cookie.split("; ")[1:]) == {"HttpOnly", "Path=/", "SameSite=Strict", "Secure"}
    assert (back.status, back.headers["Location"]) == (303, "/namespaces/models")


async def test_a_browser_that_keeps_no_cookie_is_told_so() -> None:
    """In place of the form again, without a word."""
    async with browser(a_cluster()) as client:
        answer = await client.get("/signed-in?path=/")
        text = await answer.text()
    assert answer.status == 400
    assert "The browser did not keep the token" in text


@pytest.mark.parametrize(
    ("token", "status", "sentence"),
    [
        ("", 400, "No token was entered"),
        ("expired-token", 401, "The API server does not accept this token"),
        ("two words", 400, "This is no token"),
        ("x\r\nSet-Cookie: a=b", 400, "This is no token"),
        ("a" * 4001, 400, "4,001 characters"),
    ],
)
async def test_what_is_no_token_is_not_kept(token: str, status: int, sentence: str) -> None:
    """The form comes again, with what is wrong, and the token is not in it."""
    async with browser(a_cluster()) as client:
        answer = await client.post("/sign-in", data={"token": token, "path": "/"}, allow_redirects=False)
        text = await answer.text()
    assert answer.status == status
    assert sentence in text
    assert "Set-Cookie" not in answer.headers
    assert not token or token not in text


@pytest.mark.parametrize(
    "path", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a?b=c\r\nX: y"]
)
async def test_signing_in_leads_to_no_other_site(path: str) -> None:
    """Such a path becomes that of the first page."""
    async with browser(a_cluster()) as client:
        answer = await client.post("/sign-in", data={"token": "jane-token", "path": path}, allow_redirects=False)
        after = await client.get(
            f"/signed-in?{yarl.URL.build(query={'path': path}).query_string}", headers=BY_COOKIE, allow_redirects=False
        )
    assert answer.headers["Location"] == "/signed-in?path=%2F"
    assert after.headers["Location"] == "/"


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {"Origin": "null"}]
)
async def test_a_form_of_another_site_signs_nobody_in_or_out(headers: dict[str, str]) -> None:
    """Otherwise it could show its own models to others as theirs."""
    cluster = a_cluster()
    async with browser(cluster) as client:
        answer = await client.post("/sign-in", data={"token": "jane-token"}, headers=headers, allow_redirects=False)
        out = await client.post("/sign-out", headers=headers, allow_redirects=False)
    assert answer.status == 403
    assert "Set-Cookie" not in {**answer.headers, **out.headers}
    assert cluster.asked == []


@pytest.mark.parametrize("headers", [{"Origin": "https://sluice.example", "Sec-Fetch-Site": "same-origin"}, {}])
async def test_a_form_behind_a_proxy_signs_in(headers: dict[str, str]) -> None:
    """Though the proxy asks for another host than the browser did; so does what is no browser."""
    async with browser(a_cluster()) as client:
        answer = await client.post("/sign-in", data={"token": "jane-token"}, headers=headers, allow_redirects=False)
    assert answer.status == 303


async def test_a_link_on_another_site_leads_to_the_page() -> None:
    """A browser does not send the cookie with it; the form says what to do."""
    async with browser(a_cluster()) as client:
        headers = {"Sec-Fetch-Site": "cross-site"}
        text = await (await client.get("/namespaces/models", headers=headers)).text()
    assert '<a href="/namespaces/models">open the page</a>' in text


async def test_a_form_that_is_too_long_is_refused() -> None:
    """Before it is read."""
    async with browser(a_cluster()) as client:
        answer = await client.post("/sign-in", data="token=" + "a" * 100_000, headers=FORM)
    assert answer.status == 413


async def test_a_long_list_comes_in_parts() -> None:
    """Each with a link to the next one."""
    cluster = FakeCluster([body(stepping(), f"iris-{number}") for number in range(3)], page=2)
    async with browser(cluster) as client:
        first = await (await client.get("/", headers=JANE)).text()
        second = await (await client.get("/?after=2", headers=JANE)).text()
    assert 'href="/?after=2"' in first
    assert "iris-2<" not in first
    assert "iris-2<" in second
    assert "Next models" not in second


async def test_large_objects_come_fewer_at_a_time() -> None:
    """All of them can be seen, one part after the other; what is large in them is not read at all."""
    bodies = [body(stepping(), f"iris-{number}") for number in range(12)]
    for each in bodies:
        each["spec"] = {**each["spec"], "server": {"podTemplate": {"spec": {"x": "x" * 1_400_000}}}}
    cluster, path, seen = FakeCluster(bodies), "/", list[str]()
    async with browser(cluster) as client:
        while path:
            text = await (await client.get(path, headers=JANE)).text()
            seen += re.findall(r">(iris-\d+)<", text)
            path = "".join(re.findall(r'href="([^"]+)" rel="next"', text))
    assert seen == [f"iris-{number}" for number in range(12)]
    assert "server" not in (await Viewer(Cluster(cluster, URL), "jane-token").model("models", "iris-1"))["spec"]


async def test_an_object_that_is_nested_too_deeply_hides_no_other_one() -> None:
    """The API server takes more brackets in one another than can be read here."""

    class Deep(FakeCluster):
        async def ask(self, request: Request) -> Answer:
            answer = await super().ask(request)
            return replace(answer, body=(answer.body or b"").replace(b'"@"', b"[" * 9_000 + b"]" * 9_000))

    deep = body(stepping(), "deep")
    deep["spec"] = {**deep["spec"], "server": {"podTemplate": "@"}}
    async with browser(Deep([body(stepping()), deep])) as client:
        everything = await (await client.get("/", headers=JANE)).text()
        alone = await client.get("/namespaces/models/models/deep", headers=JANE)
    assert ">iris</a>" in everything
    assert ">deep</a>" in everything
    assert alone.status == 200


async def test_another_config_map_is_no_run() -> None:
    """Not even for a viewer who may read it."""
    other = {"kind": "ConfigMap", "metadata": {"name": "passwords", "namespace": "models"}, "data": {"key": "s3cret"}}
    of_other = config_map(a_record())
    async with browser(FakeCluster([other, of_other])) as client:
        record = of_other["metadata"]["name"]
        for path in ("iris/runs/passwords", f"churn/runs/{record}"):
            answer = await client.get(f"/namespaces/models/models/{path}", headers=JANE)
            assert answer.status == 404
            assert "s3cret" not in await answer.text()


async def test_a_record_without_counts_says_how_the_run_ended() -> None:
    """And that there is nothing to replay."""
    record = config_map(a_record())
    del record["binaryData"]
    async with browser(FakeCluster([record])) as client:
        path = f"/namespaces/models/models/iris/runs/{record['metadata']['name']}"
        answer = await client.get(path, headers=JANE)
        text = await answer.text()
    assert answer.status == 200
    assert record["metadata"]["labels"][names.LABEL_OWNER] == "iris"
    assert "models:/iris/2: Promoted" in text
    assert "there is nothing to replay" in text


async def test_an_api_server_without_an_answer_is_a_sentence() -> None:
    """Status 502, and what to do."""

    class Silent(FakeCluster):
        async def ask(self, request: Request) -> Answer:
            raise HttpError("no connection within 10 s")

    async with browser(Silent()) as client:
        answer = await client.get("/", headers=JANE)
        text = await answer.text()
    assert answer.status == 502
    assert "the API server gives no answer: no connection within 10 s" in text
