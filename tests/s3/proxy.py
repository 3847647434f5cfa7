"""A proxy before the real server that spoils some requests."""

# ruff: noqa: N815 - the names are http.server's

import threading
from collections.abc import Callable
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

Fault = Callable[["Handler", int], bool]
"""What befalls a request with a body of so many bytes: whether it was dealt with, and is not to be handed on."""


class Proxy:
    """Hands requests on to the server, after each fault of `faults` had its turn."""

    def __init__(self, port: int) -> None:
        self.faults: list[Fault] = []
        self.done = threading.Event()
        """Ends those that wait."""
        proxy = self

        class Bound(Handler):
            behind, owner = port, proxy

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self._server.shutdown()
        self._server.server_close()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    behind: int
    owner: Proxy

    def handle_one(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        if any(fault(self, size) for fault in self.owner.faults):
            return
        body = self.rfile.read(size)
        server = HTTPConnection("127.0.0.1", self.behind)
        server.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() != "expect":
                server.putheader(name, value)
        server.endheaders(body)
        answer = server.getresponse()
        content = answer.read()
        self.send_response_only(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", length or "0")
        self.end_headers()
        self.wfile.write(content)
        server.close()

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = handle_one

    def log_message(self, *_: Any) -> None:
        pass

    def refuse(self, size: int, status: int, code: str, extra: str = "") -> bool:
        """Answer with an error of S3's."""
        text = f"<Error><Code>{code}</Code><Message>as the test wants it</Message>{extra}</Error>"
        return self.answer(size, status, text)

    def answer(self, size: int, status: int, content: str) -> bool:
        """Answer with anything."""
        self.rfile.read(size)
        text = content.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/xml")
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
        return True

    def cut(self, size: int) -> bool:
        """Take half of what is sent, and hang up."""
        self.rfile.read(size // 2)
        self.close_connection = True
        self.connection.close()
        return True

    def stall(self) -> bool:
        """Never answer."""
        self.owner.done.wait()
        self.close_connection = True
        return True
