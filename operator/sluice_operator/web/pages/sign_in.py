"""The form that asks for a token, and the pages that say why there is nothing to see."""

from sluice_operator.report.markup import Markup, tag
from sluice_operator.web.pages.fleet import choose_namespace
from sluice_operator.web.pages.layout import Frame, page

_ROLE = "get, list on modeldeployments.sluice.dev, and get on configmaps for the reports of runs"
NOT_ACCEPTED = "The API server does not accept this token: it has expired, or is of another cluster. Sign in again."


def form(trouble: str = "", path: str = "/", *, by_link: bool = False) -> str:
    """The form. `trouble`: what is wrong with the token before. `path`: the page that the viewer wanted to see.
    `by_link`: the viewer comes from another site, and may have signed in already.
    """
    already = tag("p", "You came by a link. If you have signed in already, ", tag("a", "open the page", href=path), ".")
    return page(
        Frame("Sign in"),
        tag("h1", "Sign in"),
        tag("p", trouble, class_="notice", role="alert", id="trouble") if trouble else "",
        tag(
            "form",
            tag("label", "Token for the Kubernetes API", for_="token"),
            tag(
                "input",
                id="token",
                name="token",
                type="password",
                autocomplete="off",
                spellcheck="false",
                required="",
                aria_describedby="trouble help" if trouble else "help",
            ),
            tag("input", type="hidden", name="path", value=path),
            tag("button", "Sign in", type="submit"),
            method="post",
            action="/sign-in",
            class_="sign-in",
        ),
        already if by_link else "",
        tag("div", *_help(), id="help"),
    )


def _help() -> tuple[Markup, ...]:
    return (
        tag(
            "p",
            "The page asks the API server with your token, and shows what you may read there. It changes nothing. The "
            "token stays in this browser until you sign out or close it.",
        ),
        tag("p", "A token of a service account, for eight hours:"),
        tag("pre", tag("code", "kubectl create token NAME --namespace NAMESPACE --duration 8h")),
        tag("p", "Your own, where your kubeconfig has one:"),
        tag("pre", tag("code", "kubectl config view --raw --minify --output jsonpath='{.users[0].user.token}'")),
    )


def trouble(title: str, sentence: str, advice: str = "", *, viewer: str = "", choose: bool = False) -> str:
    """A page that says why there is nothing to see, and what to do. `choose`: it asks for a namespace."""
    return page(
        Frame(title, viewer),
        tag("h1", title),
        tag("p", sentence, class_="notice"),
        tag("p", advice) if advice else "",
        choose_namespace() if choose else "",
    )


def not_allowed(sentence: str, viewer: str = "") -> str:
    """The viewer lacks a right. That for one namespace may be enough."""
    advice = f"Name a namespace that you may read, or ask an administrator for the rights: {_ROLE} (docs/web.md)."
    return trouble("Not allowed", f"The API server says: {sentence}", advice, viewer=viewer, choose=True)
