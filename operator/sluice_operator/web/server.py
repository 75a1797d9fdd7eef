"""The HTTP server of the page: routes, headers, and which page an error becomes. It answers GET, HEAD and two forms."""

import logging
from collections.abc import Awaitable, Callable
from importlib import resources

from aiohttp import web

from sluice_operator import report
from sluice_operator.web import pages, sign_in
from sluice_operator.web.cluster import NoAnswerError, NotAllowedError, NotSignedInError, NotThereError
from sluice_operator.web.pages import paths
from sluice_operator.web.site import VIEWER, Site

_MOST_BYTES = 16_384  # of a form
_CONTENT_SECURITY_POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": _CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # with none, a browser does not say which site a form is of
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "Sluice",  # without its version
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


def application(site: Site) -> web.Application:
    """All paths of the page."""
    made = web.Application(middlewares=[_with_headers, _with_pages_for_errors], client_max_size=_MOST_BYTES)
    namespace, name = f"{{namespace:{paths.NAME}}}", f"{{name:{paths.NAME}}}"
    record = f"{{record:{paths.NAME}}}"
    made.add_routes(
        [
            web.get("/", site.fleet),
            web.get("/namespaces", site.choose),
            web.get(paths.namespace(namespace), site.namespace),
            web.get(paths.model(namespace, name), site.model),
            web.get(paths.run(namespace, name, record), site.run),
            web.post("/sign-in", site.sign_in),
            web.get("/signed-in", site.signed_in),
            web.post("/sign-out", site.sign_out),
            web.get("/style.css", _file("text/css", report.style() + _static("style.css"))),
            web.get("/live.js", _file("text/javascript", _static("live.js"))),
            web.get("/icon.svg", _file("image/svg+xml", _static("icon.svg"))),
            web.get("/healthz", _file("text/plain", "ok\n")),
        ]
    )
    return made


def _static(name: str) -> str:
    return (resources.files(__package__) / "static" / name).read_text(encoding="utf-8")


def _file(kind: str, text: str) -> _Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text=text, content_type=kind, charset="utf-8")

    return answer


@web.middleware
async def _with_headers(request: web.Request, handler: _Handler) -> web.StreamResponse:
    response = await handler(request)
    response.headers.update(_HEADERS)
    return response


@web.middleware
async def _with_pages_for_errors(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except NotSignedInError:
        return _not_signed_in(request)
    except NotAllowedError as error:
        return _page(403, pages.sign_in.not_allowed(str(error), request.get(VIEWER, "")))
    except NotThereError as error:
        return _page(404, pages.sign_in.trouble("Not there", str(error), viewer=request.get(VIEWER, "")))
    except NoAnswerError as error:
        _log.warning("%s", error)
        return _page(502, pages.sign_in.trouble("No answer", f"{error}.", "Try again in a moment."))
    except web.HTTPException as error:
        return _refused(error)
    except Exception:
        _log.exception("%s cannot be answered", request.path)
        return _page(500, pages.sign_in.trouble("A fault", "This page has a fault: its log says which."))


def _not_signed_in(request: web.Request) -> web.Response:
    """The form. A browser does not send the cookie when it comes by a link on another site."""
    trouble = pages.sign_in.NOT_ACCEPTED if sign_in.token_of(request) else ""
    by_link = request.headers.get("Sec-Fetch-Site") == "cross-site"
    response = _page(401, pages.sign_in.form(trouble, sign_in.own_path(request.path), by_link=by_link))
    response.headers["WWW-Authenticate"] = "Bearer"
    if sign_in.COOKIE in request.cookies:
        sign_in.forget(response)
    return response


def _refused(error: web.HTTPException) -> web.Response:
    """What the library refuses: an unknown path, another method, a form that is too long."""
    response = _page(
        error.status, pages.sign_in.trouble(error.reason, "There is no such page, or it takes no such request.")
    )
    if "Allow" in error.headers:
        response.headers["Allow"] = error.headers["Allow"]
    return response


def _page(status: int, text: str) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
