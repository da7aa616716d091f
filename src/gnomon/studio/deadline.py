"""A deadline for whoever connects: uvicorn waits for ever for the rest of a request, and for an answer to be taken."""

from __future__ import annotations

import asyncio
from typing import Any, final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

REQUEST_SECONDS = 10.0  # from the connection, or the first byte of a later request, to the end of the request
ANSWER_SECONDS = 30.0  # that whoever asked may leave an answer standing before it takes the next part


@final
class Deadline(asyncio.Protocol):
    """uvicorn's protocol for HTTP; a connection that is too slow is closed without an answer.

    A connection that rests between two requests is closed by uvicorn itself (`timeout_keep_alive`).
    """

    def __init__(self, **given: Any) -> None:
        self._http = H11Protocol(**given)
        self._request: asyncio.TimerHandle | None = None
        self._answer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._http.connection_made(transport)
        self._request = self._close_in(REQUEST_SECONDS)

    def data_received(self, data: bytes) -> None:
        self._http.data_received(data)
        if self._http.conn.their_state not in (h11.IDLE, h11.SEND_BODY):  # the request is whole
            self._request = _stopped(self._request)
        elif self._request is None:
            self._request = self._close_in(REQUEST_SECONDS)

    def pause_writing(self) -> None:
        self._http.pause_writing()
        self._answer = self._answer or self._close_in(ANSWER_SECONDS)

    def resume_writing(self) -> None:
        self._http.resume_writing()
        self._answer = _stopped(self._answer)

    def eof_received(self) -> None:
        self._http.eof_received()

    def connection_lost(self, exc: Exception | None) -> None:
        self._request, self._answer = _stopped(self._request), _stopped(self._answer)
        self._http.connection_lost(exc)

    def _close_in(self, seconds: float) -> asyncio.TimerHandle:
        return self._http.loop.call_later(seconds, self._transport.abort)


def _stopped(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()
