# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test runs for workloads whose association belongs to an EKS add-on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.codes import Code
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    AddonSpec,
    ObservedAddon,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    group_clusters,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import State
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.observed import Observed
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.addons import addon_target
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import PurgeScope
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import order as order_module
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.addons import (
    AddonRun,
    addon_runs,
    failures_by_workload,
    with_addon_associations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.order import (
    Order,
    Performed,
    perform,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    failure_message,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    HERE,
    OTHER_CLUSTER,
    REGION,
    TRUST_BARE,
    FakeAws,
    Raw,
    create_association,
    create_policy,
    create_role,
    desired,
    engine,
    fleet_engine,
    key,
    members,
    named,
    policy,
    policy_arn,
    role_arn,
    wait_policy,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.fake_iam import (
    refusal,
)

EBS, EFS, AGENT = "aws-ebs-csi-driver", "aws-efs-csi-driver", "eks-pod-identity-agent"
DRIVER, SNAPSHOTS, FILES = "ebs-csi-controller-sa", "ebs-snapshot-sa", "efs-csi-controller-sa"
ACCEPTED = {EBS: (DRIVER, SNAPSHOTS), EFS: (FILES,), AGENT: ()}
VERSION = "v1.50.1-eksbuild.1"
DENIED = classify("eks:UpdateAddon", "AccessDeniedException", "not authorized")


class AwsWithAddons(FakeAws):
    """A fake AWS with EKS add-ons, which own associations in kube-system. Changes of add-ons take no time."""

    def __init__(self, *installed: str) -> None:
        super().__init__()
        self.addons: dict[tuple[str, str], dict[str, Any]] = {}
        operations = (
            "CreateAddon",
            "DescribeAddon",
            "UpdateAddon",
            "DescribeAddonConfiguration",
            "DescribeAddonVersions",
        )
        for operation in operations:
            self.replace(f"eks:{operation}", getattr(self, f"_{operation}"))
        for name in (AGENT, *installed):
            self.install(name)

    def install(self, name: str, cluster: str = CLUSTER) -> dict[str, Any]:
        addon: dict[str, Any] = {
            "addonName": name,
            "addonArn": f"arn:aws:eks:{REGION}:{ACCOUNT}:addon/{cluster}/{name}/1",
            "addonVersion": VERSION,
            "status": "ACTIVE",
        }
        self.addons[cluster, name] = addon
        return addon

    @property
    def associated(self) -> list[tuple[str, str, str]]:
        """Return the service account, the role and the add-on of each association. The add-on may be ""."""
        return [
            (
                f"{row['namespace']}/{row['serviceAccount']}",
                row["roleArn"].rpartition("/")[2],
                "".join(row.get("ownerArn", "").split("/")[2:3]),
            )
            for row in self.eks.state()
        ]

    def _found(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        addon = self.addons.get((parameters["clusterName"], parameters["addonName"]))
        if addon is None:
            raise refusal("ResourceNotFoundException", f"No addon: {parameters['addonName']}")
        return addon

    def _DescribeAddon(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {"addon": dict(self._found(parameters))}

    def _DescribeAddonConfiguration(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        accounts = ACCEPTED[parameters["addonName"]]
        return {"podIdentityConfiguration": [{"serviceAccount": account} for account in accounts]}

    def _DescribeAddonVersions(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        compatibility = {"clusterVersion": parameters["kubernetesVersion"], "defaultVersion": True}
        if parameters["addonName"] not in ACCEPTED:
            return {"addons": []}
        versions = [{"addonVersion": VERSION, "compatibilities": [compatibility]}]
        addon = {"addonName": parameters["addonName"], "defaultNamespace": "kube-system"}
        return {"addons": [{**addon, "addonVersions": versions}]}

    def _CreateAddon(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        addon = self.install(parameters["addonName"], parameters["clusterName"])
        try:
            self._give(addon, parameters)
        except AwsError:
            del self.addons[parameters["clusterName"], parameters["addonName"]]
            raise
        return {"addon": dict(addon)}

    def _UpdateAddon(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self._give(self._found(parameters), parameters)
        return {"update": {}}

    def _give(self, addon: dict[str, Any], parameters: Mapping[str, Any]) -> None:
        """Replace all associations of an add-on with the list in a request. Without a list, do nothing."""
        if "podIdentityAssociations" not in parameters:
            return
        roles = {part["serviceAccount"]: part["roleArn"] for part in parameters["podIdentityAssociations"]}
        unknown = roles.keys() - set(ACCEPTED[addon["addonName"]])
        if unknown:
            raise refusal("InvalidParameterException", f"Service account {min(unknown)} is not supported")
        cluster, owner = parameters["clusterName"], addon["addonArn"]
        arns = []
        for row in list(self.eks.associations.values()):
            if row.get("ownerArn") != owner:
                continue
            place = {"clusterName": cluster, "associationId": row["associationId"]}
            arn = roles.pop(row["serviceAccount"], None)
            if arn is None:
                self.eks.DeletePodIdentityAssociation(place)
                continue
            self.eks.UpdatePodIdentityAssociation({**place, "roleArn": arn})
            arns.append(row["associationArn"])
        for account, arn in roles.items():
            request = {
                "clusterName": cluster,
                "namespace": "kube-system",
                "serviceAccount": account,
                "roleArn": arn,
                "ownerArn": owner,
            }
            arns.append(self.eks.CreatePodIdentityAssociation(request)["association"]["associationArn"])
        addon["podIdentityAssociations"] = arns


def entry(account: str = DRIVER, addon: str = EBS, role: str = "ebs", **more: Any) -> Raw:
    """Return a workload of an add-on as a user writes it."""
    return workload(
        account, "kube-system", **{"addon": addon, "role": {"name": role}, "policies": [policy(role)], **more}
    )


def execute(
    aws: AwsWithAddons, *raw: Raw, state: str = "present", check_mode: bool = False, **options: Any
) -> Performed:
    config = desired(*raw, state=state, **options)
    return perform(engine(aws, config, state), config, Order(state, check_mode, verify=True))


def changes(performed: Performed) -> list[str]:
    run = performed.run
    listed = run.plan.changes if run.check_mode else [done.change for done in run.done]
    return [named(change) for change in listed]


def statuses(performed: Performed) -> dict[str, str]:
    return {str(item.workload.key): item.status for item in performed.verified or ()}


def failures(performed: Performed) -> list[tuple[str, str, str]]:
    """Return the workload, the resource and the code of each failure."""
    return [
        (str(workload), failure.target.label, str(failure.error_code))
        for failure in performed.run.failures
        for workload in failure.workloads
    ]


CREATION = [
    f"create policy {policy_arn('ebs')}",
    "create role ebs",
    f"attach attachment ebs {policy_arn('ebs')}",
]
REMOVAL = [
    f"detach attachment ebs {policy_arn('ebs')}",
    "delete role ebs",
    f"delete policy {policy_arn('ebs')}",
]


@pytest.mark.parametrize(("installed", "action"), [((EBS,), "update"), ((), "create")])
def test_addon_gets_and_loses_its_role(installed: tuple[str, ...], action: str) -> None:
    aws = AwsWithAddons(*installed)
    initial = aws.state()
    passed = {f"kube-system/{DRIVER}": "pass"}
    creation = [*CREATION, f"{action} addon {EBS}"]

    planned = execute(aws, entry(), check_mode=True)
    assert (changes(planned), statuses(planned), failures(planned)) == (creation, passed, [])
    assert (aws.writes, aws.state()) == ([], initial)

    created = execute(aws, entry())
    assert (changes(created), statuses(created), failures(created)) == (creation, passed, [])
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS)]
    (row,) = build_result(created.run, False)["workloads"]
    assert (row["status"], row["role_arn"]) == ("changed", role_arn("ebs"))

    for check_mode in (True, False):
        unchanged = execute(aws, entry(), check_mode=check_mode)
        assert (changes(unchanged), statuses(unchanged), unchanged.run.findings) == ([], passed, ())

    moved_changes = [
        f"create policy {policy_arn('new')}",
        "create role new",
        f"attach attachment new {policy_arn('new')}",
        f"update addon {EBS}",
    ]
    for check_mode in (True, False):
        moved = execute(aws, entry(role="new"), check_mode=check_mode)
        assert (changes(moved), statuses(moved), failures(moved)) == (moved_changes, passed, [])
        assert [str(finding.code) for finding in moved.run.findings] == ["ROLE_LEFT"]
    assert aws.associated == [(f"kube-system/{DRIVER}", "new", EBS)]
    again = execute(aws, entry(role="new"))
    assert (changes(again), statuses(again)) == ([], passed)

    back = execute(aws, entry())
    assert changes(back) == [f"update addon {EBS}"]
    removal = [f"update addon {EBS}", *REMOVAL]
    for check_mode in (True, False):
        removed = execute(aws, entry(), state="absent", check_mode=check_mode)
        assert (changes(removed), failures(removed), removed.run.findings) == (removal, [], ())
    assert (aws.associated, list(aws.iam.roles)) == ([], ["new"])
    # The teardown does not delete the add-on.
    assert (CLUSTER, EBS) in aws.addons
    for check_mode in (True, False):
        assert changes(execute(aws, entry(), state="absent", check_mode=check_mode)) == []


def test_two_service_accounts_of_one_addon_take_one_update() -> None:
    aws = AwsWithAddons(EBS)
    workloads = [entry(SNAPSHOTS, role="snapshots"), entry()]
    created = execute(aws, *workloads)
    assert (changes(created)[-1], set(statuses(created).values())) == (f"update addon {EBS}", {"pass"})
    (update,) = aws.parameters("eks:UpdateAddon")
    assert update["podIdentityAssociations"] == [
        {"serviceAccount": DRIVER, "roleArn": role_arn("ebs")},
        {"serviceAccount": SNAPSHOTS, "roleArn": role_arn("snapshots")},
    ]
    (row,) = [row for row in build_result(created.run, False)["changes"] if row["resource"] == "addon"]
    assert (row["workload"], row["shared_with"]) == (
        f"kube-system/{SNAPSHOTS}",
        [f"kube-system/{DRIVER}"],
    )
    assert changes(execute(aws, *workloads)) == []
    # A service account whose workload is not in the list keeps its role.
    assert changes(execute(aws, entry())) == []
    removed = execute(aws, entry(), state="absent")
    assert (changes(removed), failures(removed)) == ([f"update addon {EBS}", *REMOVAL], [])
    assert aws.associated == [(f"kube-system/{SNAPSHOTS}", "snapshots", EBS)]


def test_two_addons_take_two_updates() -> None:
    aws = AwsWithAddons(EBS)
    workloads = [entry(), entry(FILES, EFS, "efs")]
    for check_mode in (True, False):
        created = execute(aws, *workloads, check_mode=check_mode)
        assert changes(created)[-2:] == [f"update addon {EBS}", f"create addon {EFS}"]
        assert set(statuses(created).values()) == {"pass"}
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS), (f"kube-system/{FILES}", "efs", EFS)]
    assert changes(execute(aws, *workloads)) == []
    aws.fail_on("eks:UpdateAddon", DENIED)
    removed = execute(aws, *workloads, state="absent")
    assert failures(removed) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")]
    assert (aws.associated, list(aws.iam.roles)) == ([(f"kube-system/{DRIVER}", "ebs", EBS)], ["ebs"])


def test_addon_of_each_cluster_gets_the_shared_role() -> None:
    aws = AwsWithAddons(EBS)
    for name in (EBS, AGENT):
        aws.install(name, OTHER_CLUSTER)
    first, second = desired(entry()), desired(entry(), cluster=OTHER_CLUSTER)
    config = replace(first, workloads=(*first.workloads, *second.workloads))

    def execute_all(state: State = "present", check_mode: bool = False) -> Performed:
        runner, fleet = fleet_engine(aws, members(config), config.options, state)
        return perform(runner, fleet.desired, Order(state, check_mode, verify=True))

    twice = [f"update addon {EBS}"] * 2
    for check_mode in (True, False):
        created = execute_all(check_mode=check_mode)
        assert (changes(created), failures(created)) == ([*CREATION, *twice], [])
        assert [item.status for item in created.verified or ()] == ["pass", "pass"]
    # The result of a cluster does not have the change of the add-on in the other cluster.
    for name in created.run.observed.clusters.members:
        rows = build_result(created.run, False, name)["changes"]
        assert [row["resource"] for row in rows] == ["policy", "role", "attachment", "addon"]
    assert changes(execute_all()) == []
    for check_mode in (True, False):
        removed = execute_all("absent", check_mode)
        assert (changes(removed), failures(removed)) == ([*twice, *REMOVAL], [])
    assert aws.associated == []


def test_update_is_retried_until_eks_sees_a_new_role() -> None:
    aws = AwsWithAddons(EBS)
    aws.eks.lag = 3
    assert statuses(execute(aws, entry())) == {f"kube-system/{DRIVER}": "pass"}
    assert len(aws.parameters("eks:UpdateAddon")) == 4


REFUSED = (
    f"version {VERSION} of the add-on does not accept roles for these service accounts: ebs-csi-node-sa; it accepts roles for "
    f"{DRIVER}, {SNAPSHOTS}.",
    "Correct the service accounts, or choose another version of the add-on. To list the service accounts of a version: aws eks "
    f"describe-addon-configuration --addon-name {EBS} --addon-version {VERSION}",
)


@pytest.mark.parametrize("check_mode", [True, False])
def test_refused_service_account_leaves_aws_unchanged(check_mode: bool) -> None:
    aws = AwsWithAddons(EBS)
    initial = aws.state()
    refused = execute(aws, entry("ebs-csi-node-sa"), check_mode=check_mode)
    (failure,) = refused.run.failures
    assert (failure.error_code, failure.action, failure.message, failure.remedy) == (
        "ADDON_ROLE_NOT_SUPPORTED",
        "update",
        *REFUSED,
    )
    assert failures(refused) == [("kube-system/ebs-csi-node-sa", f"addon {EBS}", "ADDON_ROLE_NOT_SUPPORTED")]
    assert (changes(refused), aws.writes, aws.state()) == ([], [], initial)
    assert statuses(refused) == {"kube-system/ebs-csi-node-sa": "fail"}


def test_refused_service_account_does_not_stop_other_workloads() -> None:
    aws = AwsWithAddons(EBS)
    refused = execute(aws, entry("ebs-csi-node-sa"), entry(FILES, EFS, "efs"), workload("app"))
    assert [name for name, _target, _code in failures(refused)] == ["kube-system/ebs-csi-node-sa"]
    assert statuses(refused) == {
        "kube-system/ebs-csi-node-sa": "fail",
        f"kube-system/{FILES}": "pass",
        "default/app": "pass",
    }
    assert aws.associated == [("default/app", "my-role", ""), (f"kube-system/{FILES}", "efs", EFS)]


def test_role_is_kept_if_the_addon_is_not_updated() -> None:
    aws = AwsWithAddons(EBS)
    aws.fail_on("eks:UpdateAddon", DENIED)
    denied = execute(aws, entry(), workload("app"))
    assert failures(denied) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")]
    assert failure_message(denied.run, HERE) == (
        f"1 of 2 workloads of cluster {CLUSTER} (account {ACCOUNT}, region {REGION}) could not be brought to state present:\n"
        f"- kube-system/{DRIVER}: update addon {EBS}: AccessDeniedException: eks:UpdateAddon: not authorized. Allow the caller "
        "this action on this resource. A service control policy or a permissions boundary can also deny it.\n"
        "The other workloads succeeded; a rerun applies the remaining changes."
    )
    result = build_result(denied.run, False)
    assert [(row["service_account"], row["status"]) for row in result["workloads"]] == [
        (DRIVER, "failed"),
        ("app", "changed"),
    ]
    assert statuses(denied) == {f"kube-system/{DRIVER}": "fail", "default/app": "pass"}
    assert (aws.associated, list(aws.iam.roles)) == ([("default/app", "my-role", "")], ["ebs", "my-role"])
    assert changes(execute(aws, entry(), workload("app"))) == [f"update addon {EBS}"]


@pytest.mark.parametrize("owner", ["", EFS])
def test_existing_association_is_not_taken_over(owner: str) -> None:
    aws = AwsWithAddons(EBS, EFS)
    arn = {"ownerArn": aws.addons[CLUSTER, EFS]["addonArn"]} if owner else {}
    create_role(aws, "other", TRUST_BARE)
    identifier = create_association(aws, DRIVER, "other", "kube-system", **arn)
    performed = execute(aws, entry())
    assert failures(performed) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "ADDON_ASSOCIATION_EXISTS")]
    assert performed.run.failures[0].message.endswith(
        f"Association already exists: {identifier}. An add-on cannot take over an existing association."
    )
    assert aws.associated == [(f"kube-system/{DRIVER}", "other", owner)]
    # Check mode reads the association, so its verification has the finding.
    planned = execute(aws, entry(), check_mode=True)
    assert [str(finding.code) for item in planned.verified or () for finding in item.findings] == [
        "ADDON_ASSOCIATION_EXISTS"
    ]


SHARED = [entry(), workload("app", role={"name": "ebs"}, policies=[policy("ebs")])]


def granted(aws: AwsWithAddons) -> list[str]:
    """Return the service accounts that the trust policy of the role "ebs" allows."""
    statements = aws.state()["roles"]["ebs"]["trust"]["Statement"]
    return sorted(
        part["Condition"]["StringEquals"]["aws:RequestTag/kubernetes-service-account"] for part in statements
    )


def test_addon_and_ordinary_workload_share_a_role() -> None:
    aws = AwsWithAddons(EBS)
    creation = [*CREATION, "create association default/app", f"update addon {EBS}"]
    for check_mode in (True, False):
        created = execute(aws, *SHARED, check_mode=check_mode)
        assert (changes(created), set(statuses(created).values())) == (creation, {"pass"})
    assert granted(aws) == ["app", DRIVER]
    assert changes(execute(aws, *SHARED)) == []

    for check_mode in (True, False):
        removed = execute(aws, SHARED[0], state="absent", check_mode=check_mode)
        assert changes(removed) == [f"update addon {EBS}", "update trust_policy ebs"]
        assert [str(finding.code) for finding in removed.run.findings] == [
            "ROLE_STILL_USED",
            "POLICY_STILL_USED",
        ]
    assert (granted(aws), aws.associated) == (["app"], [("default/app", "ebs", "")])

    assert changes(execute(aws, *SHARED)) == ["update trust_policy ebs", f"update addon {EBS}"]
    removal = [f"update addon {EBS}", "delete association default/app", *REMOVAL]
    for check_mode in (True, False):
        assert changes(execute(aws, *SHARED, state="absent", check_mode=check_mode)) == removal
    assert (aws.associated, aws.iam.roles) == ([], {})


def test_shared_role_is_kept_if_the_addon_keeps_its_association() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, *SHARED)
    aws.fail_on("eks:UpdateAddon", DENIED)
    removed = execute(aws, *SHARED, state="absent")
    assert failures(removed) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")]
    assert changes(removed) == ["delete association default/app", "update trust_policy ebs"]
    assert (granted(aws), aws.associated) == ([DRIVER], [(f"kube-system/{DRIVER}", "ebs", EBS)])
    assert aws.iam.roles["ebs"]["attached"] == [policy_arn("ebs")]
    assert changes(execute(aws, *SHARED, state="absent")) == [f"update addon {EBS}", *REMOVAL]


def test_teardown_keeps_the_role_of_a_failed_addon() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), workload("app"))
    aws.fail_on("eks:UpdateAddon", DENIED)
    removed = execute(aws, entry(), workload("app"), state="absent")
    assert failures(removed) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")]
    assert (aws.associated, list(aws.iam.roles)) == ([(f"kube-system/{DRIVER}", "ebs", EBS)], ["ebs"])
    assert changes(execute(aws, entry(), workload("app"), state="absent")) == [
        f"update addon {EBS}",
        *REMOVAL,
    ]


