"""Serving one run on this machine until someone ends it."""

from __future__ import annotations

import socket
import threading
import webbrowser
from collections.abc import Callable
from pathlib import Path

import uvicorn

from whence.explorer.app import app
from whence.explorer.served import Served

PORT = 8237
"""Where the page is by default; if something else is there, any free port."""
GRACE = 2
"""Seconds that an answer under way has when the server ends."""


class PortError(OSError):
    """The port that was asked for is taken."""


def serve(
    folder: str | Path,
    *,
    port: int | None = None,
    browser: bool = True,
    model: str | None = None,
    data: Path | None = None,
    say: Callable[[str], None] = print,
) -> None:
    """Serve the page of a run folder on 127.0.0.1 until Ctrl-C; ``say`` gets its address.

    Raises RunError if the folder is no run, PortError if ``port`` is taken (without one, a free port is taken).
    """
    served = Served.open(folder, model, data)
    with listening(port) as listener:
        server, address = prepared(served, listener)
        say(f"The page is at {address} (Ctrl-C ends it)")
        if browser:
            show_in_browser(address)
        try:
            server.run(sockets=[listener])
        except KeyboardInterrupt:
            say("ended")


def show_in_browser(address: str) -> None:
    """Opens the page in the person's browser, which may take its time."""
    threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()


def listening(port: int | None) -> socket.socket:
    """A socket that listens on 127.0.0.1 and nowhere else. Raises PortError."""
    for candidate in (PORT, 0) if port is None else (port,):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", candidate))
            listener.listen(128)
        except OSError as error:
            listener.close()
            if candidate == port:
                raise PortError(
                    f"port {port} cannot be had ({error.strerror}); leave --port out, or give another"
                ) from error
            continue
        return listener
    raise PortError("no port can be had on 127.0.0.1; end another server first")


def prepared(served: Served, listener: socket.socket) -> tuple[uvicorn.Server, str]:
    """The server for a socket, and the page's address."""
    port = listener.getsockname()[1]
    config = uvicorn.Config(
        app(served, port),
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=GRACE,
        limit_concurrency=100,
    )
    return uvicorn.Server(config), f"http://127.0.0.1:{port}/"
