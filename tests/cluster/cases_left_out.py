"""The cases that are not played on a real control plane, each with its reason."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

LAST_SECONDS: Final = 180.0
"""Real time cannot jump: a case whose history or assertions go on for longer is left out."""

LEFT_OUT: Final[Mapping[str, str]] = {}
