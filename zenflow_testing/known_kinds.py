"""The kinds that a cluster serves from its start."""

from __future__ import annotations

from zenflow_testing.batch_v1 import JobRules
from zenflow_testing.core_v1 import ClaimRules, DataRules, EventRules, LeaseRules
from zenflow_testing.kinds import Generation, KindInfo, Scope, StatusMode

KNOWN_KINDS = (
    KindInfo(
        "JobFlow",
        "workflow.kube-zen.io",
        version="v1alpha1",
        plural="jobflows",
        status=StatusMode.CUSTOM,
        generation=Generation.COUNTED,
    ),
    KindInfo(
        "Job", "batch", plural="jobs", status=StatusMode.BUILT_IN, generation=Generation.COUNTED, rules=JobRules()
    ),
    KindInfo("Pod", "", plural="pods"),
    KindInfo(
        "ConfigMap",
        "",
        plural="configmaps",
        rules=DataRules("ConfigMap", text=("data",), encoded=("binaryData",)),
    ),
    KindInfo("Secret", "", plural="secrets", rules=DataRules("Secret", text=("stringData",), encoded=("data",))),
    KindInfo("PersistentVolumeClaim", "", plural="persistentvolumeclaims", rules=ClaimRules()),
    KindInfo("Event", "", plural="events", rules=EventRules()),
    KindInfo("Lease", "coordination.k8s.io", plural="leases", rules=LeaseRules()),
    KindInfo("Namespace", "", plural="namespaces", scope=Scope.CLUSTER),
)
