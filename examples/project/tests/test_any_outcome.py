"""The same for hundreds of outcomes that hypothesis draws: Jobs that fail, hang, and come in any order."""

from pathlib import Path

from hypothesis import given, settings

from zenflow_testing.plugin.subject import FlowUnderTest
from zenflow_testing.strategies import outcomes

RELEASE = Path(__file__).parents[1] / "flows" / "release.yaml"


@settings(max_examples=50, deadline=None)
@given(outcomes())
def test_whatever_happens_the_release_is_reported_and_deployed_once_at_most(world):
    flow = FlowUnderTest.load(RELEASE, outcomes=world).run()
    flow.expect(flow=["Succeeded", "Failed"], creates={"report": 1, "deploy": {"max": 1}})
