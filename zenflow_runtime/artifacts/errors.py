"""What may go wrong with an artifact: one sentence for people, one exit code for rules, and never a secret."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from zenflow_core.artifact_report import ExitCode

MESSAGE_BYTES: Final = 1024
"""What an answer of a store is cut to: a message has 4,096 bytes, and a status keeps it."""

_HIDDEN: Final = "[hidden]"
_SECRET_CHARACTERS: Final = 4
"""Shorter than that it is no secret, and hiding it would make words unreadable."""
_URL_SECRETS: Final = re.compile(r"(https?://)(?:[^\s/?#'\"<>@]*@)?([^\s?#'\"<>]*)(?:\?[^\s'\"<>]*)?")
_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_FORBIDDEN: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})


class TransferError(Exception):
    """An artifact could not be moved: what happened, and what helps. `lasting` is False where trying again may help."""

    def __init__(self, code: ExitCode, what: str, fix: str, *, lasting: bool = True) -> None:
        super().__init__(what)
        self.code = code
        self.what = what
        self.fix = fix
        self.lasting = lasting

    def __str__(self) -> str:
        return f"{self.what}; fix: {self.fix}" if self.fix else self.what


class Stopped(BaseException):  # no error, as KeyboardInterrupt is none
    """The container was told to end (SIGTERM). No Exception, so that nothing takes it for a trouble to try again."""


def without_secrets(text: str, secrets: Iterable[str]) -> str:
    """The text without these values, and without what URLs carry besides the place: user, password, query."""
    for secret in sorted((each for each in secrets if len(each) >= _SECRET_CHARACTERS), key=len, reverse=True):
        text = text.replace(secret, _HIDDEN)
    return _URL_SECRETS.sub(r"\1\2", text)


def shortened(text: str, limit_bytes: int = MESSAGE_BYTES) -> str:
    """The text on one line, in so many bytes of UTF-8."""
    line = " ".join(text.split())
    data = line.encode("utf-8", "replace")
    return line if len(data) <= limit_bytes else data[: limit_bytes - 3].decode("utf-8", "ignore") + "..."


def of_volume(error: OSError, *, doing: str) -> TransferError:
    """The trouble that a file system makes."""
    if error.errno in _FULL:
        what, fix = "is full", "give it more room (ephemeral-storage or sizeLimit; --artifact-claim-size for the claim)"
    elif error.errno in _FORBIDDEN:
        what = f"does not let us ({error.strerror})"
        fix = "set securityContext.runAsUser and fsGroup in the step's template, or make the files readable"
    else:
        what, fix = f"answers: {error.strerror or error}", "look at the volume"
    return TransferError(ExitCode.LOCAL_VOLUME, f"{doing}: the volume {what}", fix)


@contextmanager
def volume_errors(doing: str) -> Iterator[None]:
    """Turn what a file system refuses within into TransferError."""
    try:
        yield
    except OSError as error:
        raise of_volume(error, doing=doing) from None
