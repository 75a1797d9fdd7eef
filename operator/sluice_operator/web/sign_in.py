"""Where the token of a viewer comes from, and where it is kept: a header, or a cookie of the browser."""

import re

from aiohttp import web

COOKIE = "__Host-sluice-token"
MOST = 4000  # characters: browsers drop a larger cookie without a word
_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
_OWN_PATH = re.compile(r"/(?!/)[A-Za-z0-9/._-]*")


def token_of(request: web.Request) -> str:
    """The token that a request brings; empty if it brings none. The header is before the cookie, as from a proxy."""
    scheme, _, value = request.headers.get("Authorization", "").partition(" ")
    given = value.strip() if scheme.lower() == "bearer" else request.cookies.get(COOKIE, "")
    return given if _TOKEN.fullmatch(given) else ""


def trouble(token: str) -> str:
    """Why this text cannot be a token that a cookie holds; empty if it can be."""
    if not token:
        return "No token was entered."
    if not _TOKEN.fullmatch(token):
        return "This is no token: it has characters that tokens do not have. Paste it as one line, without quotes."
    if len(token) > MOST:
        return (
            f"The token has {len(token):,} characters, and a cookie holds {MOST:,}: let a proxy send it in the header "
            f"Authorization."
        )
    return ""


def own_path(path: str) -> str:
    """The path of this site that a form has brought; that of the first page if it is none."""
    return path if _OWN_PATH.fullmatch(path) else "/"


def keep(response: web.StreamResponse, token: str) -> None:
    """Let the browser keep the token until it is closed, and send it to this host alone and over TLS alone.

    Browsers take `localhost` for safe without TLS; so `kubectl port-forward` works.
    """
    response.set_cookie(COOKIE, token, path="/", secure=True, httponly=True, samesite="Strict")


def forget(response: web.StreamResponse) -> None:
    """Let the browser delete the token."""
    response.del_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="Strict")


def is_own_form(request: web.Request) -> bool:
    """Whether a form of this site sent the request, and not one of another site. Without a header, no browser did.

    Over plain http browsers say only the origin, which is another one behind a proxy that changes the host.
    """
    if site := request.headers.get("Sec-Fetch-Site"):
        return site == "same-origin"
    origin = request.headers.get("Origin", "")
    return not origin or origin.partition("://")[2] == request.host