def test_teardown_without_a_role_removes_only_the_association() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    removed = execute(aws, entry() | {"role": None, "policies": None}, state="absent")
    assert (changes(removed), failures(removed)) == ([f"update addon {EBS}"], [])
    assert (aws.associated, list(aws.iam.roles)) == ([], ["ebs"])


def test_teardown_of_a_missing_addon_deletes_the_role() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    # Simulate that another process has deleted the add-on together with its association.
    aws.eks.associations.clear()
    del aws.addons[CLUSTER, EBS]
    for check_mode in (True, False):
        removed = execute(aws, entry(), state="absent", check_mode=check_mode)
        assert (changes(removed), failures(removed)) == (REMOVAL, [])
    assert (CLUSTER, EBS) not in aws.addons


def test_existing_role_of_an_addon_gets_only_a_grant() -> None:
    aws = AwsWithAddons(EBS)
    create_role(aws, "existing")
    raw = entry(policies=[]) | {"role": {"arn": role_arn("existing"), "extend_trust": True}}
    expected = ["update trust_policy existing", f"update addon {EBS}"]
    assert changes(execute(aws, raw)) == expected
    assert aws.associated == [(f"kube-system/{DRIVER}", "existing", EBS)]
    assert changes(execute(aws, raw, state="absent")) == expected[::-1]


