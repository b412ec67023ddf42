# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Small worlds for the tests of the rules of ownership and removal: lists of workloads, and an account on the fake of AWS.

``play`` is the only entry to the code under test. ``observe`` reduces the account to the facts that the rules are about.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    change_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import (
    cluster as cluster_run,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import module_rows
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import build
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    REGION,
    FakeAws,
    policy,
    policy_arn,
    wait_policy,
)

Raw = dict[str, Any]
# Two owners, and the names for resources without the mark, and for resources with the mark but without an owner.
ME, OTHER, NOBODY, UNNAMED = "blue", "green", "nobody", "unnamed"
MARK, OWNER = "workload-identity/managed-by", "workload-identity/owner"
PODS, EC2 = "pods.eks.amazonaws.com", "ec2.amazonaws.com"


@dataclass(frozen=True)
class Played:
    """The result of a run. ``red`` is whether site.yml or teardown.yml would fail."""

    changes: tuple[str, ...]
    codes: frozenset[str]
    red: bool
    text: str
    row: Raw = field(repr=False, compare=False)

    def reports(self, *words: str) -> bool:
        """Return whether one finding or failure has all these words."""
        return any(all(word in line for word in words) for line in self.text.splitlines())


def play(api: Any, *workloads: Mapping[str, Any], check: bool = False, **options: Any) -> Played:
    """Run the engine as the module and the role do: with a list of workloads as users write them, and options."""
    arguments = {"cluster_name": CLUSTER, "workloads": list(workloads), "owner": ME, **options}
    arguments = {"concurrency": 1, "verify": arguments.get("state") != "absent", **arguments}
    spec = change_spec()
    values = {name: value for name, value in arguments.items() if name in spec and value is not None}
    params = ArgumentSpecValidator(spec).validate(values).validated_parameters
    job = cluster_run.AwsJob(params, lambda *_: api, REGION, check)
    # The pauses of a run take no real time.
    with mock.patch.object(
        cluster_run, "WaitPolicy", lambda timeout, *_, **_more: wait_policy(timeout=timeout)
    ):
        row = job.guarded(
            lambda: module_rows(
                cluster_run.change_cluster(job, read_input(arguments, refuse_files, presets_expanded=True))
            )
        )
    verified = row.get("verification", {})
    workload_rows = verified.get("workloads", [])
    findings = [*row.get("findings", ()), *verified.get("findings", ())]
    findings += [finding for workload in workload_rows for finding in workload.get("findings", ())]
    failures = row.get("failures", [])
    codes = {str(finding["code"]) for finding in findings}
    codes |= {str(failure["error_code"]) for failure in failures}
    lines = [f"{found.get('code') or found.get('error_code')} {found['message']}" for found in findings]
    lines += [f"{failure['error_code']} {failure['name']} {failure['message']}" for failure in failures]
    changes = [
        f"{change['action']} {change['resource']} {change['name']}" for change in row.get("changes", ())
    ]
    failed = bool(row.get("failed")) or any(finding["severity"] == "error" for finding in findings)
    text = "\n".join([*lines, str(row.get("msg", ""))])
    return Played(tuple(changes), frozenset(codes), failed, text, row)


def account() -> FakeAws:
    """Return an empty account with two clusters, and with the agent in both."""
    aws = FakeAws()
    aws.replace("eks:DescribeAddon", lambda _asked: {"addon": {"status": "ACTIVE", "addonVersion": "v1"}})
    return aws


def workload(name: str = "app", role: Any = "r", *policies: Any, **more: Any) -> Raw:
    """Return a workload. ``name`` may start with a namespace and "/"; a policy is a name, or a mapping."""
    namespace, _separator, service_account = name.rpartition("/")
    return {
        "namespace": namespace or "default",
        "service_account": service_account,
        "role": role if isinstance(role, Mapping) else {"name": role},
        "policies": [part if isinstance(part, Mapping) else policy(part) for part in policies],
        **more,
    }


def trust_statement(sid: str, service_account: str = "", cluster_arn: str = CLUSTER_ARN) -> Raw:
    """Return a statement as a person writes it: for one service account, or without ``service_account`` for all Pods."""
    tags = {"eks-cluster-arn": cluster_arn, "kubernetes-namespace": "default"}
    tags["kubernetes-service-account"] = service_account
    equals = {f"aws:RequestTag/{key}": value for key, value in tags.items()}
    return {
        **({"Sid": sid} if sid else {}),
        "Effect": "Allow",
        "Principal": {"Service": PODS},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        **({"Condition": {"StringEquals": equals}} if service_account else {}),
    }


# Unmanaged trust statements by name. "deny" concerns a namespace without workloads.
STATEMENTS: dict[str, Raw] = {
    "app by hand": trust_statement("ByHandForApp", "app"),
    "another Sid": trust_statement("ByHand", "app", OTHER_CLUSTER_ARN),
    "no Sid": trust_statement("", "web"),
    "wide": trust_statement("Wide"),
    "ec2": {"Sid": "Machines", "Effect": "Allow", "Principal": {"Service": EC2}, "Action": "sts:AssumeRole"},
    "deny": {
        "Sid": "Quarantine",
        "Effect": "Deny",
        "Principal": {"Service": PODS},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"aws:RequestTag/kubernetes-namespace": "quarantine"}},
    },
}
# Principals that may use a role: service accounts of two clusters, and EC2.
SUBJECTS: dict[str, tuple[str, str, str]] = {
    "app": (CLUSTER_ARN, "default", "app"),
    "web": (CLUSTER_ARN, "default", "web"),
    "job": (CLUSTER_ARN, "default", "job"),
    "far app": (OTHER_CLUSTER_ARN, "default", "app"),
    "ec2": ("", "", ""),
}


