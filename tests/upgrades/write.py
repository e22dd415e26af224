"""Keep for later versions what this one writes: `python -m tests.upgrades.write`, once for each release.

Writes the statuses of all stories under the version's name, and its CRD. What an earlier release has written is never
written again.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from attrs import asdict

from tests.upgrades.stories import STATUSES, STORIES, end_of, moments_of
from zenflow_core.version import VERSION

CRDS: Final = Path(__file__).parent / "crds"
CRD: Final = Path(__file__).parents[2] / "schemas" / "jobflow.crd.yaml"


def story_text(story: str) -> str:
    """The file of a story."""
    life = STORIES[story]()
    whole: dict[str, Any] = {"moments": [asdict(moment) for moment in moments_of(life)], "end": asdict(end_of(life))}
    return json.dumps(whole, indent=1) + "\n"


def main() -> int:
    """Write the files of this version."""
    folder = STATUSES / VERSION
    folder.mkdir(parents=True, exist_ok=True)
    for story in STORIES:
        (folder / f"{story}.json").write_text(story_text(story), encoding="utf-8")
    CRDS.mkdir(exist_ok=True)
    shutil.copyfile(CRD, CRDS / f"{VERSION}.yaml")
    print(f"{len(STORIES)} stories and the CRD of {VERSION}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
