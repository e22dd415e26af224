"""`python -m zenflow_runtime.artifacts inputs|outputs`, as the operator's image runs it in a step's Pod."""

from __future__ import annotations

import os
import sys

from zenflow_runtime.artifacts.program import main

if __name__ == "__main__":
    code = main(sys.argv[1:])
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads that still wait for a store must not hold the container up.
    os._exit(code)
