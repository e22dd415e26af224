"""The operator's entry point: `zenflow-runtime`, or `python -m zenflow_runtime`."""

from __future__ import annotations

import sys


def main() -> int:
    """Run the operator; without its libraries, say how to get them (exit code 2)."""
    try:
        from zenflow_runtime.serve import main as run
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "zenflow_runtime":
            raise
        print(
            f"zenflow-runtime: {error.name} is not installed, so nothing was started\n"
            "  fix: pip install 'zenflow[runtime]'",
            file=sys.stderr,
        )
        return 2
    return run()


if __name__ == "__main__":
    sys.exit(main())
