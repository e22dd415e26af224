"""What a run of mutmut has come to: `python -m tests.mutation.verdict`, the second half of `nox -s mutants`.

mutmut changes one place of the code that decides and runs the tests; that again for each place. A change that no test
notices is a gap in the tests, code that nothing needs, or one that nobody could notice: those of the last kind are in
`unnoticed.yaml`, each with its reason. The verdict is bad when a change is unnoticed and not in that file, or in the
file and noticed. A change is named by what it does, for mutmut's numbers change with every edit.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml
from attrs import asdict, frozen

KNOWN: Final = Path(__file__).parent / "unnoticed.yaml"
UNNOTICED: Final = ("survived", "no tests")
UNKNOWN: Final = ("not checked", "check was interrupted by user")
"""A run that leaves one of these was not played to its end."""

_RESULT: Final = re.compile(r"^ +(?P<mutant>\S+): (?P<result>.+)$", re.MULTILINE)
_MUTANT: Final = re.compile(r"(?:xǁ(?P<owner>\w+)ǁ|x_)(?P<name>\w+)__mutmut_\d+$")
_FILE: Final = "--- "


@frozen
class Change:
    """One change of one function: lines, without their indentation, and what they become (nothing: they go)."""

    file: str
    function: str
    was: str
    becomes: str


@frozen
class Verdict:
    """How many changes came to which result, and where that and `unnoticed.yaml` differ."""

    results: Mapping[str, int]
    unexplained: tuple[Change, ...]
    """Unnoticed, and nobody has said why."""
    stale: tuple[Change, ...]
    """Explained, but noticed or gone."""

    @property
    def good(self) -> bool:
        """Whether the run was whole, and all that it left unnoticed is explained."""
        whole = self.results and not any(result in UNKNOWN for result in self.results)
        return bool(whole) and not self.unexplained and not self.stale

    def __str__(self) -> str:
        """The figures, and the differences in the form of `unnoticed.yaml`."""
        total = sum(self.results.values())
        unnoticed = sum(self.results.get(result, 0) for result in UNNOTICED)
        lines = [f"{total} mutants: " + ", ".join(f"{n} {result}" for result, n in sorted(self.results.items()))]
        if total:
            lines.append(f"score: {100 * (total - unnoticed) / total:.1f} % are noticed; {unnoticed} are not")
        for said, changes in (("Not noticed, and not explained", self.unexplained), ("Explained in vain", self.stale)):
            if changes:
                lines += [f"{said}: {len(changes)}", as_text(changes)]
        return "\n".join(lines)


def as_text(changes: Iterable[Change]) -> str:
    """Changes as `unnoticed.yaml` has them."""
    return yaml.safe_dump([asdict(change) for change in changes], sort_keys=False, allow_unicode=True, width=1000)


def change_of(mutant: str, diff: str) -> Change:
    """The change that `mutmut show` tells of."""
    named = _MUTANT.search(mutant)
    assert named is not None, f"mutmut names its mutants in another way: {mutant}"
    owner, name = named["owner"], named["name"]
    lines = diff.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith(_FILE))
    changed = lines[start + 2 :]
    return Change(
        file=lines[start].removeprefix(_FILE).strip(),
        function=f"{owner}.{name}" if owner else name,
        was=_with_sign("-", changed),
        becomes=_with_sign("+", changed),
    )


def _with_sign(sign: str, lines: Iterable[str]) -> str:
    return "\n".join(line[1:].strip() for line in lines if line.startswith(sign))


def read_explained(text: str) -> dict[Change, str]:
    """The changes that nobody could notice, each with the reason."""
    groups: list[dict[str, Any]] = yaml.safe_load(text)
    return {Change(**change): group["why"] for group in groups for change in group["changes"]}


def judge(results: Iterable[str], unnoticed: Iterable[Change], explained: Iterable[Change]) -> Verdict:
    """Hold what was left unnoticed against what was explained."""
    found, known = list(dict.fromkeys(unnoticed)), list(explained)
    return Verdict(
        results=Counter(results),
        unexplained=tuple(change for change in found if change not in known),
        stale=tuple(change for change in known if change not in found),
    )


def _mutmut(*args: str) -> str:
    return subprocess.run(["mutmut", *args], capture_output=True, text=True, check=True).stdout


def main() -> int:
    """Print the verdict on the run that is in `mutants/`; 1 if it is bad."""
    results = dict(_RESULT.findall(_mutmut("results", "--all", "true")))
    unnoticed = [change_of(m, _mutmut("show", m)) for m, result in results.items() if result in UNNOTICED]
    verdict = judge(results.values(), unnoticed, read_explained(KNOWN.read_text(encoding="utf-8")))
    print(verdict)
    return 0 if verdict.good else 1


if __name__ == "__main__":
    sys.exit(main())