def test_purge_keeps_the_association_of_a_listed_and_of_an_unlisted_addon() -> None:
    aws = AwsWithAddons(EBS, EFS)
    execute(aws, entry(), entry(FILES, EFS, "efs"), workload("app"))
    config = desired(entry())
    order = Order("present", verify=True, purge=PurgeScope())
    purged = perform(engine(aws, config), config, order)
    assert (changes(purged)[0], failures(purged)) == ("delete association default/app", [])
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS), (f"kube-system/{FILES}", "efs", EFS)]
    assert changes(perform(engine(aws, config), config, order)) == []


def test_unexpected_error_of_an_addon_ends_the_run_with_its_completed_changes() -> None:
    aws = AwsWithAddons(EBS)

    def fail(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        raise RuntimeError("unexpected")

    aws.replace("eks:UpdateAddon", fail)
    performed = execute(aws, entry())
    assert (performed.verified, performed.guard.cause is not None) == (None, True)
    assert (changes(performed), [code for *_rest, code in failures(performed)]) == (
        CREATION,
        ["INTERNAL_ERROR"],
    )


# Tests of an add-on that gets another role, or cannot get it


@pytest.mark.parametrize("moves", [True, False])
def test_old_role_loses_its_grant_only_after_the_addon_has_moved(moves: bool) -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, *SHARED)
    new = [entry(role="new"), SHARED[1]]
    if not moves:
        aws.fail_on("eks:UpdateAddon", DENIED)
    moved = execute(aws, *new)
    if moves:
        assert (granted(aws), changes(execute(aws, *new))) == (["app"], [])
        return
    assert failures(moved) == [
        (f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException"),
        (f"kube-system/{DRIVER}", "trust_policy ebs", "SKIPPED"),
    ]
    assert aws.associated[1] == (f"kube-system/{DRIVER}", "ebs", EBS)
    assert granted(aws) == ["app", DRIVER]
    assert changes(execute(aws, *new))[-2:] == ["update trust_policy ebs", f"update addon {EBS}"]
    assert (granted(aws), changes(execute(aws, *new))) == (["app"], [])


def test_purge_keeps_the_role_that_an_addon_has_left_until_the_next_run() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    config = desired(entry(role="new"))
    order = Order("present", verify=True, purge=PurgeScope())
    for check_mode in (True, False):
        purged = perform(engine(aws, config), config, replace(order, check_mode=check_mode))
        assert (failures(purged), list(aws.iam.roles)) == ([], ["ebs"] if check_mode else ["ebs", "new"])
        assert [str(finding.code) for finding in purged.run.findings] == ["ROLE_LEFT"]
        assert statuses(purged) == {f"kube-system/{DRIVER}": "pass"}
    assert changes(perform(engine(aws, config), config, order))[-2:] == [
        "delete role ebs",
        f"delete policy {policy_arn('ebs')}",
    ]
    assert changes(perform(engine(aws, config), config, order)) == []


def test_role_keeps_its_grant_if_the_new_role_of_the_addon_fails() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, *SHARED)
    aws.fail_on("iam:CreateRole", DENIED)
    failed = execute(aws, entry(role="new"), SHARED[1])
    assert (aws.parameters("eks:UpdateAddon")[1:], granted(aws)) == ([], ["app", DRIVER])
    assert {name for name, *_rest in failures(failed)} == {f"kube-system/{DRIVER}"}


