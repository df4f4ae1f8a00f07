"""The UI's table of pages."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote

import msgspec
from starlette.responses import Response

from mesh.access.identity import ANONYMOUS, IDENTITY_KEY, Access
from mesh.core.runtime import Runtime
from mesh.ui.alerts import Alerts
from mesh.ui.pages import Gathered, Pages, static
from mesh.ui.session import LIFETIME, LOGIN_COOKIE, SESSION_COOKIE, Session, Sessions
from mesh.ui.views import Page, Views
from mesh.web.http import Call, Endpoint, Handler, Operation, Parameter
from mesh.web.problem import ProblemError
from mesh.web.upstream import Upstreams


def endpoints(runtime: Runtime) -> list[Endpoint]:
    ui = _Ui(runtime)
    # Pages are open to the shell because a browser brings a session, not a bearer token; `page` asks for it.
    return [
        *(_page(path, ui.page(page), *parameters) for path, page, parameters in ui.views.table()),
        _static("style.css", "The style sheet of all pages.", "text/css"),
        _static("icon.svg", "The icon in the browser's tab.", "image/svg+xml"),
        _page("/login", ui.login_form, Parameter("next", str, "Where to go after the login.")),
        Operation("POST", "/login", Access.OPEN, 303, body=Login, **_form("Begin a session.", 200, 401, 503)).by(
            ui.login
        ),
        Operation("POST", "/logout", Access.OPEN, 303, body=Logout, **_form("End the session.")).by(ui.logout),
    ]


class Login(msgspec.Struct):
    """The form of the login page."""

    token: str
    form_token: str
    next: str = "/"


class Logout(msgspec.Struct):
    form_token: str


def _page(path: str, handler: Handler, *parameters: Parameter) -> Endpoint:
    page = Operation(
        "GET",
        path,
        Access.OPEN,
        summary=f"The page {path}.",
        parameters=parameters,
        also=(303, 400, 403, 404, 502, 503),
        errors=(429,),
        content="text/html",
    )
    return page.by(handler)


def _static(name: str, summary: str, content: str) -> Endpoint:
    async def send(_call: Call) -> Response:
        return static(name, content)

    return Operation("GET", f"/static/{name}", Access.OPEN, summary=summary, content=content).by(send)


def _form(summary: str, *also: int) -> dict[str, Any]:
    takes = "application/x-www-form-urlencoded"
    return {"summary": summary, "takes": takes, "content": "text/html", "also": (*also, 403), "errors": (503,)}


class _Ui:
    def __init__(self, runtime: Runtime) -> None:
        self._settings = runtime.settings
        self._credentials = runtime.credentials
        self._cache = runtime.cache
        upstreams = Upstreams(runtime)
        alerts = Alerts(upstreams, runtime.settings.alerts)
        self.views = Views(upstreams, runtime.settings.public_url, alerts)
        self._pages = Pages(runtime.settings)
        # With MESH_AUTH off there are no sessions, so a key of this process's own will do.
        self._sessions = Sessions(runtime.settings.session_key or secrets.token_hex(32))

    def page(self, build: Page) -> Callable[[Call], Awaitable[Response]]:
        async def handle(call: Call) -> Response:
            session = await self._session(call)
            path = call.request.url.path
            if self._settings.auth and session is None:
                query = call.request.url.query
                return self._pages.redirect(f"/login?next={quote(path + ('?' + query if query else ''), safe='')}")
            identity = session.identity if session else ANONYMOUS
            if session:
                # The services do not count what another service asks of them for a caller.
                await call.runtime.limiter.admit(identity.subject)
            gathered = Gathered()
            template, values = await build(replace(call, identity=identity), gathered)
            return self._pages.render(
                template,
                path=path,
                status=gathered.status,
                problems=[problem.detail for problem in gathered.problems],
                user=identity if session else None,
                form_token=self._sessions.form_token("logout", session.nonce) if session else None,
                **values,
            )

        return handle

    async def login_form(self, call: Call) -> Response:
        return self._login_page(call, _local(call.query("next")), None)

    async def login(self, call: Call) -> Response:
        form = {name: values[0] for name, values in parse_qs((await call.body()).decode("utf-8", "replace")).items()}
        target = _local(form.get("next"))
        nonce = call.request.cookies.get(LOGIN_COOKIE, "")
        if not self._sessions.form_token_fits("login", nonce, form.get("form_token", "")):
            return self._login_page(call, target, "The form had expired; please try again.", 403)
        try:
            identity = await self._credentials.verify(form.get("token", "").strip())
        except ProblemError as problem:
            return self._login_page(call, target, problem.detail, problem.status)
        call.request.scope[IDENTITY_KEY] = identity
        cookie, session = self._sessions.open(identity)
        response = self._pages.redirect(target)
        _set_cookie(call, response, SESSION_COOKIE, cookie, session.remaining())
        response.delete_cookie(LOGIN_COOKIE)
        return response

    async def logout(self, call: Call) -> Response:
        form = parse_qs((await call.body()).decode("utf-8", "replace"))
        session = await self._session(call)
        if session and not self._sessions.form_token_fits("logout", session.nonce, form.get("form_token", [""])[0]):
            raise ProblemError(403, "This form did not come from the UI's own page; log out from there.")
        if session:
            call.request.scope[IDENTITY_KEY] = session.identity
            await self._cache.put(_ended(session), "1", LIFETIME)
        response = self._pages.redirect("/login")
        response.delete_cookie(SESSION_COOKIE)
        return response

    def _login_page(self, call: Call, target: str, error: str | None, status: int = 200) -> Response:
        if not self._settings.auth:
            return self._pages.redirect("/")
        nonce = secrets.token_urlsafe(16)
        response = self._pages.render(
            "login.html",
            path="/login",
            status=status,
            next=target,
            error=error,
            form_token=self._sessions.form_token("login", nonce),
            user=None,
            problems=[],
        )
        _set_cookie(call, response, LOGIN_COOKIE, nonce, 3600)
        return response

    async def _session(self, call: Call) -> Session | None:
        """The caller's session; raises ProblemError 503 when Redis cannot say whether it was logged out."""
        if not self._settings.auth:
            return None
        session = self._sessions.read(call.request.cookies.get(SESSION_COOKIE))
        if session is None or not await self._credentials.stands(session.identity):
            return None
        # The cookie is valid by itself, so a copy of it would outlive the log-out.
        return None if await self._cache.get(_ended(session)) else session


def _set_cookie(call: Call, response: Response, name: str, value: str, seconds: int) -> None:
    secure = call.request.url.scheme == "https"
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")


def _ended(session: Session) -> str:
    return f"logout:{session.nonce}"


def _local(target: str | None) -> str:
    """A path on this site to go to after the login, `/` for anything else."""
    safe = target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if target and safe else "/"
