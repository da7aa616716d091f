"""Who may send requests to the studio: its own page in a browser with the cookie, and nobody else."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import sys
import threading
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, final

TOKEN_BYTES = 32  # 256 bits
MOST_SESSIONS = 100
BODY_LIMIT = 1 << 20  # bytes of a request
READING = {"GET", "HEAD"}
PUBLIC = {("GET", "/healthz"), ("HEAD", "/healthz"), ("GET", "/login"), ("HEAD", "/login"), ("GET", "/enter")}

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cache-control": "no-store",
}

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]


@final
class Sessions:
    """Launch tokens, each valid for one browser, and the sessions created from them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tokens: list[bytes] = []
        self._sessions: list[bytes] = []

    def new_token(self) -> str:
        """A token for one launch link."""
        token = secrets.token_urlsafe(TOKEN_BYTES)
        with self._lock:
            self._tokens = [*self._tokens, _digest(token)][-MOST_SESSIONS:]
        return token

    def enter(self, token: str) -> str | None:
        """The secret of a new session for a token that was never used; None for anything else."""
        given = _digest(token)
        with self._lock:
            matches = [hmac.compare_digest(known, given) for known in self._tokens]  # all of them: constant time
            if not any(matches):
                return None
            del self._tokens[matches.index(True)]
            secret = secrets.token_urlsafe(TOKEN_BYTES)
            self._sessions = [*self._sessions, _digest(secret)][-MOST_SESSIONS:]
            return secret

    def knows(self, secret: str) -> bool:
        """Whether a session has this secret."""
        given = _digest(secret)
        return any([hmac.compare_digest(known, given) for known in self._sessions])  # noqa: C419  all: constant time


def who(secret: str) -> str:
    """A short name for a session, which does not reveal its secret."""
    return f"browser {_digest(secret).hex()[:8]}"


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def host_names(host: str, port: int) -> frozenset[str]:
    """The valid names of this server: never a name that somebody else's DNS can point here."""
    names = {"127.0.0.1", "localhost", "[::1]"}
    address = ipaddress.ip_address(host)
    if not address.is_unspecified:
        names.add(f"[{host}]" if address.version == 6 else host)
    return frozenset(f"{name}:{port}" for name in names)


@final
class Guard:
    """Wraps the whole application: a request refused here reaches none of it."""

    def __init__(self, app: App, *, sessions: Sessions, hosts: frozenset[str], cookie: str, login: bytes) -> None:
        self.app, self.sessions, self.hosts, self.cookie, self.login = app, sessions, hosts, cookie, login

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":  # there is no WebSocket here
            await send({"type": "websocket.close", "code": 1008})
            return
        headers: dict[str, list[str]] = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
        status, why = self.refusal(scope["method"], scope["path"], headers)
        if status:
            sys.stderr.write(f"gnomon studio: refused {scope['method'][:10]!r} ({why})\n")
            await _answer(send, status, self._page(headers, why), is_head=scope["method"] == "HEAD")
            return
        secret = self._secret(headers)
        scope.setdefault("state", {})["who"] = who(secret) if secret else ""
        await self.app(scope, _limited(receive), _with_headers(send))

    def refusal(self, method: str, path: str, headers: dict[str, list[str]]) -> tuple[int, str]:
        """The status and reason of a refusal; 0 for a request that may pass."""
        if [host.lower() for host in headers.get("host", [])] not in [[host] for host in self.hosts]:
            return 403, "wrong host name"
        is_public = (method, path) in PUBLIC
        site = headers.get("sec-fetch-site", [])
        if not is_public and site and site not in (["same-origin"], ["none"]):
            return 403, "request from another site"
        if site == ["none"] and method not in READING:
            return 403, "request from another site"
        own = f"http://{headers['host'][0]}".lower()
        if [origin.lower() for origin in headers.get("origin", [])] not in ([], [own]):
            return 403, "request from another origin"
        has_body = headers.get("content-length", ["0"]) != ["0"] or "transfer-encoding" in headers
        kinds = headers.get("content-type", [])
        is_json = len(kinds) == 1 and kinds[0].partition(";")[0].strip().lower() == "application/json"
        if (kinds or has_body or method not in READING) and not is_json:
            return 415, "only JSON is accepted"
        length = headers.get("content-length", ["0"])[0]
        if not length.isascii() or not length.isdigit() or int(length[:20]) > BODY_LIMIT:
            return 413, "too large"
        if not is_public and not self.sessions.knows(self._secret(headers)):
            return 401, "no cookie of this studio"
        return 0, ""

    def _secret(self, headers: dict[str, list[str]]) -> str:
        for line in headers.get("cookie", []):
            for part in line.split(";"):
                name, _, value = part.strip().partition("=")
                if name == self.cookie:
                    return value
        return ""

    def _page(self, headers: dict[str, list[str]], why: str) -> tuple[str, bytes]:
        if "text/html" in headers.get("accept", [""])[0] and why.startswith("no cookie"):
            return "text/html; charset=utf-8", self.login
        return "text/plain; charset=utf-8", f"refused: {why}\n".encode()


def _limited(receive: Receive) -> Receive:
    """Stops a body that is larger than it claims to be."""
    seen = 0

    async def counted() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > BODY_LIMIT:
            return {"type": "http.disconnect"}
        return message

    return counted


def _with_headers(send: Send) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            given = {name for name, _ in message["headers"]}
            message["headers"] = [
                *message["headers"],
                *((name.encode(), value.encode()) for name, value in HEADERS.items() if name.encode() not in given),
            ]
        await send(message)

    return wrapped


async def _answer(send: Send, status: int, page: tuple[str, bytes], *, is_head: bool) -> None:
    kind, body = page
    headers = {**HEADERS, "content-type": kind, "content-length": str(len(body)), "connection": "close"}
    await send({"type": "http.response.start", "status": status,
                "headers": [(name.encode(), value.encode()) for name, value in headers.items()]})  # fmt: skip
    await send({"type": "http.response.body", "body": b"" if is_head else body})