def lets_in(statements: Iterable[Raw]) -> frozenset[str]:
    """Return the subjects that a trust policy allows, without its Deny statements."""
    return frozenset(
        name for statement in statements for name, subject in SUBJECTS.items() if _allows(statement, subject)
    )


def _allows(statement: Raw, subject: tuple[str, str, str]) -> bool:
    if statement["Effect"] != "Allow" or statement["Principal"].get("Service") != (
        PODS if subject[0] else EC2
    ):
        return False
    names = ("aws:RequestTag/eks-cluster-arn", "aws:RequestTag/kubernetes-namespace")
    tags = dict(zip((*names, "aws:RequestTag/kubernetes-service-account"), subject, strict=True))
    equals = {**tags, "aws:SourceAccount": ACCOUNT}
    required = statement.get("Condition", {}).get("StringEquals", {})
    return all(
        equals.get(key) in (value if isinstance(value, list) else [value]) for key, value in required.items()
    )


def read_statements(aws: FakeAws, role: str) -> list[Raw]:
    found: list[Raw] = json.loads(aws.iam.roles[role]["trust"])["Statement"]
    return found


def write_statements(aws: FakeAws, role: str, *statements: Raw) -> None:
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    aws.iam.roles[role]["trust"] = text


def owner_tags(owner: str) -> dict[str, str]:
    mark = {} if owner == NOBODY else {MARK: "workload_identity.aws"}
    return mark if owner in (NOBODY, UNNAMED) else {**mark, OWNER: owner}


def retag(tags: dict[str, str], owner: str) -> None:
    """Set the owner in the tags of a resource."""
    rest = {key: value for key, value in tags.items() if key not in (MARK, OWNER)}
    tags.clear()
    tags.update(rest, **owner_tags(owner))


def create_role(
    aws: FakeAws,
    name: str,
    *statements: Raw,
    owner: str = NOBODY,
    attached: Iterable[str] = (),
    path: str = "/",
) -> None:
    trust = {"Version": "2012-10-17", "Statement": list(statements)}
    build.create_role(aws, name, trust, tuple(map(policy_arn, attached)), owner_tags(owner), Path=path)


def create_policy(aws: FakeAws, name: str, owner: str = NOBODY, *actions: str, path: str = "/") -> str:
    return build.create_policy(aws, name, *actions, tags=owner_tags(owner), path=path)


def read_owner(tags: Mapping[str, str]) -> str:
    return tags.get(OWNER, UNNAMED) if MARK in tags else NOBODY


def observe(aws: FakeAws) -> dict[str, object]:
    """Return the facts about each object of the account, by name."""
    facts: dict[str, object] = {}
    for name, role in aws.iam.roles.items():
        statements = read_statements(aws, name)
        facts[f"role {name}"] = read_owner(role["tags"]), bool(role["boundary"])
        facts[f"admitted by {name}"] = lets_in(statements)
        facts[f"statements of {name}"] = frozenset(
            kind for kind, statement in STATEMENTS.items() if statement in statements
        )
        facts[f"attached to {name}"] = frozenset(text.rpartition("/")[2] for text in role["attached"])
    for text, found in aws.iam.policies.items():
        statements = found["versions"][found["default"]]["Statement"]
        actions = sorted(action for statement in statements for action in statement["Action"])
        facts[f"policy {text.rpartition('/')[2]}"] = read_owner(found["tags"]), ", ".join(actions)
    for row in aws.eks.associations.values():
        name = row["serviceAccount"] if row["clusterName"] == CLUSTER else f"far {row['serviceAccount']}"
        facts[f"association {name}"] = read_owner(row["tags"]), row["roleArn"].rpartition("/")[2]
    # The list of a purge must not be empty: it has this workload, if nothing else.
    return {name: fact for name, fact in facts.items() if not name.endswith(("keeper", "keeper-policy"))}


class Killed(BaseException):
    """The end of a process by SIGKILL."""


class AwsWithEvent:
    """An account in which something happens before the ``number``-th request of its caller.

    The event is a function. If it is None, the caller is killed: this request and later ones do not arrive.
    """

    def __init__(self, aws: FakeAws, number: int, event: Callable[[], object] | None = None) -> None:
        self.aws, self.left, self.event = aws, number, event
        # The operation of the request at which the event happened.
        self.moment = ""
        self.pages = FakeAws.pages.__get__(self)

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> Raw:
        self.left -= 1
        if self.left <= 0 and self.event is None:
            raise Killed
        if self.left == 0 and self.event is not None:
            self.moment = operation
            self.event()
        return self.aws.call(service, operation, parameters)
