# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build workloads, desired states and AWS resources for tests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import (
    Finding,
    WorkloadKey,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    validate_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion import (
    PresetExpander,
    RunValues,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    AGENT_ADDON,
    ObservedAddon,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import (
    Change,
    Plan,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    PurgeScope,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import (
    CLUSTER_TAG,
    MANAGED_BY_TAG,
    MANAGED_BY_VALUE,
    OWNER_TAG,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.statements import (
    TrustGrant,
    trust_policy,
    writer_of,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    ACCOUNT as ACCOUNT,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    CLUSTER as CLUSTER,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    OTHER_CLUSTER as OTHER_CLUSTER,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    REGION as REGION,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_aws import (
    FakeAws as FakeAws,
)

Raw = dict[str, Any]
OWNER = f"{REGION}.{CLUSTER}"
# The tags of a resource of the default owner.
OWNED = {MANAGED_BY_TAG: MANAGED_BY_VALUE, OWNER_TAG: OWNER}
CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/{CLUSTER}"
# The tags of a policy that this collection has created.
POLICY_TAGS = {**OWNED, CLUSTER_TAG: CLUSTER_ARN}
OTHER_CLUSTER_ARN = f"arn:aws:eks:{REGION}:{ACCOUNT}:cluster/other-cluster"
HERE = Cluster(CLUSTER, CLUSTER_ARN, ACCOUNT, REGION, "aws")
TRUST_BARE: Raw = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}
TRUST_EC2: Raw = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}


def key(service_account: str = "app", namespace: str = "default", cluster: str = CLUSTER) -> WorkloadKey:
    return WorkloadKey(cluster, namespace, service_account)


def role_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:role/{name}"


def policy_arn(name: str) -> str:
    return f"arn:aws:iam::{ACCOUNT}:policy/{name}"


def agent(status: str = "ACTIVE", version: str = "v1") -> ObservedAddon:
    """Return the add-on of the EKS Pod Identity Agent."""
    return ObservedAddon(AGENT_ADDON, "arn", status, version)


def document(*actions: str, resource: str = "*") -> Raw:
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return {"Version": "2012-10-17", "Statement": [statement]}


def policy(name: str = "my-policy", *actions: str, **more: Any) -> Raw:
    return {"name": name, "document": document(*(actions or ("s3:GetObject",))), **more}


def workload(service_account: str = "app", namespace: str = "default", **more: Any) -> Raw:
    """Return a workload as a user writes it, with a role and a policy. ``more`` adds or replaces keys."""
    raw: Raw = {
        "namespace": namespace,
        "service_account": service_account,
        "role": {"name": "my-role"},
        "policies": [policy()],
    }
    return {key: value for key, value in {**raw, **more}.items() if value is not None}


def desired(*workloads: Mapping[str, Any], state: str = "present", **options: Any) -> Desired:
    tags = options.pop("tags", None)
    purge = options.pop("purge", None)
    options.setdefault("owner", OWNER)
    cluster = options.pop("cluster", CLUSTER)
    defaults = Defaults(tags or {}, presets=PresetExpander(RunValues(cluster)))
    return Desired(
        parse_workloads(list(workloads), cluster, state, defaults), Options(**options), purge=purge
    )


def cluster_name(desired: Desired) -> str:
    """Return the name of the cluster of the desired workloads. Without workloads, return CLUSTER."""
    return next((workload.key.cluster for workload in desired.workloads), CLUSTER)


class Clock:
    """A clock on which time passes only in ``sleep``."""

    def __init__(self) -> None:
        self.time = 1000.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds


def wait_policy(clock: Clock | None = None, timeout: float = 60) -> WaitPolicy:
    clock = clock or Clock()
    return WaitPolicy(timeout, clock.now, clock.sleep)


def engine(aws: FakeAws, desired: Desired, state: str = "present", clock: Clock | None = None) -> Engine:
    cluster = find_cluster(aws, cluster_name(desired), REGION, state)
    validate_accounts(desired, cluster)
    return Engine(aws, cluster, 1, wait_policy(clock))


def run(aws: FakeAws, desired: Desired, state: str = "present", clock: Clock | None = None) -> Run:
    return engine(aws, desired, state, clock).run(desired, state, check_mode=False)


def own_trust(*grants: TrustGrant) -> dict[str, object]:
    """Return the trust policy that a run for OWNER writes for some grants."""
    own = (replace(grant, writer=writer_of(OWNER, grant.cluster_arn)) for grant in grants)
    return dict(trust_policy(own))


def run_with_purge(engine: Engine, desired: Desired, scope: PurgeScope, check_mode: bool = False) -> Run:
    """Run the engine for a list that is the whole truth about the cluster."""
    return engine.run(replace(desired, purge=scope), "present", check_mode)


def plan(aws: FakeAws, desired: Desired, state: str = "present") -> Plan:
    return engine(aws, desired, state).run(desired, state, check_mode=True).plan


def names(plan: Plan) -> list[str]:
    """Return the changes of a plan as texts, such as "create role my-role"."""
    return [named(change) for change in plan.changes]


def named(change: Change) -> str:
    return f"{change.action} {change.target.label}"


def create_role(
    aws: FakeAws,
    name: str,
    trust: Raw | None = None,
    attached: tuple[str, ...] = (),
    tags: Mapping[str, str] | None = None,
    **more: Any,
) -> None:
    """Create a role in IAM. Without the ownership tag in ``tags``, this collection does not manage the role."""
    parameters = {
        "RoleName": name,
        "AssumeRolePolicyDocument": json.dumps(trust or TRUST_EC2),
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
        **more,
    }
    aws.iam.CreateRole(parameters)
    aws.iam.roles[name.lower()]["attached"] = list(attached)


def create_policy(
    aws: FakeAws, name: str, *actions: str, tags: Mapping[str, str] | None = None, path: str = "/"
) -> str:
    """Create a policy in IAM, and return its ARN."""
    parameters = {
        "PolicyName": name,
        "PolicyDocument": json.dumps(document(*(actions or ("s3:GetObject",)))),
        "Path": path,
        "Tags": [{"Key": key, "Value": value} for key, value in (tags or {}).items()],
    }
    aws.iam.CreatePolicy(parameters)
    return f"arn:aws:iam::{ACCOUNT}:policy{path}{name}"


def create_association(
    aws: FakeAws, service_account: str, role: str, namespace: str = "default", **more: Any
) -> str:
    """Create an association in EKS without the checks of EKS, and return its ID."""
    parameters = {
        "clusterName": CLUSTER,
        "namespace": namespace,
        "serviceAccount": service_account,
        "roleArn": role_arn(role),
        **more,
    }
    return str(aws.eks.put(parameters)["associationId"])


# The reason of a finding RESOURCE_KEPT, by a part of its message. The first match counts.
KEPT_REASONS = {
    "is kept attached to": "attached",
    "is still used by": "used",
    "is not limited to": "perhaps used",
    "does not manage (": "holds",
    "does not have the tag": "without tag",
    "belongs to owner": "of another owner",
    "no longer used by": "left",
    "loses its last association": "left",
}


def codes_and_reasons(findings: Iterable[Finding]) -> list[str]:
    """Return the codes of findings; for RESOURCE_KEPT, the type of the resource and the reason instead, like "role used"."""
    return [
        f"{finding.message.split()[0]} {next(reason for text, reason in KEPT_REASONS.items() if text in finding.message)}"
        if finding.code == Code.RESOURCE_KEPT
        else str(finding.code)
        for finding in findings
    ]
