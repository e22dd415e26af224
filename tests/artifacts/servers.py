"""Servers for the artifacts' tests: a real S3, a proxy in front of it that misbehaves as told, and a web server."""

from __future__ import annotations

import http.client
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, TypeAlias

from attrs import define, field, frozen

HOST = "127.0.0.1"
RESET = 0
"""The status of an `Answer` that does not come: the connection is reset instead."""
_SIGNED = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"


@frozen
class Answer:
    """What a web server answers: perhaps only the first bytes of the body, and then it hangs up."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(factory=dict)
    sent: int | None = None
    abrupt: bool = True
    """Whether it then resets the connection. What a client has not yet read is lost by that."""
    length: bool = True
    wait_seconds: float = 0.0


@frozen
class Asked:
    """What a web server was asked."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


Reply: TypeAlias = Callable[[Asked], Answer | None]
"""The answer to a request; None: pass it on, where there is something behind."""


@define
class Server:
    """A server under a test, what it was asked, and how it answers."""

    port: int
    reply: Reply
    asked: list[Asked] = field(factory=list)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@contextmanager
def serving(reply: Reply, *, behind: int | None = None, context: Any = None, listens: str = HOST) -> Iterator[Server]:
    """A web server that answers as `reply` says, and passes on to the port `behind` what that leaves."""
    server = Server(0, reply)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            asked = Asked(self.command, self.path, dict(self.headers.items()), body)
            server.asked.append(asked)
            answer = server.reply(asked)
            if answer is None:
                assert behind is not None, f"nothing answers {asked.method} {asked.path}"
                answer = _passed_on(asked, behind)
            self.answer(answer)

        do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any  # noqa: N815 # what http.server looks for

        def answer(self, answer: Answer) -> None:
            time.sleep(answer.wait_seconds)
            if answer.status == RESET:
                self.reset()
                return
            self.send_response(answer.status)
            for name, value in answer.headers.items():
                self.send_header(name, value)
            if answer.length and "Content-Length" not in answer.headers:
                self.send_header("Content-Length", str(len(answer.body)))
            if not answer.length:
                self.send_header("Connection", "close")
                self.close_connection = True
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer.body[: answer.sent])
            if answer.sent is not None:
                self.wfile.flush()
                if answer.abrupt:
                    self.reset()
                self.close_connection = True

        def reset(self) -> None:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:
            """The tests say what matters."""

    class Quiet(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that hangs up is part of the play."""

    with Quiet((listens, 0), Handler) as httpd:
        if context is not None:
            httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        server.port = httpd.server_address[1]
        thread = threading.Thread(target=httpd.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield server
        finally:
            httpd.shutdown()
            thread.join()


def _passed_on(asked: Asked, port: int) -> Answer:
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(asked.method, asked.path, asked.body, asked.headers)
        response = connection.getresponse()
        body = response.read()
        headers = {
            name: value
            for name, value in response.getheaders()
            if name.lower() not in {"connection", "date", "server", "transfer-encoding"}
        }
        if asked.method != "HEAD":
            headers.pop("Content-Length", None)
            headers.pop("content-length", None)
        return Answer(response.status, body, headers)
    finally:
        connection.close()


@contextmanager
def s3_server(listens: str = HOST) -> Iterator[int]:
    """moto's S3 in a process of its own; its port."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", listens, "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 60
        while not _answers(port):
            assert process.poll() is None, "moto did not start"
            assert time.monotonic() < deadline, "moto does not answer"
            time.sleep(0.05)
        yield port
    finally:
        process.terminate()
        process.wait(10)


def _answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://{HOST}:{port}/moto-api/", timeout=5):
            return True
    except (urllib.error.URLError, OSError):
        return False


def plain_request(port: int, method: str, path: str, body: bytes = b"") -> bytes:
    """Ask the S3 server something past all of our code; it takes any signature."""
    connection = http.client.HTTPConnection(HOST, port, timeout=30)
    try:
        connection.request(method, path, body, {"Authorization": _SIGNED})
        response = connection.getresponse()
        data = response.read()
        assert response.status < 300, f"{method} {path}: {response.status} {data!r}"
        return data
    finally:
        connection.close()
