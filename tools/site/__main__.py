"""Builds the site: `python -m tools.site`. Exit code 0, or 1 with all that is wrong with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

from tools.site import checks, staging

ROOT: Final = staging.ROOT
SOURCE: Final = ROOT / "build" / "site-source"
SITE: Final = ROOT / "site"


def main() -> int:
    """Lay the source out, have it built, read what was built."""
    staging.stage(SOURCE)
    built = subprocess.run(
        [Path(sys.executable).parent / "zensical", "build", "--strict", "--clean"], cwd=ROOT, check=False
    )
    if built.returncode:
        return 1
    found = list(checks.problems(SITE))
    for problem in found:
        print(problem, file=sys.stderr)
    if not found:
        print(f"{SITE}: {sum(1 for _ in SITE.rglob('*.html'))} pages; look at them: python -m http.server -d site")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