def test_failed_addon_does_not_keep_the_grant_of_another_one() -> None:
    aws = AwsWithAddons(EBS, EFS)
    files = entry(FILES, EFS, "efs")
    execute(aws, *SHARED, files)

    def fail(parameters: Mapping[str, Any]) -> dict[str, Any]:
        if parameters["addonName"] == EFS:
            raise DENIED
        return aws._UpdateAddon(parameters)

    aws.replace("eks:UpdateAddon", fail)
    failed = execute(aws, entry(role="new"), SHARED[1], entry(FILES, EFS, "new-efs"))
    assert {name for name, *_rest in failures(failed)} == {f"kube-system/{FILES}"}
    assert granted(aws) == ["app"]


@pytest.mark.parametrize("lifted", ["Deny", "boundary"])
def test_restrictions_of_the_old_role_are_kept_until_the_addon_has_moved(lifted: str) -> None:
    aws = AwsWithAddons(EBS)
    deny = {"Effect": "Deny", "Action": "ec2:DeleteVolume", "Resource": "*"}
    allow = {"Effect": "Allow", "Action": ["ec2:CreateVolume", "ec2:AttachVolume"], "Resource": "*"}
    less = {"Effect": "Allow", "Action": "ec2:AttachVolume", "Resource": "*"}
    create_policy(aws, "bound")
    boundary = {"permissions_boundary": policy_arn("bound")} if lifted == "boundary" else {}
    before = [allow, deny] if lifted == "Deny" else [allow]

    def shared(statements: list[Raw], **role: Any) -> list[Raw]:
        document = {"Version": "2012-10-17", "Statement": statements}
        fields = {"role": {"name": "ebs", **role}, "policies": [policy("ebs", document=document)]}
        return [{**entry(), **fields}, workload("app", **fields)]

    execute(aws, *shared(before, **boundary))
    start = aws.state()
    aws.fail_on("eks:UpdateAddon", DENIED)
    after = shared([less], **({"permissions_boundary": ""} if boundary else {}))
    execute(aws, entry(role="new"), after[1])
    assert aws.state()["policies"][policy_arn("ebs")] == start["policies"][policy_arn("ebs")]
    assert aws.state()["roles"]["ebs"] == start["roles"]["ebs"]


