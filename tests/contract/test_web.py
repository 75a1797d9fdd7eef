"""The web page on a real API server, whose RBAC says who sees what; and in a real browser."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from dev import browser as browsers
from tests.contract.conftest import PATIENCE, Kubectl
from tests.contract.web_page import WebPage, create, token_of, web_page
from tests.unit.sluice_operator.web.pages_data import HOSTILE, body
from tests.unit.sluice_operator.web.test_pages import with_hostile_texts

MODEL = "/namespaces/web-a/models/stepping"


@pytest.fixture(scope="module")
def page(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebPage]:
    with web_page(kubectl, tmp_path_factory.mktemp("web")) as running:
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        browsers.find_browser()
    except FileNotFoundError as error:
        pytest.fail(str(error), pytrace=False)
    with browsers.running() as running:
        yield running


class Tab:
    """A tab of the browser, in which a viewer has signed in. `troubles`: what its console and its errors say."""

    def __init__(self, browser: Browser, site: WebPage, **context: Any) -> None:
        self.page: Page = browser.new_page(base_url=site.url, **context)
        self.troubles: list[str] = []
        self.page.on(
            "console", lambda said: self.troubles.append(said.text) if said.type in ("error", "warning") else None
        )
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))

    def sign_in(self, token: str, path: str = "/") -> None:
        self.page.goto(path)
        self.troubles.clear()  # the browser notes that the page with the form has status 401
        self.page.get_by_label("Token for the Kubernetes API").fill(token)
        self.page.keyboard.press("Enter")
        expect(self.page.get_by_text("Signed in as")).to_be_visible()


def test_a_viewer_of_one_namespace_sees_only_that(page: WebPage) -> None:
    """Their own is shown at once; of another one not even what it is called."""
    own = page.get("/", page.viewers.team)
    assert own.status_code == 200
    assert "system:serviceaccount:web-a:team" in own.text
    assert ">stepping</a>" in own.text
    assert "secret-model" not in own.text
    for path in ("/namespaces/web-b", "/namespaces/web-b/models/secret-model", "/namespaces/web-b/models/absent"):
        other = page.get(path, page.viewers.team)
        assert other.status_code == 403
        assert "cannot" in other.text
        assert "Undecided" not in other.text


def test_a_viewer_of_all_namespaces_sees_all_of_them(page: WebPage) -> None:
    """In one table for each namespace."""
    text = page.get("/", page.viewers.everything).text
    assert "Namespace web-a</a></caption>" in text
    assert "Namespace web-b</a></caption>" in text
    assert "secret-model" in text


def test_a_viewer_without_rights_gets_a_sentence(page: WebPage) -> None:
    """That of the API server, and which rights to ask for."""
    for path in ("/", "/namespaces/web-a", MODEL, f"{MODEL}/runs/{page.record}"):
        answer = page.get(path, page.viewers.nothing)
        assert answer.status_code == 403
        assert "system:serviceaccount:web-a:nothing&quot; cannot" in answer.text
        assert "get, list on modeldeployments.sluice.dev" in answer.text


def test_a_token_that_is_wrong_or_no_longer_good_gets_the_form(kubectl: Kubectl, page: WebPage) -> None:
    """With status 401. A token ends with its service account."""
    token = token_of(kubectl, "leaver")
    kubectl("delete", "serviceaccount", "leaver", "--namespace=web-a")
    deadline = time.monotonic() + PATIENCE
    while page.get("/", token).status_code != 401:  # the API server remembers an account for some seconds
        assert time.monotonic() < deadline
    for bad in (token, "nonsense", page.viewers.team[:-8]):
        answer = page.get("/", bad)
        assert answer.status_code == 401
        assert "The API server does not accept this token" in answer.text
        assert 'action="/sign-in"' in answer.text
    assert page.get("/").status_code == 401


def test_the_report_of_a_run_needs_the_right_to_its_record(page: WebPage) -> None:
    """Who may read models only sees that there was a run, and a sentence."""
    path = f"{MODEL}/runs/{page.record}"
    assert "models:/iris/2 was rolled back</h1>" in page.get(path, page.viewers.team).text
    assert page.get(MODEL, page.viewers.without_records).status_code == 200
    refused = page.get(path, page.viewers.without_records)
    assert refused.status_code == 403
    assert "configmaps" in refused.text


def test_what_is_not_there_is_a_sentence(page: WebPage) -> None:
    """Status 404, in the words of the API server."""
    answer = page.get("/namespaces/web-a/models/nobody", page.viewers.team)
    assert answer.status_code == 404
    assert "nobody&quot; not found" in answer.text


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_verb_changes_anything(page: WebPage, method: str) -> None:
    """Not even for a viewer who could change it with the same token elsewhere."""
    headers = {"Authorization": f"Bearer {page.viewers.everything}"}
    answer = httpx.request(method, f"{page.url}{MODEL}", headers=headers)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET,HEAD")


def test_a_viewer_signs_in_by_key_and_comes_to_every_link(page: WebPage, browser: Browser) -> None:
    """The cookie is kept at http://localhost; each link and button gets the focus, and shows it."""
    tab = Tab(browser, page)
    tab.sign_in(page.viewers.team)
    cookie = next(each for each in tab.page.context.cookies() if each["name"] == "__Host-sluice-token")
    assert (cookie["secure"], cookie["httpOnly"], cookie["sameSite"]) == (True, True, "Strict")
    assert tab.page.evaluate("document.cookie") == ""
    tab.page.goto(MODEL)
    wanted = tab.page.locator("a:visible, button:visible, input:visible").count()
    reached = set()
    for _ in range(wanted + 10):
        tab.page.keyboard.press("Tab")
        where = tab.page.evaluate(
            "(() => { const at = document.activeElement, style = getComputedStyle(at);"
            " return [at.matches('a, button, input') ? at.outerHTML : '', style.outlineStyle] })()"
        )
        if where[0]:
            assert where[1] != "none", where
            reached.add(where[0])
    assert len(reached) == wanted
    tab.page.get_by_role("button", name="Sign out").press("Enter")
    expect(tab.page.get_by_label("Token for the Kubernetes API")).to_be_visible()
    assert not tab.page.context.cookies()
    tab.page.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 400)])
