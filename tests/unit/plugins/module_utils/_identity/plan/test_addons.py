# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the plan of an EKS add-on: version policies, merged roles, kept configuration values, and the removal of the agent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import WorkloadKey
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.addons import (
    parse_addon,
    parse_version_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    AGENT_ADDON,
    AddonRelease,
    AddonSpec,
    ObservedAddon,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.addons import (
    plan_addon,
    refused_role,
    taken_roles,
    unsupported_accounts,
)

CLUSTER = Cluster(
    "my-cluster", "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster", "111122223333", "us-west-2", "aws",
    version="1.34",
)  # fmt: skip
EBS = "aws-ebs-csi-driver"
ROLE = "arn:aws:iam::111122223333:role/ebs"
OTHER_ROLE = "arn:aws:iam::111122223333:role/snapshots"
NEWEST, MIDDLE, OLDEST = "v1.3.10-eksbuild.1", "v1.3.8-eksbuild.2", "v1.3.7-eksbuild.2"
RELEASES = (AddonRelease(NEWEST), AddonRelease(MIDDLE, default=True), AddonRelease(OLDEST))
ADDED = {"serviceAccount": "ebs-csi-controller-sa", "roleArn": ROLE}
KEPT = {"serviceAccount": "snapshot-sa", "roleArn": OTHER_ROLE}
MARK = {"workload-identity/managed-by": "workload_identity.aws"}
OWNED = {**MARK, "workload-identity/owner": "us-west-2.my-cluster"}


def spec(version: str = "", **fields: Any) -> AddonSpec:
    return AddonSpec(EBS, version=parse_version_policy(version, "addon_version"), **fields)


def installed(version: str = MIDDLE, **fields: Any) -> ObservedAddon:
    return ObservedAddon(EBS, "arn:addon", "ACTIVE", version, **fields)


def change(desired: AddonSpec, addon: ObservedAddon | None) -> Change:
    planned = plan_addon(desired, addon, CLUSTER, RELEASES)
    assert isinstance(planned, Change)
    return planned


def request(planned: Change) -> tuple[str, dict[str, Any]]:
    (call,) = planned.calls
    return call.operation, {
        name: value for name, value in call.parameters.items() if name not in ("clusterName", "addonName")
    }


@pytest.mark.parametrize(
    ("version", "present", "expected"),
    [
        ("", None, None),
        ("latest", None, NEWEST),
        (">=v1.3.8", None, NEWEST),
        (OLDEST, None, OLDEST),
        ("latest", MIDDLE, NEWEST),
        (">=v1.3.9", MIDDLE, NEWEST),
        (OLDEST, MIDDLE, OLDEST),
        ("1.3.7-eksbuild.2", MIDDLE, OLDEST),
    ],
)
def test_version_is_chosen_by_its_policy(version: str, present: str | None, expected: str | None) -> None:
    planned = change(spec(version), installed(present) if present else None)
    assert request(planned)[1].get("addonVersion") == expected


@pytest.mark.parametrize(
    ("version", "present"),
    [
        ("", OLDEST),
        ("latest", NEWEST),
        # A version that EKS no longer offers
        ("latest", "v1.3.11-eksbuild.1"),
        (">=v1.3.8", MIDDLE),
        (">= 1.3.8-eksbuild.2", MIDDLE),
        (">=v1.3.8", NEWEST),
        (MIDDLE, MIDDLE),
    ],
)
def test_installed_version_is_kept(version: str, present: str) -> None:
    assert plan_addon(spec(version), installed(present), CLUSTER, RELEASES) is None


CHOOSE = (
    "Choose one of these versions. To see all: aws eks describe-addon-versions --addon-name aws-ebs-csi-driver "
    "--kubernetes-version 1.34"
)


@pytest.mark.parametrize(
    ("version", "releases", "message", "remedy"),
    [
        (
            ">=v1.4.0",
            RELEASES,
            "no version that is v1.4.0 or newer of the add-on is available for Kubernetes 1.34; EKS offers "
            f"{NEWEST}, {MIDDLE}, {OLDEST}.",
            CHOOSE,
        ),
        (
            "v1.0.0-eksbuild.1",
            RELEASES,
            "version v1.0.0-eksbuild.1 of the add-on is not available for Kubernetes 1.34; EKS offers "
            f"{NEWEST}, {MIDDLE}, {OLDEST}.",
            CHOOSE,
        ),
        (
            "latest",
            (),
            "no version of the add-on is available for Kubernetes 1.34; EKS offers none.",
            "Check the name of the add-on and the Kubernetes version of the cluster. To see the versions for all Kubernetes "
            "versions: aws eks describe-addon-versions --addon-name aws-ebs-csi-driver",
        ),
    ],
)
def test_unavailable_version_is_a_failure(
    version: str, releases: tuple[AddonRelease, ...], message: str, remedy: str
) -> None:
    planned = plan_addon(spec(version), None, CLUSTER, releases)
    assert isinstance(planned, Failure)
    assert (planned.error_code, planned.message, planned.remedy) == (
        "ADDON_VERSION_UNAVAILABLE",
        message,
        remedy,
    )


def test_new_addon_gets_roles_values_and_ownership_tag() -> None:
    planned = change(
        spec(roles={"ebs-csi-controller-sa": ROLE}, configuration='{"a": 1}', tags={"team": "x"}), None
    )
    assert request(planned) == (
        "CreateAddon",
        {
            "configurationValues": '{"a": 1}',
            "podIdentityAssociations": [{"serviceAccount": "ebs-csi-controller-sa", "roleArn": ROLE}],
            "resolveConflicts": "NONE",
            "tags": {"team": "x", **OWNED},
        },
    )
    assert (planned.before, planned.after) == (
        None,
        {
            "version": "the default of EKS",
            "configuration_values": '{"a": 1}',
            "roles": {"ebs-csi-controller-sa": ROLE},
        },
    )


@pytest.mark.parametrize(
    ("desired", "changed"),
    [
        (spec("latest"), {"addonVersion": NEWEST}),
        (spec(configuration="{}"), {"configurationValues": "{}"}),
        (spec(roles={"ebs-csi-controller-sa": ROLE}), {"podIdentityAssociations": [ADDED, KEPT]}),
        (spec(purge_roles=True), {"podIdentityAssociations": []}),
    ],
    ids=["version", "configuration", "role", "purge"],
)
def test_update_keeps_values_without_an_option(desired: AddonSpec, changed: dict[str, Any]) -> None:
    planned = change(desired, installed(configuration='{"a": 1}', roles={"snapshot-sa": OTHER_ROLE}))
    kept = {"addonVersion": MIDDLE, "configurationValues": '{"a": 1}', "resolveConflicts": "PRESERVE"}
    assert request(planned) == ("UpdateAddon", {**kept, **changed})


@pytest.mark.parametrize(
    ("desired", "taken"),
    [
        pytest.param(spec(), [], id="roles that are not listed"),
        pytest.param(spec(roles={"ebs-csi-controller-sa": ROLE}), [], id="the listed role"),
        pytest.param(
            spec(roles={"ebs-csi-controller-sa": OTHER_ROLE}), ["ebs-csi-controller-sa"], id="another role"
        ),
        pytest.param(
            spec(roles={"ebs-csi-controller-sa": ROLE}, purge_roles=True), ["snapshot-sa"], id="purge"
        ),
        pytest.param(spec(absent=True, roles={"ebs-csi-controller-sa": ROLE}), ["snapshot-sa"], id="removal"),
        pytest.param(spec(absent=True, preserve=True), [], id="removal that keeps the objects"),
    ],
)
def test_unlisted_roles_that_a_change_would_take(desired: AddonSpec, taken: list[str]) -> None:
    present = {"ebs-csi-controller-sa": ROLE, "snapshot-sa": OTHER_ROLE}
    assert taken_roles(desired, installed(roles=present)) == {name: present[name] for name in taken}
    assert taken_roles(desired, None) == {}


TEAM_A = {**MARK, "workload-identity/owner": "team-a"}
REMEDY = (
    "To keep the role, list it for the service account in pod_identity_associations. To replace or remove it, "
    "set adopt: true."
)
UNMARKED = "does not have the tag workload-identity/managed-by"
OF_TEAM_A = "belongs to owner 'team-a'"


@pytest.mark.parametrize(
    ("tags", "owner", "reason"),
    [
        ({}, None, UNMARKED),
        ({}, "team-a", UNMARKED),
        (TEAM_A, "team-b", OF_TEAM_A),
        (TEAM_A, None, OF_TEAM_A),
    ],
)
def test_role_of_another_owner_needs_adopt(tags: dict[str, str], owner: str | None, reason: str) -> None:
    account = "ebs-csi-controller-sa"
    failure = refused_role(spec(owner=owner), CLUSTER, "update", account, ROLE, tags)
    assert failure is not None
    assert (failure.error_code, failure.message, failure.remedy) == (
        "NOT_OWNED",
        f"service account {account} of the add-on has role {ROLE}, which {reason}, so another process may have set it.",
        REMEDY,
    )
    assert refused_role(spec(owner=owner, adopt=True), CLUSTER, "update", account, ROLE, tags) is None


def test_values_are_compared_as_json() -> None:
    addon = installed(configuration='{"b":2,"a":1}')
    assert plan_addon(spec(configuration='{"a": 1, "b": 2}'), addon, CLUSTER) is None
    assert change(spec(configuration='{"a": 2}'), addon).after == {"configuration_values": '{"a": 2}'}


def test_agent_is_not_removed_while_the_cluster_has_associations() -> None:
    agent, desired = ObservedAddon(AGENT_ADDON, "", "ACTIVE", MIDDLE), AddonSpec(AGENT_ADDON, absent=True)
    users = {WorkloadKey("my-cluster", "default", name) for name in "abcd"}
    planned = plan_addon(desired, agent, CLUSTER, users=users)
    assert isinstance(planned, Failure)
    assert (planned.error_code, planned.message, planned.remedy) == (
        "AGENT_IN_USE",
        "4 service accounts of the cluster would lose their credentials: default/a, default/b, default/c and 1 more.",
        "Delete their associations first: tear down their workloads.",
    )
    removal = plan_addon(desired, agent, CLUSTER)
    assert isinstance(removal, Change)
    assert (request(removal), removal.before) == (("DeleteAddon", {}), {"version": MIDDLE})
    assert plan_addon(desired, None, CLUSTER) is None


def test_unsupported_service_account_is_named() -> None:
    desired = spec(roles={"ebs-csi-controler-sa": ROLE})
    failure = unsupported_accounts(desired, ["ebs-csi-controller-sa"], MIDDLE, CLUSTER, "create")
    assert failure is not None
    assert (failure.action, failure.error_code) == ("create", "ADDON_ROLE_NOT_SUPPORTED")
    assert failure.message == (
        f"version {MIDDLE} of the add-on does not accept roles for these service accounts: "
        "ebs-csi-controler-sa; it accepts roles for ebs-csi-controller-sa."
    )
    without = unsupported_accounts(desired, [], OLDEST, CLUSTER, "update")
    assert without is not None
    assert without.message.endswith("; it accepts no roles.")


def options(**changes: Any) -> dict[str, Any]:
    return {
        "addon_name": EBS,
        "state": "present",
        "addon_version": None,
        "configuration_values": None,
        "pod_identity_associations": [],
        "purge_associations": False,
        "overwrite": False,
        "preserve": False,
        "tags": None,
        "adopt": False,
        "owner": None,
        **changes,
    }


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        (
            {"addon_version": "newest"},
            "addon_version must be 'latest', a version such as 'v1.3.8-eksbuild.2', or a minimum such as '>=v1.3.0'; "
            "it is 'newest'.",
        ),
        (
            {"addon_name": "EBS driver"},
            "addon_name must be the name of an EKS add-on such as 'aws-ebs-csi-driver'; it is 'EBS driver'",
        ),
        (
            {"pod_identity_associations": [{"service_account": "a", "role_arn": "ebs"}]},
            "pod_identity_associations[0]: role_arn must be the ARN of an IAM role "
            "(arn:aws:iam::111122223333:role/name); it is 'ebs'",
        ),
        (
            {"pod_identity_associations": [{"service_account": "a", "role_arn": ROLE}] * 2},
            "pod_identity_associations[1]: service account 'a' is listed twice; it can have only one role",
        ),
    ],
)
def test_invalid_options_are_rejected(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(InputError) as refused:
        parse_addon(options(**changes))
    assert refused.value.problems == (problem,)


def test_mapping_of_values_becomes_json() -> None:
    assert parse_addon(options(configuration_values={"b": 1, "a": [2]})).configuration == '{"a": [2], "b": 1}'
    assert parse_addon(options(configuration_values="a: 1")).configuration == "a: 1"


def test_removal_may_list_removed_roles() -> None:
    listed = [{"service_account": "ebs-csi-controller-sa", "role_arn": ROLE}]
    parsed = parse_addon(options(pod_identity_associations=listed, state="absent", owner="team-a"))
    assert parsed == AddonSpec(EBS, absent=True, roles={"ebs-csi-controller-sa": ROLE}, owner="team-a")
