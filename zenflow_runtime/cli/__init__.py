"""The command line: `zenflow`, also installed as `kubectl-zenflow`."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Final

from zenflow_runtime.cli import exits

__all__ = ["main"]

_BUG: Final = (
    "zenflow: internal error ({error}). This is a bug in zenflow, not in your flow: please report it with the command "
    "and the file. ZENFLOW_DEBUG=1 shows where it happened.\n"
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and answer with its exit code; never raises, whatever the input is."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # started with it closed (`>&-`)
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115 - for the life of the process
    try:
        # Imported here: a broken installation, or Ctrl-C while things load, deserves a sentence, too.
        from zenflow_runtime.cli.app import run
        from zenflow_runtime.cli.completing import COMMAND, complete

        tokens = list(sys.argv[1:] if argv is None else argv)
        return complete(tokens[1:]) if tokens[:1] == [COMMAND] else run(tokens)
    except KeyboardInterrupt:
        return exits.INTERRUPTED
    except OSError as error:
        # What commands read and write by name they see to themselves: this is stdout, on a full disk for instance.
        sys.stderr.write(f"zenflow: cannot go on: {(error.strerror or str(error)).lower()}\n")
        return exits.INVALID
    except Exception as error:  # noqa: BLE001 - the outermost place: a user gets a sentence instead of a traceback
        return _report(error)


def _report(error: Exception) -> int:
    if os.environ.get("ZENFLOW_DEBUG") == "1":
        raise error
    said = f"{type(error).__name__}: {error}".splitlines()[0][:200]
    sys.stderr.write(_BUG.format(error=said))
    return exits.INTERNAL
