"""A server on this machine, for what is fetched."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def serving(body: bytes = b"", *, missing: int = 0, status: int = 200) -> Iterator[str]:
    """An address below which every file is this one.

    Args:
        body: What is sent.
        missing: How many bytes more are promised, which never come.
        status: The answer, 200 or an error.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            with suppress(ConnectionError):  # whoever asked may be gone
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing is printed."""

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        running = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        running.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        running.join()


@contextmanager
def no_server() -> Iterator[str]:
    """An address that nobody answers at: its port is taken, and nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"
