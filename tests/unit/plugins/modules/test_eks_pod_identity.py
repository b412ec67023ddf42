# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the modules of associations and workloads: their results and failures for given arguments."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import ModuleType
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.common.arg_spec import ArgumentSpecValidator
from ansible_collections.workload_identity.aws.plugins.action.eks_pod_identity import plain_arguments
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import begin
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    change_spec,
    verify_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import ApiServer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    InputError,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run import (
    cluster as cluster_run,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import module_rows
from ansible_collections.workload_identity.aws.plugins.modules import (
    eks_pod_identity,
    eks_pod_identity_association,
    eks_pod_identity_association_info,
    eks_pod_identity_info,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    ACCOUNT,
    CLUSTER,
    REGION,
    TRUST_BARE,
    FakeAws,
    create_association,
    create_role,
    role_arn,
    workload,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.kube_build import (
    parse_finding,
)

Result = dict[str, Any]
Run = Callable[..., Result]
MODULES = (
    eks_pod_identity,
    eks_pod_identity_association,
    eks_pod_identity_association_info,
    eks_pod_identity_info,
)
# By module whose action plugin checks the input: whether the module requires workloads.
REQUIRED = {eks_pod_identity: True, eks_pod_identity_info: False}
ONE = {"cluster_name": CLUSTER, "namespace": "default", "service_account": "app"}


@contextlib.contextmanager
def module_args(arguments: dict[str, Any]) -> Iterator[None]:
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # ansible-core before 2.19
        saved = basic._ANSIBLE_ARGS
        basic._ANSIBLE_ARGS = json.dumps({"ANSIBLE_MODULE_ARGS": arguments}).encode()
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = saved
    else:
        with patch_module_args(arguments):
            yield


@pytest.fixture
def aws() -> FakeAws:
    aws = FakeAws()
    create_role(aws, "r", TRUST_BARE)
    return aws


@pytest.fixture
def run(aws: FakeAws, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Return a function that runs a module with the arguments that its action plugin would pass."""
    monkeypatch.setenv("AWS_REGION", REGION)
    for module in (*MODULES, cluster_run):
        if hasattr(module, "api_for"):
            monkeypatch.setattr(module, "api_for", lambda *_, **_more: aws)

    def run(module: ModuleType, check: bool = False, **arguments: Any) -> Result:
        if {"kubernetes_api", "breakage", "option_prefix"} & set(arguments):
            return run_as_the_role_does(module, aws, check, arguments)
        if module in REQUIRED:
            try:
                arguments = plain_arguments(arguments, {}, REQUIRED[module])
            except InputError as error:
                return {"failed": True, "msg": input_message(error)}
        with module_args({**arguments, "_ansible_check_mode": check}), pytest.raises(SystemExit):
            module.main()
        found: Result = json.loads(capsys.readouterr().out)
        return found

    return run


def run_as_the_role_does(module: ModuleType, aws: FakeAws, check: bool, arguments: dict[str, Any]) -> Result:
    """Run a module as the role does: with data that the role has read from Kubernetes."""
    spec = change_spec() if module is eks_pod_identity else verify_spec()
    options = {name: value for name, value in arguments.items() if name in spec}
    params = ArgumentSpecValidator(spec).validate(options).validated_parameters
    prefix = arguments.get("option_prefix", "")
    job = cluster_run.AwsJob(params, lambda *_: aws, REGION, check, prefix=prefix)
    parsed = read_input(arguments, refuse_files)
    api = arguments.get("kubernetes_api")
    server = ApiServer(**{**api, "authorities": frozenset(api["authorities"])}) if api else None
    opening = begin(lambda: cluster_run.open_cluster(job, parsed.cluster_name, parsed.state))
    finish_reading = cluster_run.begin_reading_ahead(job, parsed, opening, module is eks_pod_identity)
    breakage = [parse_finding(row, CLUSTER) for row in arguments.get("breakage", ())]

    def work() -> Result:
        if module is eks_pod_identity_info:
            return cluster_run.verify_cluster(job, parsed, server, opening, finish_reading)
        return cluster_run.change_cluster(job, parsed, server, breakage, opening, finish_reading)

    return job.guarded(lambda: module_rows(work()))


# Tests of the state of AWS that a run reads in advance, while the role still reads from Kubernetes


@pytest.mark.parametrize(
    ("module", "options"),
    [
        (eks_pod_identity, {}),
        (eks_pod_identity, {"verify": True}),
        (eks_pod_identity, {"state": "absent"}),
        (eks_pod_identity_info, {}),
    ],
    ids=["apply", "apply and verify", "remove", "verify"],
)
@pytest.mark.parametrize("exists", [False, True], ids=["missing", "present"])
@pytest.mark.parametrize("check", [False, True], ids=["", "check mode"])
def test_reading_ahead_changes_neither_result_nor_requests(
    module: ModuleType, options: Result, exists: bool, check: bool, run: Run, aws: FakeAws
) -> None:
    has_agent(aws)
    arguments = {"cluster_name": CLUSTER, "workloads": [workload(), workload("two")], **options}
    if exists:
        run(eks_pod_identity, cluster_name=CLUSTER, workloads=arguments["workloads"])
    start = aws.backup()
    results, requests = [], []
    for ahead in ({}, {"breakage": []}):
        aws.restore(start)
        sent = len(aws.requests)
        results.append(run(module, check, **arguments, **ahead))
        requests.append(sorted(name for name, _parameters in aws.requests[sent:]))
    results[0].pop("invocation", None)
    assert results[1] == results[0]
    assert requests[1] == requests[0]


def begin_reading(aws: FakeAws, opened: list[str], **options: Any) -> tuple[Any, Callable[[], Any]]:
    """Start to read the state of a workload in advance. Each read of the cluster adds an item to ``opened``."""
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], **options}
    params = ArgumentSpecValidator(change_spec()).validate(
        {name: value for name, value in arguments.items() if name in change_spec()}
    )
    job = cluster_run.AwsJob(params.validated_parameters, lambda *_: aws, REGION)
    parsed = read_input(arguments, refuse_files)

    def opening() -> cluster_run.OpenedCluster:
        opened.append(CLUSTER)
        return cluster_run.open_cluster(job, parsed.cluster_name, parsed.state)

    return job, cluster_run.begin_reading_ahead(job, parsed, opening, changes=True)


def test_purge_is_not_read_ahead(aws: FakeAws) -> None:
    opened: list[str] = []
    _job, finish_reading = begin_reading(aws, opened, purge=True)
    assert (finish_reading(), opened, aws.requests) == (None, [], [])


def test_old_state_is_read_again(monkeypatch: pytest.MonkeyPatch, aws: FakeAws) -> None:
    monkeypatch.setattr(cluster_run, "_FRESH_SECONDS", 0)
    _job, finish_reading = begin_reading(aws, [])
    assert finish_reading() is None


def test_deadline_applies_while_the_state_is_read(aws: FakeAws) -> None:
    _job, finish_reading = begin_reading(aws, [])
    assert finish_reading().roles == {"my-role": None}
    # This time, the read takes longer than the deadline of the run.
    hanging = threading.Event()
    aws.before_request("eks:ListPodIdentityAssociations", lambda: hanging.wait(20))
    job, finish_reading = begin_reading(aws, [])
    job = replace(job, params={**job.params, "deadline": 1})
    parsed = read_input({"cluster_name": CLUSTER, "workloads": [workload()]}, refuse_files)
    result = job.guarded(lambda: cluster_run.change_cluster(job, parsed, finish_reading=finish_reading))
    hanging.set()
    assert [row["error_code"] for row in result["failures"]] == ["DEADLINE"]
    assert aws.writes == []


# Tests of eks_pod_identity


def test_force_for_an_unlisted_workload_is_refused(run: Run, aws: FakeAws) -> None:
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()]}
    result = run(eks_pod_identity, **arguments, force=["default/app", "default/ap"])
    assert (result["failed"], result["msg"]) == (
        True,
        "force: the list for cluster my-cluster has no workload default/ap, so it would have no effect there. Correct the names, "
        "or set force only for the clusters that list these workloads. Nothing was changed.",
    )
    assert aws.writes == []
    assert "failed" not in run(eks_pod_identity, **arguments, force=["default/app"])
    assert "failed" not in run(eks_pod_identity, **arguments, force=["default/gone"], purge=True)


def has_agent(aws: FakeAws) -> None:
    aws.replace("eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE"}})


@pytest.mark.parametrize(
    ("module", "arguments", "message"),
    [
        (eks_pod_identity, {"workloads": [], "concurrency": 0}, "concurrency must be 1 or more, got 0."),
        (eks_pod_identity, {"workloads": [], "concurrency": -1}, "concurrency must be 1 or more, got -1."),
        (
            eks_pod_identity,
            {"workloads": [], "propagation_timeout": -5},
            "propagation_timeout must be 0 or more, got -5.",
        ),
        (eks_pod_identity_info, {"concurrency": 0}, "concurrency must be 1 or more, got 0."),
        (
            eks_pod_identity_association,
            {"namespace": "a", "service_account": "b", "role_arn": role_arn("r"), "propagation_timeout": -1},
            "propagation_timeout must be 0 or more, got -1.",
        ),
        (eks_pod_identity_association_info, {"concurrency": 0}, "concurrency must be 1 or more, got 0."),
    ],
)
def test_too_low_number_is_reported_before_any_request(
    run: Run, aws: FakeAws, module: ModuleType, arguments: dict[str, Any], message: str
) -> None:
    result = run(module, cluster_name=CLUSTER, **arguments)
    assert (result["failed"], result["msg"]) == (True, f"{message} Nothing was changed.")
    assert aws.requests == []


OTHER_API = {"url": "https://10.1.2.3", "authorities": ["00"], "checks_certificate": True}
OTHER_API_MESSAGE = (
    f"the Kubernetes API of the kubeconfig (https://10.1.2.3) does not belong to cluster {CLUSTER} (account {ACCOUNT}, "
    f"region {REGION}): for this cluster, EKS returns the endpoint https://abc.eks.amazonaws.com and another "
    "certificate authority."
)
OTHER_API_REMEDY = (
    "Correct pod_identity_cluster_name, the AWS account or the region, or the kubeconfig and its context "
    "(pod_identity_kubeconfig, pod_identity_kube_context)."
)
OTHER_API_LEFT_OPEN = (
    " The objects of this API may belong to another cluster, so the results of the checks of service accounts and "
    "Pods are unknown."
)
CLUSTER_API = {
    "endpoint": "https://abc.eks.amazonaws.com",
    "certificateAuthority": {
        "data": base64.b64encode(
            b"-----BEGIN CERTIFICATE-----\nQ0VSVA==\n-----END CERTIFICATE-----\n"
        ).decode()
    },
}


@pytest.mark.parametrize("state", ["present", "absent"])
@pytest.mark.parametrize("check", [True, False])
def test_kubeconfig_of_another_cluster_prevents_all_changes(
    run: Run, aws: FakeAws, state: str, check: bool
) -> None:
    aws.eks.clusters[CLUSTER].update(CLUSTER_API)
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "kubernetes_api": OTHER_API}
    result = run(eks_pod_identity, check, **arguments, state=state)
    assert (result["failed"], result["error_code"]) == (True, "KUBERNETES_API_DIFFERS")
    assert result["msg"] == f"{OTHER_API_MESSAGE} {OTHER_API_REMEDY} Nothing was changed."
    assert aws.writes == []


BREAKAGE = {
    "code": "ASSOCIATION_WOULD_BREAK",
    "severity": "error",
    "workload": "default/app",
    "message": "It would break.",
    "remedy": "Do not.",
}


@pytest.mark.parametrize("check", [True, False])
def test_workload_with_breakage_fails_before_any_change(run: Run, aws: FakeAws, check: bool) -> None:
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "breakage": [BREAKAGE]}
    result = run(eks_pod_identity, check, **arguments, continue_on_error=True)
    assert (result["changed"], aws.writes) == (False, [])
    assert result["failures"] == [
        {
            "workload": "default/app",
            "resource": "association",
            "name": "default/app",
            "action": "create",
            "error_code": "ASSOCIATION_WOULD_BREAK",
            "message": "It would break.",
            "remedy": "Do not.",
        }
    ]


GOING = {
    "code": "BEING_DELETED",
    "severity": "error",
    "workload": "leaving/app",
    "message": "namespace leaving is being deleted.",
    "remedy": "Remove the workload.",
}


def refusal(workload: str) -> dict[str, str]:
    return {
        "workload": workload,
        "resource": "namespace",
        "name": "leaving",
        "action": "read",
        "error_code": "BEING_DELETED",
        "message": "namespace leaving is being deleted.",
        "remedy": "Remove the workload.",
    }


@pytest.mark.parametrize("check", [True, False])
def test_workloads_in_terminating_namespaces_fail_alone(run: Run, check: bool) -> None:
    workloads = [
        workload(),
        workload(namespace="leaving", role={"name": "a"}),
        workload("web", "leaving", role={"name": "b"}),
    ]
    breakage = [GOING, {**GOING, "workload": "leaving/web"}]
    result = run(
        eks_pod_identity,
        check,
        cluster_name=CLUSTER,
        workloads=workloads,
        breakage=breakage,
        continue_on_error=True,
    )
    assert result["failures"] == [refusal("leaving/app"), refusal("leaving/web")]
    assert {change["workload"] for change in result["changes"]} == {"default/app"}
    assert [row["status"] for row in result["workloads"]] == ["changed", "failed", "failed"]
    assert result["msg"].count("namespace leaving is being deleted.") == 1


@pytest.mark.parametrize("check", [True, False])
def test_possible_breakage_is_a_warning(run: Run, check: bool) -> None:
    breakage = [{**BREAKAGE, "severity": "warning"}]
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "breakage": breakage}
    result = run(eks_pod_identity, check, **arguments)
    assert (result["changed"], result["findings"]) == (True, breakage)


def test_warning_about_a_new_association_is_not_repeated(run: Run) -> None:
    breakage = [{**BREAKAGE, "severity": "warning"}]
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "breakage": breakage}
    run(eks_pod_identity, **arguments)
    again = run(eks_pod_identity, **arguments)
    assert (again["changed"], again["findings"]) == (False, [])


def test_verification_reports_a_kubeconfig_of_another_cluster(run: Run, aws: FakeAws) -> None:
    aws.replace(
        "eks:DescribeAddon", lambda _parameters: {"addon": {"status": "ACTIVE", "addonVersion": "v1.3.8"}}
    )
    aws.eks.clusters[CLUSTER].update(CLUSTER_API)
    arguments = {"cluster_name": CLUSTER, "workloads": [workload()], "kubernetes_api": OTHER_API}
    result = run(eks_pod_identity_info, **arguments)
    first = result["findings"][0]
    assert (first["code"], first["severity"], first["message"]) == (
        "KUBERNETES_API_DIFFERS",
        "error",
        OTHER_API_MESSAGE + OTHER_API_LEFT_OPEN,
    )


# Tests of eks_pod_identity_association_info


def test_association_deleted_since_the_list_is_omitted(run: Run, aws: FakeAws) -> None:
    create_association(aws, "app", "r")
    aws.before_request("eks:DescribePodIdentityAssociation", aws.eks.associations.clear)
    result = run(eks_pod_identity_association_info, cluster_name=CLUSTER, details=True)
    assert result["associations"] == []
