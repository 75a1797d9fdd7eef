"""What each path answers: it reads as the viewer, and hands what it has read to a page."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from aiohttp import web

from sluice_operator.web import pages, sign_in
from sluice_operator.web.cluster import Cluster, NotAllowedError, NotSignedInError, Viewer
from sluice_operator.web.pages import paths
from sluice_operator.web.pages.fleet import Models
from sluice_operator.web.reports import Reports

VIEWER = web.RequestKey("viewer", str)  # of a request: what the API server calls whoever sent it
_ACCOUNT = "system:serviceaccount:"  # before the namespace in the name of a service account
_NO_COUNTS = "This is a record without counts: there is nothing to replay."
_NOT_KEPT = (
    "The browser did not keep the token: it does so only over https://, and at http://localhost, as `kubectl "
    "port-forward` has it (Safari not even there)."
)


@dataclass(frozen=True, slots=True)
class Site:
    """`namespaces`: those that the first page shows; without any, all of them, where the viewer may read those."""

    cluster: Cluster
    reports: Reports
    namespaces: Sequence[str]
    clock: Callable[[], datetime]

    async def fleet(self, request: web.Request) -> web.Response:
        """All models that the viewer may list. A service account that may not list all sees those of its namespace."""
        viewer, after = await self._viewer(request), request.query.get("after", "")
        if self.namespaces:
            return self._shown(request, await _each(viewer, self.namespaces))
        try:
            return self._shown(request, await viewer.models(after=after), after=after)
        except NotAllowedError:
            if not (own := _own_namespace(request[VIEWER])):
                raise
        return self._shown(request, await viewer.models(own), own)

    async def namespace(self, request: web.Request) -> web.Response:
        """The models of one namespace."""
        viewer, namespace = await self._viewer(request), request.match_info["namespace"]
        after = request.query.get("after", "")
        return self._shown(request, await viewer.models(namespace, after), namespace, after)

    async def choose(self, request: web.Request) -> web.Response:
        """What the form for a namespace leads to."""
        wanted = request.query.get("name", "").strip()
        return _redirect(paths.namespace(wanted) if re.fullmatch(paths.NAME, wanted) else "/")

    async def model(self, request: web.Request) -> web.Response:
        """One model."""
        viewer, place = await self._viewer(request), request.match_info
        body = await viewer.model(place["namespace"], place["name"])
        return _answer(pages.model.model(body, self.clock(), request[VIEWER]))

    async def run(self, request: web.Request) -> web.Response:
        """One run that has ended."""
        viewer, given = await self._viewer(request), request.match_info
        place, name = (given["namespace"], given["name"], given["record"]), request[VIEWER]
        found = await viewer.record(*place)
        data, packed = found.data.plain(), found.binary_data.packed
        if not packed:
            return _answer(pages.run.without_report(place, name, data, _NO_COUNTS))
        report = await self.reports.of(f"{found.metadata.uid}/{found.metadata.resource_version}", packed)
        if report.trouble:
            return _answer(pages.run.without_report(place, name, data, report.trouble))
        return _answer(pages.run.report(place, name, report))

    async def sign_in(self, request: web.Request) -> web.Response:
        """The form with the token: it is asked for at once who that is."""
        if not sign_in.is_own_form(request):
            return _answer(pages.sign_in.form("Another site has sent this form: sign in here."), 403)
        form = await request.post()
        token, path = str(form.get("token", "")).strip(), sign_in.own_path(str(form.get("path", "/")))
        if trouble := sign_in.trouble(token):
            return _answer(pages.sign_in.form(trouble, path), 400)
        try:
            await Viewer(self.cluster, token).name()
        except NotSignedInError:
            return _answer(pages.sign_in.form(pages.sign_in.NOT_ACCEPTED, path), 401)
        response = _redirect(f"/signed-in?{urlencode({'path': path})}")
        sign_in.keep(response, token)
        return response

    async def signed_in(self, request: web.Request) -> web.Response:
        """Where a browser comes that should have the token now."""
        path = sign_in.own_path(request.query.get("path", "/"))
        if not request.cookies.get(sign_in.COOKIE):
            return _answer(pages.sign_in.form(_NOT_KEPT, path), 400)
        return _redirect(path)

    async def sign_out(self, request: web.Request) -> web.Response:
        """The browser forgets the token."""
        response = _redirect("/")
        if sign_in.is_own_form(request):
            sign_in.forget(response)
        return response

    async def _viewer(self, request: web.Request) -> Viewer:
        """Whoever sent the request; their name stands in it from then on. Raises NotSignedInError."""
        if not (token := sign_in.token_of(request)):
            raise NotSignedInError
        viewer = Viewer(self.cluster, token)
        request[VIEWER] = await viewer.name() or "somebody"
        return viewer

    def _shown(self, request: web.Request, found: Models, namespace: str = "", after: str = "") -> web.Response:
        shown = pages.fleet.fleet(found, self.clock(), request[VIEWER], namespace=namespace, is_first=not after)
        return _answer(shown)


async def _each(viewer: Viewer, namespaces: Sequence[str]) -> Models:
    """The models of those namespaces that the viewer may list. Raises NotAllowedError if that is none of them."""
    found = dict[str, Models]()
    refusal = NotAllowedError("no namespace is to be shown")
    for namespace in namespaces:
        try:
            found[namespace] = await viewer.models(namespace)
        except NotAllowedError as error:
            refusal = error
    if not found:
        raise refusal
    cut = tuple(namespace for namespace, models in found.items() if models.after)
    return Models(tuple(item for models in found.values() for item in models.items), cut=cut)


def _own_namespace(viewer: str) -> str:
    """The namespace of a service account; empty for a person."""
    return viewer.removeprefix(_ACCOUNT).partition(":")[0] if viewer.startswith(_ACCOUNT) else ""


def _answer(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")


def _redirect(path: str) -> web.Response:
    return web.Response(status=303, headers={"Location": path})
