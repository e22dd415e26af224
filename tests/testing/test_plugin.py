"""The pytest plugin, as a project has it that installed `zenflow[testing]`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

# pytester forgets what is imported first within its runs, and a library that is imported twice is two libraries.
import zenflow_testing.plugin.collecting
import zenflow_testing.plugin.subject  # noqa: F401 - see above

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parents[2]
FLOW = (ROOT / "examples" / "project" / "flows" / "release.yaml").read_text(encoding="utf-8")
CASE = (ROOT / "examples" / "project" / "tests" / "build-fails.case.yaml").read_text(encoding="utf-8")


def run(pytester: pytest.Pytester, test: str = "", **files: str) -> pytest.RunResult:
    """pytest over one test module and these other files, in an empty project with the flow `release.yaml`."""
    pytester.path.joinpath("release.yaml").write_text(FLOW, encoding="utf-8")
    for name, text in files.items():
        pytester.path.joinpath(name.replace("__", ".")).write_text(text, encoding="utf-8")
    if test:
        pytester.makepyfile(f"def test_it(load_flow):\n    flow = load_flow('release.yaml')\n    {test}\n")
    return pytester.runpytest_inprocess("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest")


# --- the fixture -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "test",
    [
        pytest.param(
            "flow.run(); assert flow.phase == 'Paused' and flow.now == 20", id="run ends where a person decides"
        ),
        pytest.param("flow.run('15s'); assert flow.now == 15; flow.expect(running=['a'])", id="run until a moment"),
        pytest.param("flow.advance('12s').advance(3.0); assert flow.now == 15", id="advance"),
        pytest.param("flow.approve('approve').run().expect(flow='Succeeded')", id="an approval before it is asked"),
        pytest.param(
            "flow.run().reject('approve', 'no').run().expect(flow='Failed', message={'approve': 'no'})",
            id="a rejection",
        ),
        pytest.param(
            "flow.run().approve('approve', by='ann').run(); assert flow.status['steps'][2]['approvedBy'] == 'ann'",
            id="who approved",
        ),
        pytest.param(
            "flow.script('build', *3 * [{'exitCode': 1}]).run().expect(creates={'build': 3})",
            id="attempts in order",
        ),
        pytest.param(
            "flow.happens('ApiError', verb='create', kind='Job', code=429, times=2, retry_after=7)"
            ".run().expect(create_requests={'build': 3})",
            id="an API that refuses",
        ),
        pytest.param(
            "flow.happens('JobFailed', step='build').run('2m').expect(retry_count={'build': 1})",
            id="what happens to one Job",
        ),
        pytest.param(
            "load_flow('release.yaml', outcomes={'approvals': {'approve': {'after': '5s'}}}).run()"
            ".expect(flow='Succeeded')",
            id="outcomes as a dict",
        ),
        pytest.param(
            "load_flow('release.yaml', outcomes='bad.yaml').run().expect(flow='Failed')", id="outcomes in a file"
        ),
        pytest.param("load_flow('release.yaml', parameters={'version': 2})", id="a flow's parameters"),
        pytest.param("load_flow(__import__('pathlib').Path('release.yaml').read_text()).run()", id="a flow as text"),
        pytest.param("load_flow(dict(flow.run()._loaded.manifest)).run().expect(flow='Paused')", id="a flow as a dict"),
        pytest.param("assert 'approve' in flow.run().explain('deploy')", id="why a step is where it is"),
        pytest.param("assert 'create Job' in flow.run().timeline() and 'Paused' in repr(flow)", id="the timeline"),
        pytest.param("flow.expect(never={'active_jobs_above': 1, 'steps': {'deploy': ['Running']}})", id="never"),
    ],
)
def test_a_flow_can_be_tested(pytester: pytest.Pytester, test: str) -> None:
    bad = "steps: {test: [{exitCode: 3}]}\n"
    run(pytester, test, bad__yaml=bad).assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("test", "said"),
    [
        pytest.param("flow.approve('aprove')", "did you mean 'approve'?", id="a step that is not there"),
        pytest.param("flow.expect(steps={'deplo': 'Running'})", "did you mean 'deploy'?", id="expected of no step"),
        pytest.param("flow.expect(step={'deploy': 'Running'})", "did you mean 'steps'?", id="an unknown word"),
        pytest.param("flow.happens('OperatorCrashes')", "did you mean 'OperatorCrash'?", id="an unknown event"),
        pytest.param("flow.happens('ApiError', verb='create')", "add 'kind'", id="an event that lacks something"),
        pytest.param("flow.advance('5 minutes')", "5 minutes", id="no duration"),
        pytest.param("flow.script('build', {'exitcode': 1})", "did you mean 'exitCode'?", id="an unknown ending"),
        pytest.param("flow.script('approve', {})", "is Manual", id="a script for a person"),
        pytest.param("flow.run().script('build', {})", "the flow runs already", id="a script that comes too late"),
        pytest.param("load_flow('relase.yaml')", "relase.yaml: found in none of", id="a file that is not there"),
        pytest.param("load_flow('two.yaml')", "has 2 JobFlows", id="several flows"),
        pytest.param("load_flow('two.yaml', name='relese')", "did you mean 'release'?", id="none of that name"),
        pytest.param("load_flow('broken.yaml')", "broken.yaml:6:", id="an invalid flow, with the place"),
        pytest.param("load_flow('release.yaml', parameters={'v': 1})", "there is no parameter 'v'", id="no parameter"),
    ],
)
def test_a_mistake_in_a_test_is_said_with_its_fix(pytester: pytest.Pytester, test: str, said: str) -> None:
    broken = FLOW.replace("spec:\n  parameters", "spec:\n  paramters", 1)
    two = f"{FLOW}---\n{FLOW.replace('name: release', 'name: other', 1)}"
    result = run(pytester, test, two__yaml=two, broken__yaml=broken)
    result.assert_outcomes(failed=1)
    assert said in result.stdout.str()


def test_what_fails_tells_what_happened_and_why(pytester: pytest.Pytester) -> None:
    result = run(pytester, "flow.run().expect(steps={'deploy': 'Succeeded'}, creates_total=3)")
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       flow.run().expect(*",  # the line of the test, and none of ours
            "*expect.steps.deploy at 20 s",
            "*expected step deploy is Succeeded",
            "*found    it is Pending",
            "*expected 3 Jobs of flow release were created",
            "*found    2 were: build 1, test 1",
            "*10 s  a     create Job release-test-* (test attempt 1) → ok",
            "*deploy is Pending",
            "*WaitsFor*approve*",
            "*kubectl*annotate*approve*",
        ]
    )
    assert "subject.py" not in result.stdout.str()


def test_an_operator_that_crashed_twice_creates_nothing_twice(pytester: pytest.Pytester) -> None:
    crash = "flow.happens('OperatorCrashOn', verb='create', kind='Job')"
    test = f"{crash}; flow.run('1m'); flow.happens('OperatorStart'); flow.run(); flow.expect(creates={{'build': 1}})"
    run(pytester, test).assert_outcomes(passed=1)


# --- case files ------------------------------------------------------------------------------------------------------


def test_case_files_are_tests(pytester: pytest.Pytester) -> None:
    result = run(pytester, good__case__yaml=CASE, other__yaml=CASE)
    result.assert_outcomes(passed=1)


def test_a_case_that_fails_is_told_as_zenflow_test_tells_it(pytester: pytest.Pytester) -> None:
    result = run(pytester, bad__case__yaml=CASE.replace("flow: Failed", "flow: Succeeded"))
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "FAIL  build-fails",
            "*expected flow release is Succeeded",
            "*found    it is Failed*",
            "*Right: nothing is deployed*",
        ]
    )
    assert "Traceback" not in result.stdout.str()
    assert "runtest" not in result.stdout.str()


def test_a_file_that_is_no_case_is_an_error_with_its_place(pytester: pytest.Pytester) -> None:
    result = run(pytester, bad__case__yaml=CASE.replace("until: 60", "untl: 60"))
    result.assert_outcomes(errors=1)
    assert "untl: unknown field" in result.stdout.str()


def test_case_files_can_be_left_alone(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nzenflow_cases = false")
    run(pytester, bad__case__yaml="no case").assert_outcomes()


# --- the cost, and the example ---------------------------------------------------------------------------------------


def test_a_project_without_flows_pays_nothing() -> None:
    """pytest loads the plugin everywhere: it may not bring anything of zenflow with it."""
    code = (
        "import sys, pytest, zenflow_testing.plugin\n"
        "print(*sorted(m for m in sys.modules if m.startswith(('zenflow', 'attr', 'yaml', 'cattr', 'celpy'))))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    allowed = {"zenflow_core", "zenflow_core.lazily", "zenflow_testing", "zenflow_testing.plugin"}
    assert set(ran.stdout.split()) == allowed


def test_the_example_project_passes(pytester: pytest.Pytester) -> None:
    pytester.copy_example(str(ROOT / "examples" / "project"))
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=7)