def test_addon_whose_pods_would_lose_their_credentials_is_refused() -> None:
    aws = AwsWithAddons(EBS)
    finding = Finding(
        Code.ASSOCIATION_WOULD_BREAK,
        "Pods would break.",
        "Do it.",
        key(DRIVER, "kube-system"),
        raised_as="error",
    )
    config = desired(entry()).with_kubernetes_findings([finding])
    performed = perform(engine(aws, config), config, Order("present", verify=True))
    assert [code for *_rest, code in failures(performed)] == ["ASSOCIATION_WOULD_BREAK"]
    assert aws.writes == []


@pytest.mark.parametrize("state", ["present", "absent"])
def test_association_of_another_owner_is_kept(state: str) -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), tags={"workload-identity/owner": "a"})
    performed = execute(aws, entry(role="mine"), state=state, tags={"workload-identity/owner": "b"})
    assert [code for *_rest, code in failures(performed)] == ["OWNED_BY_ANOTHER"]
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS)]


def test_early_end_is_reported_beside_other_failures() -> None:
    aws = AwsWithAddons(EBS)
    create_role(aws, "my-role")

    def fail(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        raise RuntimeError("unexpected")

    aws.replace("eks:UpdateAddon", fail)
    performed = execute(aws, entry(), workload("app"))
    assert {(name, code) for name, _target, code in failures(performed)} == {
        ("default/app", "ROLE_NOT_OWNED"),
        (f"kube-system/{DRIVER}", "INTERNAL_ERROR"),
    }


def test_failed_update_of_an_addon_fails_the_next_run_too() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    aws.addons[CLUSTER, EBS]["status"] = "UPDATE_FAILED"
    assert [code for *_rest, code in failures(execute(aws, entry()))] == ["ADDON_NOT_READY"]


def test_purge_beyond_its_limit_changes_no_addon() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), workload("app"))
    config, before = desired(entry(role="new")), aws.state()
    with pytest.raises(InputError, match="purge would remove 1 unlisted workloads"):
        perform(engine(aws, config), config, Order("present", purge=PurgeScope(limit=0)))
    assert aws.state() == before


