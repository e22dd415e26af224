"""The webhook's certificate, read anew when its files change: nobody restarts an operator for that.

A Secret that is mounted changes by a symbolic link that is moved, and
cert-manager writes one before the old one expires. New connections get the new
certificate; those that are open go on. A pair that cannot be used (half
written, of another key) leaves the old one in place.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Final

import anyio
import anyio.to_thread
import structlog
from attrs import frozen

log = structlog.get_logger("zenflow.webhook")

LOOK_SECONDS: Final = 10.0
"""How often the files are looked at: two `stat`s."""

REMIND_SECONDS: Final = 300.0


@frozen
class Pair:
    """Two PEM files: the certificate with its chain, and its key."""

    certificate: Path
    key: Path

    def looks(self) -> tuple[tuple[int, int, int], ...] | None:
        """What changes when they do (links are followed); None if one of them is not there."""
        try:
            found = [file.stat() for file in (self.certificate, self.key)]
        except OSError:
            return None
        return tuple((each.st_ino, each.st_mtime_ns, each.st_size) for each in found)


def context_of(pair: Pair) -> ssl.SSLContext:
    """A server's context, TLS 1.2 or later; raises OSError (ssl.SSLError is one) for a pair that cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(pair.certificate, pair.key)
    return context


class Certificate:
    """The pair in use. `watch` runs beside the server; `context` is what the server is given, once and for all."""

    def __init__(self, pair: Pair, *, look_seconds: float = LOOK_SECONDS) -> None:
        self._pair = pair
        self._look_seconds = look_seconds
        self._looks: tuple[tuple[int, int, int], ...] | None = None
        self._current: ssl.SSLContext | None = None
        self.loaded = 0
        """How often a pair has been taken over."""
        self.trouble = f"{pair.certificate} has not been read yet"
        """Why there is nothing to show to a client, or why the newest pair is not in use; or ""."""
        self.ready = anyio.Event()
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A context cannot be changed safely while it serves, so each handshake is handed on to the present one.
        self.context.sni_callback = self._hand_over

    def look(self) -> None:
        """Take over the files if they have changed and can be used."""
        looks = self._pair.looks()
        if looks is not None and looks == self._looks:
            return
        try:
            self._current = context_of(self._pair)
        except OSError as error:
            trouble = f"{self._pair.certificate}, {self._pair.key}: cannot be used: {error}"
            if trouble != self.trouble:
                log.warning("no new certificate", error=trouble, goes_on_with_the_old_one=self._current is not None)
            self.trouble = trouble
            return
        # Read again if they changed meanwhile: then `looks` is of files that are no more.
        self._looks = looks
        self.trouble = ""
        self.loaded += 1
        log.info("certificate read", file=str(self._pair.certificate))
        self.ready.set()

    async def watch(self) -> None:
        """Look at the files now and then, for ever."""
        reminded = anyio.current_time()
        while True:
            await anyio.to_thread.run_sync(self.look)
            if self._current is None and anyio.current_time() - reminded >= REMIND_SECONDS:
                reminded = anyio.current_time()
                log.warning("the webhook waits for its certificate", error=self.trouble)
            await anyio.sleep(self._look_seconds)

    def _hand_over(self, connection: ssl.SSLObject, _name: str | None, _context: ssl.SSLContext) -> None:
        assert self._current is not None, "the server starts when there is one"
        connection.context = self._current