def test_each_page_can_be_read_by_everybody(page: WebPage, browser: Browser, scheme: str, width: int) -> None:
    """axe finds nothing, the policy stops nothing, the console is empty, and nothing is wider than the screen."""
    tab = Tab(browser, page, color_scheme=scheme, viewport={"width": width, "height": 800})
    tab.page.goto("/")
    assert violations(tab.page) == []
    tab.sign_in(page.viewers.everything)
    for path in ("/", "/namespaces/web-a", MODEL, f"{MODEL}/runs/{page.record}"):
        tab.page.goto(path)
        assert violations(tab.page) == [], path
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, path
    assert tab.troubles == []
    tab.page.close()


def violations(page: Page) -> list[str]:
    """What axe finds, by the name of each rule and where."""
    found = Axe().run(page).response["violations"]
    return [f"{rule['id']}: {node['target']}" for rule in found for node in rule["nodes"]]


def test_a_page_shows_what_is_new_and_leaves_the_focus(kubectl: Kubectl, page: WebPage, browser: Browser) -> None:
    """In place, with a word for screen readers; and not while the viewer has paused it."""
    create(kubectl, body({"phase": "Pending", "message": "it waits"}, "moving", "web-a"))
    tab = Tab(browser, page)
    tab.sign_in(page.viewers.team, "/namespaces/web-a/models/moving")
    expect(tab.page.get_by_text("it waits")).to_be_visible()
    tab.page.get_by_role("link", name="web-a").focus()
    say(kubectl, "it goes on")
    expect(tab.page.locator("main")).to_contain_text("it goes on", timeout=15_000)
    expect(tab.page.get_by_role("status")).to_contain_text("it goes on")
    expect(tab.page.get_by_role("link", name="web-a")).to_be_focused()
    tab.page.get_by_role("button", name="Pause updates").click()
    expect(tab.page.get_by_role("button", name="Pause updates")).to_have_attribute("aria-pressed", "true")
    say(kubectl, "nobody sees this")
    with tab.page.expect_response("**/moving", timeout=15_000):
        tab.page.get_by_role("button", name="Pause updates").click()
    expect(tab.page.locator("main")).to_contain_text("nobody sees this")
    assert tab.troubles == []
    tab.page.close()


def say(kubectl: Kubectl, message: str) -> None:
    patch = f'{{"status":{{"message":"{message}"}}}}'
    kubectl("patch", "mdep", "moving", "--namespace=web-a", "--subresource=status", "--type=merge", f"--patch={patch}")


def test_hostile_texts_are_texts(kubectl: Kubectl, page: WebPage, browser: Browser) -> None:
    """No script runs, and what is written is what is read."""
    create(kubectl, body(with_hostile_texts(), "hostile", "web-a"))
    tab = Tab(browser, page)
    tab.page.on("dialog", lambda dialog: pytest.fail(f"a script has run: {dialog.message}"))
    tab.sign_in(page.viewers.team)
    for path in ("/", "/namespaces/web-a/models/hostile"):
        tab.page.goto(path)
        expect(tab.page.get_by_text(HOSTILE[:20]).first).to_be_visible()
    assert tab.troubles == []
    tab.page.close()
