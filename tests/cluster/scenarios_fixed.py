"""Requests that change what may not change, and what may."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tests.cluster.conformance import (
    create,
    merge,
    patch,
)
from tests.cluster.scenarios import CLAIM_SPEC, CONFIG, JOB, Scenario, a, a_job
from tests.cluster.scenarios_jobs import on_exit, with_rules
from tests.cluster.scenarios_writes import op

FIXED: Final[Mapping[str, Scenario]] = {
    "a Job's template": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"template": {"spec": {"priority": 1}}}}),
        patch("Job", "a", [op("replace", "/spec/template/spec/containers/0/image", "none:2")]),
    ),
    "a suspended Job's node selector": (
        create("Job", a_job(suspend=True)),
        merge("Job", "a", {"spec": {"template": {"spec": {"nodeSelector": {"x": "y"}}}}}),
        merge("Job", "a", {"spec": {"template": {"spec": {"containers": [{"name": "main", "image": "none:2"}]}}}}),
    ),
    "a Job's selector": (create("Job", JOB), merge("Job", "a", {"spec": {"selector": {"matchLabels": {"x": "y"}}}})),
    "a Job's completions": (create("Job", JOB), merge("Job", "a", {"spec": {"completions": 2}})),
    "an Indexed Job's completions": (
        create("Job", a_job(completionMode="Indexed", completions=2, parallelism=2)),
        merge("Job", "a", {"spec": {"completions": 3}}),
        merge("Job", "a", {"spec": {"completions": 3, "parallelism": 3}}),
    ),
    "a Job's completion mode": (
        create("Job", a_job(completions=2)),
        merge("Job", "a", {"spec": {"completionMode": "Indexed"}}),
    ),
    "a Job's failure policy": (
        create("Job", with_rules(on_exit())),
        patch("Job", "a", [op("replace", "/spec/podFailurePolicy/rules/0/action", "Ignore")]),
    ),
    "a Job's manager": (create("Job", JOB), merge("Job", "a", {"spec": {"managedBy": "testing.kube-zen.io/other"}})),
    "what a Job lets change": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"parallelism": 2}}),
        merge("Job", "a", {"spec": {"backoffLimit": 1}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": 2147483647}}),
        merge("Job", "a", {"spec": {"activeDeadlineSeconds": 5}}),
        merge("Job", "a", {"spec": {"suspend": True}}),
        merge("Job", "a", {"metadata": {"labels": {"x": "y"}}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": None}}),
    ),
    "a Job's numbers that turn negative": (
        create("Job", JOB),
        merge("Job", "a", {"spec": {"parallelism": -1}}),
        merge("Job", "a", {"spec": {"ttlSecondsAfterFinished": -1}}),
    ),
    "an immutable ConfigMap": (
        create("ConfigMap", {**CONFIG, "immutable": True}),
        merge("ConfigMap", "a", {"data": {"text": "x"}}),
        merge("ConfigMap", "a", {"immutable": False}),
        merge("ConfigMap", "a", {"metadata": {"labels": {"x": "y"}}}),
    ),
    "a key of both kinds of data": (create("ConfigMap", a(data={"k": "x"}, binaryData={"k": "eA=="})),),
    "a Secret in text that covers data": (
        create("Secret", a(stringData={"k": "v"}, data={"k": "eA==", "l": "eQ=="})),
        merge("Secret", "a", {"stringData": {"m": "w"}}),
    ),
    "a key of a ConfigMap that is none": (
        create("ConfigMap", a(data={"a b": "c"})),
        create("ConfigMap", a(data={"k": 1})),
        create("ConfigMap", a(binaryData={"k": "%"})),
    ),
    "a Secret that is no base64": (create("Secret", a(data={"k": "%"})),),
    "a claim": (
        create("PersistentVolumeClaim", a(spec={})),
        create("PersistentVolumeClaim", a(spec={**CLAIM_SPEC, "accessModes": ["Sometimes"]})),
        create("PersistentVolumeClaim", a(spec={**CLAIM_SPEC, "resources": {"requests": {"storage": "0"}}})),
    ),
    "a Lease whose time has no six digits": (create("Lease", a(spec={"renewTime": "2030-01-01T00:00:00Z"})),),
    "a Lease without a holder": (create("Lease", a(spec={"leaseDurationSeconds": 0})),),
}