def test_unreadable_account_after_the_addon_has_moved_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), workload("app"))
    config = desired(entry(role="new"))
    real, calls = order_module.run_with_purge, []

    def once(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 2:
            raise DENIED
        return real(*arguments)

    monkeypatch.setattr(order_module, "run_with_purge", once)
    performed = perform(engine(aws, config), config, Order("present", purge=PurgeScope()))
    (failure,) = performed.run.failures
    assert (failure.error_code, failure.message) == (
        "AccessDeniedException",
        "eks:UpdateAddon: not authorized.",
    )
    assert changes(performed)[-1] == f"update addon {EBS}"


def test_failed_addon_stops_the_purge() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), workload("app"))
    aws.fail_on("eks:UpdateAddon", DENIED)
    config = desired(entry(role="new"))
    purged = perform(engine(aws, config), config, Order("present", verify=True, purge=PurgeScope()))
    assert [str(finding.code) for finding in purged.run.findings][-1] == "PURGE_WAITS"
    assert failures(purged) == [(f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")]
    assert aws.associated == [("default/app", "my-role", ""), (f"kube-system/{DRIVER}", "ebs", EBS)]


@pytest.mark.parametrize("check_mode", [True, False])
def test_new_addon_is_checked_with_its_default_version(check_mode: bool) -> None:
    aws = AwsWithAddons()
    refused = execute(aws, entry("ebs-csi-node-sa"), check_mode=check_mode)
    assert [code for *_rest, code in failures(refused)] == ["ADDON_ROLE_NOT_SUPPORTED"]
    assert (changes(refused), aws.writes) == ([], [])


@pytest.mark.parametrize("check_mode", [True, False])
def test_misspelt_addon_changes_nothing(check_mode: bool) -> None:
    aws = AwsWithAddons()
    refused = execute(aws, entry(addon="aws-ebs-csi-drivr"), check_mode=check_mode)
    (failure,) = refused.run.failures
    assert (failure.error_code, failure.message[:60]) == (
        "ADDON_VERSION_UNAVAILABLE",
        "EKS offers no version of an add-on with this name for Kubern",
    )
    assert (changes(refused), aws.writes) == ([], [])


def test_repeated_observation_includes_the_addon(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    monkeypatch.setattr(Engine, "restore_grants", lambda *_: True)
    assert set(statuses(execute(aws, entry(role="new"))).values()) == {"pass"}


def test_unreadable_addon_leaves_aws_unchanged() -> None:
    aws = AwsWithAddons(EBS)
    aws.fail_on("eks:DescribeAddon", *[DENIED] * 2)
    assert failures(execute(aws, entry())) == [
        (f"kube-system/{DRIVER}", f"addon {EBS}", "AccessDeniedException")
    ]
    assert aws.writes == []


def test_rejected_service_account_does_not_stop_another_one() -> None:
    aws = AwsWithAddons(EBS)
    performed = execute(aws, entry("ebs-csi-node-sa", role="node"), entry())
    assert statuses(performed)[f"kube-system/{DRIVER}"] == "pass"
    assert [name for name, *_rest in failures(performed)] == ["kube-system/ebs-csi-node-sa"]


def test_association_of_no_addon_with_another_role_cannot_be_taken_over() -> None:
    aws = AwsWithAddons(EBS)
    create_role(aws, "other", TRUST_BARE)
    create_association(aws, DRIVER, "other", "kube-system")
    (item,) = execute(aws, entry()).verified or ()
    assert [str(finding.code) for finding in item.findings] == ["ADDON_ASSOCIATION_EXISTS"]


def in_default(**more: Any) -> Raw:
    return {**entry(**more), "namespace": "default"}


@pytest.mark.parametrize("installed", [True, False])
@pytest.mark.parametrize("check_mode", [True, False])
def test_workload_must_be_in_the_namespace_of_its_addon(installed: bool, check_mode: bool) -> None:
    aws = AwsWithAddons(*([EBS] if installed else []))
    refused = execute(aws, in_default(), entry(), check_mode=check_mode)
    (failure,) = refused.run.failures
    assert (str(failure.error_code), failure.message, failure.remedy) == (
        "ADDON_ROLE_NOT_SUPPORTED",
        f"the add-on runs in namespace kube-system, so it has no service account default/{DRIVER}.",
        "Set namespace: kube-system, or leave addon out of the workload.",
    )
    assert statuses(refused) == {f"default/{DRIVER}": "fail", f"kube-system/{DRIVER}": "pass"}


def test_service_account_of_another_namespace_does_not_get_the_role() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, in_default(role="x"), entry())
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS)]


