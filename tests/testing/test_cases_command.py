"""`zenflow test`: what it prints, what it writes for CI servers, how it exits."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from zenflow_runtime.cli import main

GOOD = """\
id: {id}
description: |
  A step fails once. Right: it is tried again,
  once. Why: it says so.
flow:
  apiVersion: workflow.kube-zen.io/v1alpha1
  kind: JobFlow
  metadata: {{name: sample}}
  spec:
    steps:
    - name: build
      retryPolicy: {{limit: 1, backoff: {{type: Fixed, duration: 10s}}}}
      template:
        spec: {{template: {{spec: {{restartPolicy: Never, containers: [{{name: main, image: "x:1"}}]}}}}}}
history:
- {{at: 5, event: JobFailed, step: build, reason: PodFailurePolicy}}
- {{at: 20, event: JobComplete, step: build}}
until: 60
expect:
- {{end: true, flow: {phase}}}
"""

STORY = """\
FAIL  bad
  cases/bad.case.yaml:20:15: expect[0].flow at 60 s
    expected flow sample is Failed
    found    it is Succeeded (FlowSucceeded)
  Right: it is tried again, once.
  What happened until 60 s:
        0 s  a     decides sample (Running): build Pending→Running Admitted
        0 s  a     patch JobFlow/status sample → ok
        0 s  a     create Job sample-build-0a0a0a0a (build attempt 1) → ok
        0 s  a     decides sample (Running): no step moves
        5 s  event JobFailed build reason PodFailurePolicy
        5 s  a     decides sample (Running): build Running→Pending AttemptFailed; wakes at 15 s
        5 s  a     patch JobFlow/status sample → ok
       15 s  a     decides sample (Running): build Pending→Running Admitted
       15 s  a     patch JobFlow/status sample → ok
       15 s  a     create Job sample-build-0a0a0a0a-r1 (build attempt 2) → ok
       15 s  a     decides sample (Running): no step moves
       20 s  event JobComplete build
       20 s  a     decides sample (Succeeded): build Running→Succeeded JobComplete; wakes at 86420 s
       20 s  a     patch JobFlow/status sample → ok
       60 s  check it is Succeeded (FlowSucceeded)
"""


@pytest.fixture
def cases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Puts a case into `cases/` of a directory of its own, which is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "cases").mkdir()

    def put(name: str, phase: str = "Succeeded", text: str | None = None) -> Path:
        file = tmp_path / "cases" / name
        file.write_text(text or GOOD.format(id=name.partition(".")[0], phase=phase), encoding="utf-8")
        return file

    return put


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["test", *arguments])
    out, err = capsys.readouterr()
    return code, out, err


def test_what_passes_is_one_line_each(cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    cases("one.case.yaml")
    cases("two.case.yaml")
    assert run(capsys, "cases") == (0, "ok    one\nok    two\n2 passed, 0 failed\n", "")


def test_what_fails_tells_its_story(cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    cases("bad.case.yaml", "Failed")
    cases("good.case.yaml")
    code, out, err = run(capsys, "cases")
    assert (code, err) == (1, "")
    assert out == f"{STORY}ok    good\n1 passed, 1 failed\n"


def test_a_malformed_case_is_told_with_its_place(
    cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cases("good.case.yaml")
    cases("odd.case.yaml", text="id: odd\nuntil: 9\nexpect: []\nhistory: [{at: 1, event: Pok}]\n")
    code, out, err = run(capsys, "cases")
    assert code == 2
    assert out == "ok    good\n1 passed, 0 failed\n"
    assert err.startswith("cases/odd.case.yaml:4:19: error ZF104 history[0].event: found the text 'Pok'")
    assert "fix: did you mean 'Poke'?" in err


def test_a_directory_is_searched_for_cases_among_other_files(
    cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cases("named.case.yaml")
    cases("plain.yaml")
    cases("manifest.yaml", text="kind: JobFlow\nspec: {steps: []}\n")
    cases("notes.txt", text="history:\nexpect:\n")
    assert run(capsys, "cases")[:2] == (0, "ok    named\nok    plain\n2 passed, 0 failed\n")
    assert run(capsys, "cases/plain.yaml", "cases/plain.yaml")[:2] == (0, "ok    plain\n1 passed, 0 failed\n")


@pytest.mark.parametrize(
    ("pattern", "ids"),
    [("retry", ["retry-once", "no-retry"]), ("retry*", ["retry-once"]), ("RETRY-O", ["retry-once"]), ("*", None)],
)
def test_some_cases_only(
    pattern: str, ids: list[str] | None, cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("retry-once", "no-retry", "other"):
        cases(f"{name}.case.yaml")
    code, out, _ = run(capsys, "cases", "-k", pattern)
    assert code == 0
    wanted = ids or ["no-retry", "other", "retry-once"]
    assert sorted(line.split()[1] for line in out.splitlines()[:-1]) == sorted(wanted)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        pytest.param((), "name at least one case file or directory", id="no path"),
        pytest.param(("nowhere",), "cannot read nowhere: no such file or directory", id="no such file"),
        pytest.param(("cases", "-k", "zzz"), "there is no case whose id has 'zzz' in it in cases", id="no such case"),
        pytest.param(("cases", "--junit", "no/where.xml"), "cannot write no/where.xml", id="no place for the report"),
    ],
)
def test_nothing_to_do_is_exit_code_2(
    arguments: tuple[str, ...], told: str, cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cases("one.case.yaml")
    code, _, err = run(capsys, *arguments)
    assert code == 2
    assert told in err


def test_junit_has_every_case(cases: Callable[..., Path], capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    cases("bad.case.yaml", "Failed")
    cases("good.case.yaml")
    cases("odd.case.yaml", text="id: odd\n")
    assert run(capsys, "cases", "--junit", "report.xml")[0] == 2
    suite = ElementTree.parse(tmp_path / "report.xml").getroot()[0]
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "1")
    bad, good, odd = suite
    assert bad.get("name") == "bad"
    assert bad[0].tag == "failure"
    assert bad[0].get("message") == (
        "expect[0].flow at 60 s: expected flow sample is Failed; found it is Succeeded (FlowSucceeded)"
    )
    assert (bad[0].text or "").startswith("FAIL  bad\n")
    assert len(good) == 0
    assert odd[0].tag == "error"


def test_verbose_says_how_much_happened(cases: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    cases("one.case.yaml")
    out = run(capsys, "cases", "-v")[1]
    assert "2 Jobs, 6 requests, 2 events in 60 s" in out


def test_a_case_that_names_a_hot_loop_or_an_error_does_not_stop_the_others(
    cases: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    cases("a.case.yaml")
    cases("b.case.yaml")
    from zenflow_testing.operator import Operator

    real = Operator.decide

    def broken(self: Operator, flow: object) -> object:
        raise ValueError("no such thing")

    monkeypatch.setattr(Operator, "decide", broken)
    code, out, _ = run(capsys, "cases")
    assert code == 1
    assert out.count("process a raised ValueError: no such thing") == 4
    assert out.endswith("0 passed, 2 failed\n")

    def endless(self: Operator, flow: object) -> object:
        answer = real(self, flow)  # type: ignore[arg-type]  # the flow that it was called with
        flow.due = True  # type: ignore[attr-defined]  # as above
        return answer

    monkeypatch.setattr(Operator, "decide", endless)
    out = run(capsys, "cases/a.case.yaml")[1]
    assert "a hot loop: flow default/sample: more than 50 calls at 2026-01-01 00:00:00+00:00" in out
