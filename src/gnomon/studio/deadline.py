"""A deadline for clients: uvicorn waits for ever for the rest of a request, and for a response to be read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0  # from the connection, or the first byte of a later request, to the end of the request
ANSWER_SECONDS = 30.0  # that a client may take before it reads the next part of a response


@final
class Deadline(asyncio.Protocol):
    """uvicorn's protocol for HTTP; a connection that is too slow is closed without a response.

    A connection that is idle between two requests is closed by uvicorn itself (`timeout_keep_alive`).
    """

    def __init__(self, **given: Any) -> None:
        self._http = H11Protocol(**given)
        self._request = _Timer(self._http.loop)
        self._answer = _Timer(self._http.loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._http.connection_made(transport)
        self._request.start(REQUEST_SECONDS, transport.abort)

    def data_received(self, data: bytes) -> None:
        self._http.data_received(data)
        if self._http.conn.their_state not in (h11.IDLE, h11.SEND_BODY):  # the request is whole
            self._request.stop()
        else:
            self._request.start(REQUEST_SECONDS, self._transport.abort)

    def pause_writing(self) -> None:
        self._http.pause_writing()
        self._answer.start(ANSWER_SECONDS, self._transport.abort)

    def resume_writing(self) -> None:
        self._http.resume_writing()
        self._answer.stop()

    def eof_received(self) -> None:
        self._http.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request.stop()
        self._answer.stop()
        self._http.connection_lost(exc)


@final
class _Timer:
    """One call, this many seconds after the first start."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, call: Callable[[], None]) -> None:
        """Does nothing if it is already running."""
        if self._handle is None:
            self._handle = self._loop.call_later(seconds, call)

    def stop(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