# Tests of a teardown that EKS rejects for an add-on


def test_failed_teardown_lists_its_workload() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    aws.fail_on("eks:UpdateAddon", DENIED)
    removed = execute(aws, entry(), state="absent")
    assert failure_message(removed.run, HERE).startswith("1 of 1 workloads")
    assert [row["status"] for row in build_result(removed.run, False)["workloads"]] == ["failed"]


def test_teardown_keeps_the_association_of_another_addon() -> None:
    aws = AwsWithAddons(EBS, EFS)
    execute(aws, entry())
    for check_mode in (True, False):
        removed = execute(aws, entry(addon=EFS), state="absent", check_mode=check_mode)
        assert changes(removed) == []
        assert [code for *_rest, code in failures(removed)] == ["ASSOCIATION_OWNED_BY_ADDON"]
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS)]


def test_teardown_of_another_namespace_keeps_the_association() -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry())
    assert [code for *_rest, code in failures(execute(aws, in_default(), state="absent"))] == [
        "ADDON_ROLE_NOT_SUPPORTED"
    ]
    assert aws.associated == [(f"kube-system/{DRIVER}", "ebs", EBS)]


@pytest.mark.parametrize("adopt", [True, False])
def test_teardown_keeps_the_association_of_another_owner(adopt: bool) -> None:
    aws = AwsWithAddons(EBS)
    execute(aws, entry(), tags={"workload-identity/owner": "a"})
    removed = execute(
        aws,
        entry(),
        state="absent",
        tags={"workload-identity/owner": "b"},
        **({"adopt": True} if adopt else {}),
    )
    assert [code for *_rest, code in failures(removed)] == ([] if adopt else ["OWNED_BY_ANOTHER"])
    assert bool(aws.associated) is not adopt


