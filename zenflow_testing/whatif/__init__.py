"""What would have become of a recorded life with one thing changed. See docs/incidents.md.

Decisions are made again on the recorded observations up to the first that
differs; from there on the cluster goes on as the record shows it.
"""

from __future__ import annotations

from zenflow_testing.whatif.changes import Change, read_change
from zenflow_testing.whatif.playing import WhatIf, play

__all__ = ["Change", "WhatIf", "play", "read_change"]
