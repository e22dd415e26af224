"""Where the webhook is, as the operator's settings say it."""

from __future__ import annotations

from typing import Final

from attrs import frozen

PORT: Final = 9443


@frozen
class Listening:
    """An address and the certificate to show there; without one it speaks plain HTTP."""

    host: str = ""
    port: int = PORT
    certificate: str = ""
    """Path of a PEM file with the certificate and its chain."""
    key: str = ""
