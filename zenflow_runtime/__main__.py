"""The operator's entry point, which this version does not have yet and says so."""

from __future__ import annotations

import sys


def main() -> int:
    """Say on stderr that there is no operator in this version; exit code 2 (usage)."""
    print(
        "zenflow-runtime: this version of zenflow has no operator yet, so nothing was started.\n"
        "  What works without a cluster: zenflow validate, zenflow simulate; see `zenflow --help`.",
        file=sys.stderr,
    )
    return 2


if __name__ == "__main__":
    sys.exit(main())
