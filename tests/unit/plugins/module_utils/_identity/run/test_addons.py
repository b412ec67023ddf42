# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the run for an EKS add-on: waiting, lost responses, rejections and check mode."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import MALFORMED, classify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.addons import (
    parse_version_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    AGENT_ADDON,
    AddonSpec,
    ObservedAddon,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.changes import Change
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
    State,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import AwsError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.targets import Failure
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.addons import (
    AddonRun,
    agent_run,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.outcome import Run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    build_result,
    failure_message,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    OWNED,
    Clock,
    FakeAws,
    create_association,
    desired,
    engine,
    named,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    run as run_workloads,
)

CLUSTER = Cluster("my-cluster", "arn:cluster", "111122223333", "us-west-2", "aws", version="1.34")
DRIVER_ACCOUNT, PRESENT_ROLE = "ebs-csi-controller-sa", "arn:aws:iam::111122223333:role/present"
NEWEST, OLDER = "v1.3.8-eksbuild.2", "v1.3.7-eksbuild.2"
DENIED = classify("eks:UpdateAddon", "AccessDeniedException", "not authorized")


class FakeAddons:
    """A fake EKS with one add-on, which has its final status after ``reads`` reads."""

    def __init__(
        self, reads: int = 2, final: str = "ACTIVE", issues: Iterable[Mapping[str, str]] = ()
    ) -> None:
        self.addon: dict[str, Any] | None = None
        self.associations: list[dict[str, str]] = []
        self.requests: list[str] = []
        self.refusals: dict[str, AwsError] = {}
        self.took_effect = False
        self.role_tags: Mapping[str, str] | None = {}
        self.late: list[dict[str, Any]] = []
        self.refusals_after_update: list[AwsError] = []
        self._reads, self._final, self._issues = reads, final, list(issues)
        self._left = 0

    def install(self, version: str, status: str = "ACTIVE") -> None:
        self.addon = {
            "addonName": AGENT_ADDON,
            "addonArn": "arn:addon",
            "addonVersion": version,
            "status": status,
        }

    def pages(
        self, _service: str, operation: str, _parameters: Mapping[str, Any], *_results: str
    ) -> Iterable[Any]:
        self.requests.append(operation)
        if operation == "ListPodIdentityAssociations":
            return iter(self.associations)
        return iter([{"addonVersions": [{"addonVersion": version} for version in (NEWEST, OLDER)]}])

    def call(self, _service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.requests.append(operation)
        refusal = self.refusals.pop(operation, None)
        if refusal is not None and not self.took_effect:
            raise refusal
        answer: dict[str, Any] = getattr(self, f"_{operation}")(parameters)
        if refusal is not None:
            raise refusal
        return answer

    def _DescribeAddon(self, _parameters: Mapping[str, Any]) -> dict[str, Any]:
        if self.late:
            return {"addon": self.late.pop()}
        if self.refusals_after_update and "UpdateAddon" in self.requests:
            raise self.refusals_after_update.pop()
        if self.addon is not None and self.addon["status"].endswith("ING"):
            self._left -= 1
            if self._left < 0 and self.addon["status"] == "DELETING":
                self.addon = None
            elif self._left < 0:
                self.addon |= {"status": self._final, "health": {"issues": self._issues}}
        if self.addon is None:
            raise classify("eks:DescribeAddon", "ResourceNotFoundException", "No addon")
        return {"addon": dict(self.addon)}

    def _DescribePodIdentityAssociation(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        association = {
            "clusterName": CLUSTER.name,
            "namespace": "kube-system",
            "serviceAccount": DRIVER_ACCOUNT,
            "roleArn": PRESENT_ROLE,
            "associationId": parameters["associationId"],
            "associationArn": "arn:association",
        }
        return {"association": association}

    def _GetRole(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert parameters == {"RoleName": "present"}
        if self.role_tags is None:
            raise classify("iam:GetRole", "NoSuchEntity", "No role")
        return {
            "Role": {
                "RoleName": "present",
                "Arn": PRESENT_ROLE,
                "Path": "/",
                "AssumeRolePolicyDocument": {},
                "Tags": [{"Key": key, "Value": value} for key, value in self.role_tags.items()],
            }
        }

    def _CreateAddon(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.install(parameters.get("addonVersion") or OLDER, "CREATING")
        self._left = self._reads
        return {"addon": self.addon}

    def _UpdateAddon(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        self.install(parameters["addonVersion"], "UPDATING")
        self._left = self._reads
        return {"update": {}}

    def _DeleteAddon(self, _parameters: Mapping[str, Any]) -> dict[str, Any]:
        assert self.addon is not None
        self.addon["status"] = "DELETING"
        self._left = self._reads
        return {"addon": self.addon}


def agent(version: str = "", absent: bool = False) -> AddonSpec:
    return AddonSpec(AGENT_ADDON, absent, parse_version_policy(version, "addon_version"))


@dataclass(frozen=True)
class Ended:
    """The result of a run for an add-on."""

    run: Run
    ended: AddonRun

    @property
    def addon(self) -> ObservedAddon | None:
        return self.ended.observed

    @property
    def made(self) -> bool:
        return bool(self.run.done)

    @property
    def change(self) -> Change | None:
        return next(iter(self.run.plan.changes or [done.change for done in self.run.done]), None)

    @property
    def failure(self) -> Failure | None:
        return next(iter(self.run.failures), None)


def converge(
    aws: FakeAddons,
    spec: AddonSpec,
    check_mode: bool = False,
    timeout: float = 60,
    clock: Clock | None = None,
) -> Ended:
    clock = clock or Clock()
    addon = AddonRun(aws, CLUSTER, spec, WaitPolicy(timeout, clock.now, clock.sleep), check_mode)
    patience = WaitPolicy(min(timeout, 60), clock.now, clock.sleep)
    engine = Engine(aws, CLUSTER, 1, patience, addon=addon)
    state: State = "absent" if spec.absent else "present"
    return Ended(engine.run(Desired((), Options(single=True)), state, check_mode), addon)


def failure(run: Ended) -> tuple[str, str]:
    assert run.failure is not None
    return run.failure.error_code, run.failure.message


def test_agent_with_associations_is_kept() -> None:
    aws = FakeAddons()
    aws.install(OLDER)
    aws.associations = [{"namespace": "default", "serviceAccount": "app"}]
    run = converge(aws, agent(absent=True))
    assert failure(run) == (
        "AGENT_IN_USE",
        "1 service account of the cluster would lose its credentials: default/app.",
    )
    assert aws.requests == ["DescribeAddon", "ListPodIdentityAssociations"]
    assert converge(aws, AddonSpec("aws-ebs-csi-driver", absent=True)).failure is None


@pytest.mark.parametrize(
    ("operation", "spec", "version"),
    [("_DeleteAddon", agent(absent=True), None), ("_UpdateAddon", agent("latest"), NEWEST)],
)
def test_waits_also_while_reads_show_the_former_state(
    monkeypatch: pytest.MonkeyPatch, operation: str, spec: AddonSpec, version: str | None
) -> None:
    aws = FakeAddons()
    aws.install(OLDER)
    former, send = dict(aws.addon or {}), getattr(aws, operation)

    def send_late(parameters: Mapping[str, Any]) -> dict[str, Any]:
        aws.late = [former, former]
        answer: dict[str, Any] = send(parameters)
        return answer

    monkeypatch.setattr(aws, operation, send_late)
    run = converge(aws, spec)
    assert (run.made, run.addon and run.addon.version, run.failure, aws.late) == (True, version, None, [])


def test_failed_read_after_a_change_is_the_failure_of_the_addon() -> None:
    aws = FakeAddons()
    aws.install(OLDER)
    aws.refusals_after_update = [classify("eks:DescribeAddon", "ServerException", "Oops.")]
    run = converge(aws, agent("latest"))
    assert failure(run) == ("ServerException", "eks:DescribeAddon: Oops.")
    assert run.made


AGAIN = "Run again when EKS no longer changes the add-on."


@pytest.mark.parametrize(
    ("aws", "text", "remedy"),
    [
        (
            FakeAddons(
                final="CREATE_FAILED",
                issues=[{"code": "InsufficientNumberOfReplicas", "message": "The add-on is unhealthy"}],
            ),
            "the add-on is CREATE_FAILED: InsufficientNumberOfReplicas: The add-on is unhealthy.",
            "Resolve the health issues and run again.",
        ),
        (FakeAddons(reads=999), "the add-on is CREATING, and EKS reports no health issue.", AGAIN),
        (
            FakeAddons(final="DEGRADED"),
            "the add-on is DEGRADED, and EKS reports no health issue.",
            "Find out why the add-on is DEGRADED, and run again.",
        ),
    ],
)
def test_inactive_addon_is_a_failure(aws: FakeAddons, text: str, remedy: str) -> None:
    run = converge(aws, agent())
    assert failure(run) == ("ADDON_NOT_READY", text)
    assert run.failure is not None
    assert run.failure.remedy == (
        f"{remedy} To see its status: aws eks describe-addon --cluster-name my-cluster --addon-name eks-pod-identity-agent"
    )
    # EKS has made the change, although the add-on does not become active.
    assert run.made


@pytest.mark.parametrize(
    ("installed", "spec", "version"),
    [
        pytest.param("", agent("latest"), NEWEST, id="creation"),
        pytest.param(OLDER, agent("latest"), NEWEST, id="update"),
        pytest.param(OLDER, agent(absent=True), None, id="removal"),
    ],
)
def test_check_mode_predicts_the_addon(installed: str, spec: AddonSpec, version: str | None) -> None:
    aws = FakeAddons()
    if installed:
        aws.install(installed)
    run = converge(aws, spec, check_mode=True)
    assert (run.addon and (run.addon.version, run.addon.status)) == (version and (version, "ACTIVE"))


def test_timeout_of_zero_does_not_wait() -> None:
    run = converge(FakeAddons(reads=999), agent(), timeout=0)
    assert (run.made, run.failure) == (True, None)


def test_lost_response_is_resolved_by_another_read() -> None:
    aws = FakeAddons()
    aws.refusals["CreateAddon"] = classify("eks:CreateAddon", MALFORMED, "no response", outcome_unknown=True)
    aws.took_effect = True
    run = converge(aws, agent())
    assert (run.made, run.failure, aws.requests.count("CreateAddon")) == (True, None, 1)


@pytest.mark.parametrize(
    ("status", "check_mode", "code"),
    [
        ("ACTIVE", False, None),
        ("DEGRADED", False, "ADDON_NOT_READY"),
        ("DEGRADED", True, "ADDON_NOT_READY"),
        ("CREATE_FAILED", False, "ADDON_NOT_READY"),
        ("UPDATING", True, None),
    ],
)
def test_unchanged_addon_must_be_active_for_the_module(
    status: str, check_mode: bool, code: str | None
) -> None:
    aws = FakeAddons()
    aws.install(OLDER, status)
    run = converge(aws, agent(), check_mode)
    assert (run.change, run.failure) == (None, None)
    inactive = run.ended.find_inactive()
    assert (inactive.error_code if inactive else None) == code


def test_refusal_is_the_failure() -> None:
    aws = FakeAddons()
    aws.install(OLDER)
    aws.refusals["UpdateAddon"] = DENIED
    run = converge(aws, agent("latest"))
    assert failure(run) == ("AccessDeniedException", "eks:UpdateAddon: not authorized")
    assert not run.made


@pytest.mark.parametrize(
    ("tags", "fields", "code"),
    [
        pytest.param({}, {"absent": True}, "NOT_OWNED", id="removal of an unmanaged role"),
        pytest.param(None, {"absent": True}, "NOT_OWNED", id="removal of a missing role"),
        pytest.param({}, {"purge_roles": True}, "NOT_OWNED", id="purge of an unmanaged role"),
        pytest.param({}, {"purge_roles": True, "adopt": True}, "", id="adopted"),
        pytest.param(OWNED, {"absent": True}, "", id="removal of a managed role"),
        pytest.param({}, {"absent": True, "roles": {DRIVER_ACCOUNT: PRESENT_ROLE}}, "", id="listed role"),
    ],
)
@pytest.mark.parametrize("check_mode", [False, True])
def test_unlisted_role_of_another_process_is_kept(
    tags: dict[str, str] | None, fields: dict[str, Any], code: str, check_mode: bool
) -> None:
    aws = FakeAddons()
    aws.install(OLDER)
    assert aws.addon is not None
    aws.addon["podIdentityAssociations"] = [
        "arn:aws:eks:us-west-2:111122223333:podidentityassociation/my-cluster/a-1"
    ]
    aws.role_tags = tags
    run = converge(aws, AddonSpec("aws-ebs-csi-driver", **fields), check_mode)
    assert (run.failure.error_code if run.failure else "") == code
    assert run.made is (not code and not check_mode)
    assert {"DeleteAddon", "UpdateAddon"}.isdisjoint(aws.requests) is (bool(code) or check_mode)


def association_exists(operation: str) -> AwsError:
    text = "Association already exists: a-1234567890abcdefg"
    return classify(f"eks:{operation}", "ResourceInUseException", text)


def test_conflicting_association_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    aws = FakeAddons()

    def refuse(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        raise association_exists("CreateAddon")

    monkeypatch.setattr(aws, "_CreateAddon", refuse)
    run = converge(aws, agent())
    assert failure(run) == (
        "ADDON_ASSOCIATION_EXISTS",
        "eks:CreateAddon: Association already exists: a-1234567890abcdefg. An add-on cannot take over an existing association.",
    )
    assert not run.made


def test_failed_agent_is_reported_separately() -> None:
    whole = replace(converge(FakeAddons(), agent(">=v9.0.0")).run, desired=desired(workload()))
    result = build_result(whole)
    assert failure_message(whole, CLUSTER, result) == (
        "the resources of cluster my-cluster (account 111122223333, region us-west-2) could not be brought to state present:\n"
        "- ADDON_VERSION_UNAVAILABLE: create add-on eks-pod-identity-agent: no version that is v9.0.0 or newer of the add-on is "
        f"available for Kubernetes 1.34; EKS offers {NEWEST}, {OLDER}. Choose one of these versions. To see all:\n"
        "    aws eks describe-addon-versions --addon-name eks-pod-identity-agent --kubernetes-version 1.34\n"
        "All workloads are complete in AWS; a rerun applies the remaining changes."
    )
    assert [(row["workload"], row["resource"], row["error_code"]) for row in result["failures"]] == [
        ("", "addon", "ADDON_VERSION_UNAVAILABLE")
    ]
    assert result["summary"]["failed"] == 0


def tear_down_with_agent(aws: FakeAws) -> Run:
    """Remove the workload ``app`` and the agent in one run."""
    present: list[dict[str, Any]] = [{"addonName": AGENT_ADDON, "addonVersion": NEWEST, "status": "ACTIVE"}]

    def describe(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not present:
            raise classify("eks:DescribeAddon", "ResourceNotFoundException", "No addon")
        return {"addon": present[0]}

    aws.replace("eks:DescribeAddon", describe)
    aws.replace("eks:DeleteAddon", lambda _parameters: {"addon": present.pop()})
    listed = desired(workload())
    bound = engine(aws, listed)
    addon = agent_run(aws, bound.cluster, agent(absent=True), bound.wait_policy, check_mode=False)
    return replace(bound, addon=addon).run(listed, "absent", False)


def test_teardown_removes_the_agent_last() -> None:
    aws = FakeAws()
    run_workloads(aws, desired(workload()))
    # EKS still lists the association after its deletion.
    late = aws.eks.ListPodIdentityAssociations({"clusterName": CLUSTER.name})
    aws.replace("eks:ListPodIdentityAssociations", lambda _parameters: late)
    run = tear_down_with_agent(aws)
    assert run.failures == ()
    assert named(run.done[-1].change) == f"delete addon {AGENT_ADDON}"
    assert aws.writes[-1] == "eks:DeleteAddon"


def test_agent_is_kept_if_an_association_cannot_be_deleted() -> None:
    aws = FakeAws()
    run_workloads(aws, desired(workload()))
    denied = classify("eks:DeletePodIdentityAssociation", "AccessDeniedException", "No.")
    aws.fail_on("eks:DeletePodIdentityAssociation", denied)
    run = tear_down_with_agent(aws)
    (failure,) = [failure for failure in run.failures if failure.target.resource == "addon"]
    assert (failure.error_code, failure.message) == (
        "SKIPPED",
        "not done, because deleting the association default/app failed (AccessDeniedException). Until the run succeeds, the "
        "resource is not changed.",
    )
    assert "eks:DeleteAddon" not in aws.writes


def test_agent_is_kept_for_an_association_newer_than_the_plan() -> None:
    aws = FakeAws()
    run_workloads(aws, desired(workload()))
    aws.before_request("iam:DeleteRole", lambda: create_association(aws, "new", "my-role"))
    run = tear_down_with_agent(aws)
    assert [(failure.error_code, failure.message) for failure in run.failures] == [
        ("AGENT_IN_USE", "1 service account of the cluster would lose its credentials: default/new.")
    ]
    assert "eks:DeleteAddon" not in aws.writes


def test_second_round_does_not_wait_for_the_addon_of_the_first() -> None:
    aws, listed = FakeAws(), desired(workload())
    present: list[dict[str, Any]] = []

    def describe(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        if not present:
            raise classify("eks:DescribeAddon", "ResourceNotFoundException", "No addon")
        return {"addon": present[0]}

    def create(_parameters: Mapping[str, Any]) -> dict[str, Any]:
        present.append({"addonName": AGENT_ADDON, "addonVersion": NEWEST, "status": "CREATING"})
        return {"addon": present[0]}

    aws.replace("eks:DescribeAddon", describe)
    aws.replace("eks:CreateAddon", create)
    conflict = classify("eks:CreatePodIdentityAssociation", "ResourceInUseException", "Taken.")
    aws.fail_on("eks:CreatePodIdentityAssociation", conflict)
    bound = engine(aws, listed)
    addon = agent_run(aws, bound.cluster, agent(), bound.wait_policy, check_mode=False)
    run = replace(bound, addon=addon).run(listed, "present", False)
    assert [failure.error_code for failure in run.failures] == ["ADDON_NOT_READY"]
    assert [named(done.change) for done in run.done][0::4] == [
        f"create addon {AGENT_ADDON}",
        "create association default/app",
    ]
