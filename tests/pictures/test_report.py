"""The page of a flow's life, as text and in a browser: complete, self-contained, the same each time, and it moves."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from zenflow_core import compile_plan, read_flow
from zenflow_testing import CalmOutcomes, SeededOutcomes, simulate
from zenflow_testing.report.page import page
from zenflow_testing.simulation import Simulation

EXAMPLES = Path(__file__).parents[2] / "examples"
VOID = {"meta", "input", "br"}


def played(manifest: Any, seed: int | None = None) -> Simulation:
    flow = read_flow(manifest)
    assert not isinstance(flow, tuple), flow
    plan = compile_plan(flow)
    assert not isinstance(plan, tuple), plan
    return simulate(flow, plan, CalmOutcomes() if seed is None else SeededOutcomes(seed))


def example(name: str) -> Any:
    return yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text(encoding="utf-8"))


class Balanced(HTMLParser):
    """Every element that is opened is closed, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_page_of_every_example_is_balanced_asks_nobody_and_names_each_step(path: Path) -> None:
    run = played(yaml.safe_load(path.read_text(encoding="utf-8")), seed=3)

    text = page(run, world="seed 3")

    parser = Balanced()
    parser.feed(text)
    parser.close()
    assert not parser.open
    assert not re.search(r"(src|href)\s*=\s*[\"'](?!#)|url\((?!#)|@import", text)
    table = text[text.index("<tbody>") :]
    assert all(f"<td>{step.name}</td>" in table for step in run.state.plan.steps)
    assert page(played(yaml.safe_load(path.read_text(encoding="utf-8")), seed=3), world="seed 3") == text


def test_what_a_user_writes_never_becomes_a_part_of_the_page() -> None:
    manifest = example("release-train")
    manifest["spec"]["steps"][0]["name"] = "a"
    for step in manifest["spec"]["steps"]:
        step["dependencies"] = ["a" if each == "checkout" else each for each in step.get("dependencies", [])]
        if "message" in step:
            step["message"] = "</script><img src=x onerror=alert(1)>"

    text = page(played(manifest), world="<b>")

    assert "<img" not in text
    assert "&lt;b&gt;" in text
    data = text[text.index('id="data">') + 10 :].partition("</script>")[0]
    assert json.loads(data)["steps"][0] == "a"


def test_a_flow_of_1000_steps_makes_a_page_below_3_mb() -> None:
    template = example("hello-linear")["spec"]["steps"][0]["template"]
    steps: list[Any] = [{"name": "w-0-0", "templateRef": "t"}]
    for number in range(1, 1_000):
        # Names and dependencies of many kinds, so that hardly any steps share a box.
        before = sorted({(number * 7) % number, number - 1 - number % 3} & set(range(number)))
        steps.append(
            {
                "name": f"w-{number}-{number % 17}",
                "templateRef": "t",
                "dependencies": [f"w-{each}-{each % 17}" for each in before],
            }
        )
    spec = {"templates": [{"name": "t", "template": template}], "steps": steps}
    manifest = {**example("hello-linear"), "spec": spec}

    assert len(page(played(manifest, seed=1), world="seed 1").encode()) < 3_000_000


# --- in a browser ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser, as Debian's package calls it, or others do."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("needs Chromium (Debian: apt-get install chromium)")
    return found


def opened(chromium: str, file: Path, fragment: str = "") -> str:
    """The document as the browser has it once the page's script has run."""
    command = [chromium, "--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=2000", "--dump-dom"]
    command += [f"--user-data-dir={file.parent / 'profile'}", f"file://{file}{fragment}"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout


def states(document: str) -> dict[str, str]:
    """Step and state of each row of the table."""
    found: dict[str, str]
    pattern = r'<tr class="r\d+[^"]*"[^>]*><td>([^<]+)</td><td class="state"><b class="sign">[^<]*</b> <span>([^<]+)<'
    found = dict(re.findall(pattern, document))
    return found


def test_the_slider_shows_any_moment_of_the_life(chromium: str, tmp_path: Path) -> None:
    run = played(example("release-train"), seed=9)
    file = tmp_path / "life.html"
    file.write_text(page(run, world="seed 9"), encoding="utf-8")

    end = opened(chromium, file)
    begin = opened(chromium, file, "#t=1")
    approving = next(entry for entry in run.timeline if entry.phase == "PendingApproval")
    asked = opened(chromium, file, f"#t={int((approving.at - run.started_at).total_seconds())}")

    final = {step.name: run.state.records[step.rank].phase.value for step in run.state.plan.steps}
    assert states(end) == final
    assert states(begin) == {name: "Running" if name == "checkout" else "Pending" for name in final}
    assert states(asked)["approve-production"] == "PendingApproval"
    assert 'id="controls" hidden' not in end


def test_a_crowd_in_one_box_says_how_many_are_how_far(chromium: str, tmp_path: Path) -> None:
    run = played(example("fan-out-300"), seed=3)
    file = tmp_path / "life.html"
    file.write_text(page(run, world="seed 3"), encoding="utf-8")

    document = opened(chromium, file, "#t=500")

    badges = re.findall(r'<text class="badge"[^>]*>([^<]+)</text>', document)
    counted = [int(number) for badge in badges for number in re.findall(r"\d+", badge)]
    assert sum(counted) == len([step for step in run.state.plan.steps if step.name.startswith("shard-")])
