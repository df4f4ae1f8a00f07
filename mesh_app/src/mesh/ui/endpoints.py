"""The UI's table of pages."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, quote, urlencode

import msgspec
from starlette.responses import Response

from mesh.core.http import Call, Endpoint, Handler, Parameter
from mesh.core.identity import ANONYMOUS, IDENTITY_KEY, Access
from mesh.core.problem import ProblemError
from mesh.core.runtime import Runtime
from mesh.core.settings import SERVICES
from mesh.core.upstream import Upstreams
from mesh.ui.chart import charts
from mesh.ui.pages import Gathered, Pages, stylesheet
from mesh.ui.session import LIFETIME, LOGIN_COOKIE, SESSION_COOKIE, Session, Sessions

Page = Callable[[Call, Gathered], Awaitable[tuple[str, dict[str, Any]]]]


def endpoints(runtime: Runtime) -> list[Endpoint]:
    ui = _Ui(runtime)
    pages: tuple[tuple[str, Page], ...] = (
        ("/", ui.overview),
        ("/agents", ui.agents),
        ("/decisions", ui.decisions),
        ("/telemetry", ui.telemetry),
        ("/peers", ui.peers),
        ("/status", ui.status),
    )
    # Pages are open to the shell because a browser brings a session, not a bearer token; `page` asks for it.
    return [
        *(_page(path, ui.page(page)) for path, page in pages),
        Endpoint(
            "GET",
            "/static/style.css",
            ui.style,
            Access.OPEN,
            summary="The style sheet of all pages.",
            content="text/css",
        ),
        _page("/login", ui.login_form, Parameter("next", str, "Where to go after the login.")),
        Endpoint("POST", "/login", ui.login, Access.OPEN, 303, body=Login, **_form("Begin a session.", 200, 401, 503)),
        Endpoint("POST", "/logout", ui.logout, Access.OPEN, 303, body=Logout, **_form("End the session.")),
    ]


class Login(msgspec.Struct):
    """The form of the login page."""

    token: str
    form_token: str
    next: str = "/"


class Logout(msgspec.Struct):
    form_token: str


def _page(path: str, handler: Handler, *parameters: Parameter) -> Endpoint:
    also = (303, 400, 403, 404, 502, 503)
    summary = f"The page {path}."
    return Endpoint(
        "GET", path, handler, Access.OPEN, summary=summary, parameters=parameters, also=also, content="text/html"
    )


def _form(summary: str, *also: int) -> dict[str, Any]:
    takes = "application/x-www-form-urlencoded"
    return {"summary": summary, "takes": takes, "content": "text/html", "also": (*also, 403), "errors": (503,)}


class _Ui:
    def __init__(self, runtime: Runtime) -> None:
        self._settings = runtime.settings
        self._credentials = runtime.credentials
        self._cache = runtime.cache
        self._upstreams = Upstreams(runtime)
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
            gathered = Gathered()
            template, values = await build(replace(call, identity=identity), gathered)
            return self._pages.render(
                template,
                path=path,
                status=gathered.status,
                problems=[problem.detail for problem in gathered.problems],
                user=identity.subject if session else None,
                form_token=self._sessions.form_token("logout", session.nonce) if session else None,
                **values,
            )

        return handle

    async def overview(self, call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        agents, foreign, denied, newest, health = await gathered.all(
            self._get(call, "registry", "/api/v1/agents/count"),
            self._get(call, "registry", "/api/v1/agents/count", origin="all"),
            self._get(call, "policy", "/api/v1/decisions/count", decision="deny"),
            self._get(call, "policy", "/api/v1/decisions", limit="8"),
            self._health(),
        )
        own = agents["count"] if agents else None
        values = {
            "agents": own,
            "foreign": foreign["count"] - own if foreign and own is not None else None,
            "denied": denied["count"] if denied else None,
            "decisions": newest["items"] if newest else [],
            "services": health,
        }
        return "overview.html", values

    async def agents(self, call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        filters = {name: call.query(name) or "" for name in ("q", "type", "vendor", "origin")}
        given = {name: value for name, value in filters.items() if value}
        cursor = call.query("cursor")
        found, total = await gathered.all(
            self._get(call, "registry", "/api/v1/agents", **given, **({"cursor": cursor} if cursor else {})),
            self._get(call, "registry", "/api/v1/agents/count", **given),
        )
        values = {
            "filters": filters,
            "agents": found["items"] if found else [],
            "total": total["count"] if total else None,
            "next": _next("/agents", given, found),
        }
        return "agents.html", values

    async def decisions(self, call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        given = {name: value for name in ("decision", "cursor") if (value := call.query(name))}
        found = await gathered.get(self._get(call, "policy", "/api/v1/decisions", **given))
        chosen = given.get("decision", "")
        values = {
            "chosen": chosen,
            "decisions": found["items"] if found else [],
            "next": _next("/decisions", {"decision": chosen} if chosen else {}, found),
        }
        return "decisions.html", values

    async def telemetry(self, call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        minutes = call.query("minutes") or "60"
        series, newest = await gathered.all(
            self._get(call, "telemetry", "/api/v1/metrics/series", minutes=minutes),
            self._get(call, "telemetry", "/api/v1/metrics", limit="20"),
        )
        values = {
            "minutes": minutes,
            "charts": charts(series) if series else [],
            "samples": newest["items"] if newest else [],
        }
        return "telemetry.html", values

    async def peers(self, call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        found = await gathered.get(self._get(call, "federation", "/api/v1/peers"))
        return "peers.html", {"peers": found["items"] if found else []}

    async def status(self, _call: Call, gathered: Gathered) -> tuple[str, dict[str, Any]]:
        services = await gathered.get(self._health())
        return "status.html", {"services": services or []}

    async def style(self, _call: Call) -> Response:
        return stylesheet()

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

    async def _get(self, call: Call, service: str, path: str, **params: str) -> Any:
        return await self._upstreams.get_json(service, path, call=call, params=params)

    async def _health(self) -> list[dict[str, Any]]:
        reports = []
        for service in SERVICES:
            report = await self._upstreams.health(service)
            reports.append({"name": service, "version": "", "checks": {}, "schema": None, "error": None, **report})
        return reports


def _set_cookie(call: Call, response: Response, name: str, value: str, seconds: int) -> None:
    secure = call.request.url.scheme == "https"
    response.set_cookie(name, value, max_age=seconds, path="/", secure=secure, httponly=True, samesite="strict")


def _ended(session: Session) -> str:
    return f"logout:{session.nonce}"


def _local(target: str | None) -> str:
    """A path on this site to go to after the login, `/` for anything else."""
    safe = target and target.startswith("/") and not target.startswith(("//", "/\\")) and target.isprintable()
    return target if target and safe else "/"


def _next(path: str, given: dict[str, str], found: Any) -> str | None:
    if not found or not found["next_cursor"]:
        return None
    return f"{path}?{urlencode({**given, 'cursor': found['next_cursor']})}"