# Tests of single functions


def runs_for(*raw: Raw, state: State = "present", cluster: str = CLUSTER) -> list[AddonRun]:
    config = desired(*raw, state=state, cluster=cluster)
    return addon_runs(
        FakeAws(), group_clusters(HERE), config.workloads, state, wait_policy(), check_mode=True
    )


@pytest.mark.parametrize(
    ("state", "roles", "released"),
    [
        ("present", {DRIVER: role_arn("ebs"), SNAPSHOTS: role_arn("snapshots")}, frozenset()),
        ("absent", {}, frozenset({DRIVER, SNAPSHOTS})),
    ],
)
def test_each_addon_of_the_workloads_has_one_run(
    state: State, roles: dict[str, str], released: frozenset[str]
) -> None:
    raw = [workload("app"), entry(FILES, EFS, "efs"), entry(SNAPSHOTS, role="snapshots"), entry()]
    first, second = runs_for(*raw, state=state)
    assert first.spec == AddonSpec(EBS, roles=roles, released=released)
    assert first.keys == (key(SNAPSHOTS, "kube-system"), key(DRIVER, "kube-system"))
    assert (second.spec.name, second.keys) == (EFS, (key(FILES, "kube-system"),))
    # EKS also installs Pods, so the timeout is longer than for changes in IAM.
    assert {run.wait_policy.timeout for run in (first, second)} == {300.0}


def test_workloads_of_other_clusters_and_without_an_addon_have_no_run() -> None:
    assert runs_for(entry(), cluster=OTHER_CLUSTER) == []
    assert runs_for(workload("app")) == []


def test_failure_of_an_addon_concerns_its_workloads() -> None:
    (run,) = runs_for(entry(), entry(SNAPSHOTS, role="snapshots"))
    assert failures_by_workload([run]) == ()
    failure = Failure(
        (), addon_target(EBS, CLUSTER), "update", "AccessDeniedException", "it is so.", "Change it."
    )
    run.failure = failure
    assert failures_by_workload([run]) == (failure.for_workloads(run.keys),)


@pytest.mark.parametrize("installed", [True, False])
def test_predicted_association_belongs_to_the_addon(installed: bool) -> None:
    aws = AwsWithAddons(*([EBS] if installed else []))
    planned = execute(aws, entry(), check_mode=True)
    found = planned.observed.associations[key(DRIVER, "kube-system")]
    assert (found.role_arn, found.association_id) == (role_arn("ebs"), "")
    assert found.owner_arn == (
        aws.addons[CLUSTER, EBS]["addonArn"] if installed else f":addon/{CLUSTER}/{EBS}/"
    )
    assert planned.observed.role_users[role_arn("ebs").lower()] == (key(DRIVER, "kube-system"),)
    assert AwsWithAddons().eks.associations == {}


def test_failed_addon_predicts_no_association() -> None:
    (run,) = runs_for(entry())
    observed = Observed(group_clusters(HERE))
    run.addon = ObservedAddon(EBS, "arn:addon", "ACTIVE", VERSION, roles={DRIVER: role_arn("ebs")})
    assert list(with_addon_associations(observed, [run]).associations) == [key(DRIVER, "kube-system")]
    run.failure = Failure((), addon_target(EBS, CLUSTER), "update", "AccessDeniedException", "no.", "")
    assert with_addon_associations(observed, [run]).associations == {}
