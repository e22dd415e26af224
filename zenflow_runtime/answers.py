"""Refusals of the API server, whichever client met them, as the core observes them."""

from __future__ import annotations

from typing import Protocol

from zenflow_core.observation import Refused
from zenflow_core.reasons import Instant


class Answer(Protocol):
    """A refusal of the API server, whichever client met it."""

    @property
    def code(self) -> int: ...
    @property
    def reason(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def retry_after(self) -> int | None: ...


def refused(answer: Answer, attempt: int, at: Instant, *, causes: tuple[str, ...], taken_by: str = "") -> Refused:
    """An answer to our create, as an observation."""
    return Refused(
        attempt,
        at,
        code=answer.code,
        reason=answer.reason,
        message=answer.message,
        causes=causes,
        retry_after=answer.retry_after,
        taken_by=taken_by,
    )


def too_large(answer: Answer) -> bool:
    """Whether the server refused an object for its size, in either of its ways."""
    return answer.code == 413 or (answer.code == 500 and "request is too large" in answer.message)
