"""The studio process: a socket on this machine, a launch link, and uvicorn behind both."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from gnomon.core.errors import MachineError, UsageError

PORT = 8765
TRIES = 20  # ports to try after the requested one
GRACE = 3  # seconds for running requests when the studio stops
LOCAL = "127.0.0.1"


@dataclass(frozen=True)
class Opened:
    """A studio that is listening but not answering yet."""

    link: str  # admits one browser, once
    port: int
    serve: Callable[[], None]  # until it is interrupted


def open_studio(places: Sequence[Path], *, host: str = LOCAL, port: int | None = None, knows: bool = False) -> Opened:
    """Listen on `host`, at `port` or a free one from 8765 on.

    Raises UsageError for a folder that does not exist, or a host that others can reach unless `knows` says that this
    is intended; MachineError if a package or a free port is missing.
    """
    for place in places:
        if not place.is_dir():
            raise UsageError("there is no such folder.", where=str(place), fix="give a folder of runs, such as runs/.")
    _check_host(host, knows=knows)
    try:
        import uvicorn

        from gnomon.studio.app import create
        from gnomon.studio.deadline import Deadline
        from gnomon.studio.library import Library
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] not in ("fastapi", "starlette", "uvicorn"):
            raise
        raise MachineError(
            f"the studio needs the package {error.name}.", fix="pip install 'gnomon[studio]' installs it."
        ) from None
    listening = _listen(host, port)
    actual: int = listening.getsockname()[1]
    app, sessions = create(Library(places), host=host, port=actual)
    config = uvicorn.Config(
        app, http=Deadline, log_level="warning", access_log=False, server_header=False, ws="none", lifespan="off",
        timeout_graceful_shutdown=GRACE, timeout_keep_alive=30, h11_max_incomplete_event_size=64 << 10,
    )  # fmt: skip
    server = uvicorn.Server(config)
    shown = f"[{host}]" if ":" in host else host
    link = f"http://{shown}:{actual}/enter?token={sessions.new_token()}"
    return Opened(link, actual, lambda: server.run(sockets=[listening]))


def _check_host(host: str, *, knows: bool) -> None:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise UsageError(f"host={host} is not an address.", fix=f"leave it out: {LOCAL} is this machine.") from None
    if not address.is_loopback and not knows:
        raise UsageError(
            f"host={host} is open to everyone who can reach this machine.",
            fix="leave it out and forward the port with ssh -L; or add i_know=yes if this is intended.",
        )
    if address.is_unspecified:
        raise UsageError(
            f"host={host} means all addresses at once, so requests under a foreign host name could not be recognised.",
            fix="give the one address of this machine that browsers will use, with i_know=yes.",
        )


def _listen(host: str, port: int | None) -> socket.socket:
    ports = [port] if port is not None else [*range(PORT, PORT + TRIES), 0]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for each in ports:
        # asyncio sends small responses at once (TCP_NODELAY) only on sockets declared as TCP: 40 ms per response
        listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listening.bind((host, each))
            listening.listen(128)
        except OSError as error:
            listening.close()
            if error.errno in (errno.EADDRINUSE, errno.EACCES) and port is None:
                continue
            raise MachineError(
                f"port {each} of {host} cannot be used: {(error.strerror or '').lower()}.",
                fix="leave port out to use a free one.",
            ) from None
        return listening
    raise MachineError("there is no free port.", fix="close a program that uses one.")
