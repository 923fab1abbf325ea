"""A local server for tests of downloads."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, HTTPServer


@contextmanager
def serving(body: bytes = b"", *, missing: int = 0, status: int = 200) -> Iterator[str]:
    """Serve the same file at every path; yields the base URL.

    Args:
        body: The content of the file.
        missing: Number of announced bytes that are not sent.
        status: The HTTP status.
    """

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body) + missing))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            with suppress(ConnectionError):  # the client may have closed the connection
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as served:
        running = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        running.start()
        yield f"http://127.0.0.1:{served.server_port}"
        served.shutdown()
        running.join()


@contextmanager
def no_server() -> Iterator[str]:
    """Yield a URL that does not respond: its port is in use, but nothing listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{unused.getsockname()[1]}"
