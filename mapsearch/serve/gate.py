"""The gate before every page and call: which host was asked for, who asks, from where, and how much is sent.

It wraps the whole application, so that no route can be forgotten, and nothing behind it runs for who is refused.
"""

import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mapsearch.serve.errors import error_response
from mapsearch.serve.settings import Settings
from mapsearch.serve.tokens import Role

API = "/api/"
OPEN_TO_ALL = ("/api/v1/health", "/static/")
"""What needs no token: whether the service is there, and the style of its pages."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
MAX_BODY = 1 << 20
"""Bytes of the largest request body; a study's overrides are far smaller."""

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d+)?")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",  # `no-referrer` would take the origin from a form's own post
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Gate:
    """The application behind its gate, as ASGI: what comes through carries its role in `request.state.role`."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        send = _with_headers(scope, send)
        headers = Headers(scope=scope)
        refusal = self._refusal(scope, headers)
        if refusal is not None:
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> Response | None:
        path, method = scope["path"], scope["method"]
        if not self._is_own_host(headers.get("host", "")):
            return _refuse(path, 421, "foreign_host", f"this service is not `{headers.get('host', '')[:100]}`")
        if "transfer-encoding" in headers:
            return _refuse(path, 411, "length_required", "a body must say its length in `Content-Length`")
        if int(headers.get("content-length", 0)) > MAX_BODY:  # the server has seen to it that it is a number
            return _refuse(path, 413, "too_large", f"a body may have {MAX_BODY} bytes at most")
        if method == "GET" and not path.startswith(API) and b"token=" in scope["query_string"]:
            return self._signed_in(scope, headers)
        role, by_cookie = self._role(headers)
        scope.setdefault("state", {})["role"] = role
        if path.startswith(OPEN_TO_ALL) and method in SAFE_METHODS:
            return None
        if role is None:
            return _refuse(path, 401, "not_signed_in", "open the link that `mapsearch serve` printed, with its token")
        if method in SAFE_METHODS:
            return None
        if by_cookie and not _is_from_own_page(headers):
            return _refuse(path, 403, "cross_site", "this request does not come from a page of this service")
        if role != "act":
            return _refuse(path, 403, "read_only", "this token only reads; ask for the one that acts")
        return None

    def _is_own_host(self, host: str) -> bool:
        """Whether the name is ours: a page of another site can make its own name mean this machine, never a number."""
        found = _HOST.fullmatch(host.lower())
        name = found[1].strip("[]") if found else ""
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in self._settings.host_names
        return True

    def _role(self, headers: Headers) -> tuple[Role | None, bool]:
        """What the request may do, and whether a cookie says so, which a browser adds by itself."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return self._settings.tokens.role(token.strip()), False
        session = _cookies(headers).get(self._settings.cookie, "")
        return self._settings.tokens.role_of_session(session), True

    def _signed_in(self, scope: Scope, headers: Headers) -> Response:
        """The page asked for, without the token in its address, and a session in its place."""
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        role = self._settings.tokens.role(dict(query).get("token", ""))
        if role is None:
            return _refuse(scope["path"], 401, "wrong_token", "this token is not, or no longer, one of this service")
        left = urlencode([(name, value) for name, value in query if name != "token"])
        # one slash, or `//host` would lead to another site
        place = "/" + scope["path"].lstrip("/\\") + (f"?{left}" if left else "")
        answer: Response = RedirectResponse(place, 303)
        if headers.get("sec-fetch-site") in ("cross-site", "same-site"):
            # On a redirect the browser would still count the other site as the one that asks, and keep the cookie back.
            answer = HTMLResponse("<!doctype html><title>mapsearch</title>", headers={"Refresh": f"0; url={place}"})
        session, secure = self._settings.tokens.session(role), scope.get("scheme") == "https"
        answer.set_cookie(self._settings.cookie, session, httponly=True, samesite="strict", secure=secure)
        return answer


def _with_headers(scope: Scope, send: Send) -> Send:
    """Puts our headers on every answer, those of errors too; only what never changes may be kept by the browser."""

    async def with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            if not scope["path"].startswith("/static/"):
                headers["Cache-Control"] = "no-store"
        await send(message)

    return with_headers


def _is_from_own_page(headers: Headers) -> bool:
    """Whether a browser says that a page of this service sent it; what says nothing is none."""
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None and site != "same-origin":
        return False
    return site == "same-origin" if origin is None else origin.partition("://")[2] == headers.get("host")


def _cookies(headers: Headers) -> Mapping[str, str]:
    return cookie_parser(headers.get("cookie", ""))


def _refuse(path: str, status: int, code: str, problem: str) -> Response:
    if path.startswith(API):
        return error_response(status, code, [problem])
    return PlainTextResponse(f"{problem}\n", status)
