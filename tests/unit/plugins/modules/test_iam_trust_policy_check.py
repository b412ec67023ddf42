# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
"""Test the module iam_trust_policy_check: its input, its reads and its errors. Other tests cover its verdicts."""

from __future__ import annotations

import contextlib
import json

import pytest
from ansible.module_utils import basic
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.modules import iam_trust_policy_check

CLUSTER = "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"
ROLE = "arn:aws:iam::111122223333:role/team/my-role"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Principal": {"Service": "pods.eks.amazonaws.com"},
            "Action": ["sts:AssumeRole", "sts:TagSession"],
        }
    ],
}


@contextlib.contextmanager
def module_args(args):
    try:
        from ansible.module_utils.testing import patch_module_args
    except ImportError:  # ansible-core before 2.19
        saved, basic._ANSIBLE_ARGS = (
            basic._ANSIBLE_ARGS,
            json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode(),
        )
        try:
            yield
        finally:
            basic._ANSIBLE_ARGS = saved
    else:
        with patch_module_args(args):
            yield


class FakeIam:
    """An IAM API with one role. It records its requests."""

    def __init__(self, error=None, account="111122223333"):
        self.error, self.account, self.calls = error, account, []

    def call(self, service, operation, parameters):
        self.calls.append((service, operation, parameters))
        if operation == "GetCallerIdentity":
            return {"Account": self.account}
        if self.error:
            raise self.error
        role = {"RoleName": "my-role", "Path": "/team/", "Arn": ROLE, "AssumeRolePolicyDocument": TRUST}
        return {"Role": role}


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    def run(api=None, **args):
        monkeypatch.setattr(iam_trust_policy_check, "api_for", lambda *_: api)
        with module_args(args), pytest.raises(SystemExit):
            iam_trust_policy_check.main()
        return json.loads(capsys.readouterr().out)

    return run


@pytest.mark.parametrize("form", [lambda d: d, json.dumps], ids=["dictionary", "text"])
@pytest.mark.parametrize("check_mode", [False, True])
def test_policy_as_option_needs_no_aws(run, form, check_mode):
    result = run(trust_policy=form(TRUST), cluster_arn=CLUSTER, _ansible_check_mode=check_mode)
    assert (result["usable"], result["assume_role"], result["tag_session"]) == ("yes", "allowed", "allowed")
    assert result["changed"] is False
    assert result["conditional_on"] == []
    assert result["suggestion"] is None
    assert result["trust_policy"]["Statement"][0]["Principal"] == {"Service": ["pods.eks.amazonaws.com"]}
    assert [finding["code"] for finding in result["findings"]] == ["TRUST_WIDE"]


@pytest.mark.parametrize(
    ("options", "name"),
    [({"role_name": "my-role"}, "my-role"), ({"role_arn": ROLE}, "my-role")],
    ids=["name", "ARN"],
)
def test_policy_of_a_role_is_read(run, options, name):
    api = FakeIam()
    assert run(api, **options)["usable"] == "yes"
    assert api.calls == [("iam", "GetRole", {"RoleName": name})]


def test_unusable_policy_does_not_fail(run):
    statement = {**TRUST["Statement"][0], "Action": "sts:AssumeRole"}
    workload = {"cluster_arn": CLUSTER, "namespace": "default", "service_account": "app"}
    result = run(trust_policy={**TRUST, "Statement": [statement]}, **workload)
    assert "failed" not in result
    assert result["usable"] == "no"
    suggestion = result["suggestion"]
    assert run(trust_policy=suggestion["trust_policy"], **workload)["usable"] == "yes"
    assert suggestion["trust_policy"]["Statement"] == [statement, suggestion["statement"]]
    assert suggestion["edit"] == "Add the statement AllowEksAuthToAssumeRoleForPodIdentity."
    assert suggestion["lets_in"] == (
        "Only this workload: requests of pods.eks.amazonaws.com with aws:RequestTag/eks-cluster-arn "
        f"{CLUSTER}, aws:RequestTag/kubernetes-namespace default, aws:RequestTag/kubernetes-service-account app."
    )


def test_disabled_session_tags_are_evaluated(run):
    statement = {**TRUST["Statement"][0], "Condition": {"Null": {"aws:TagKeys": "true"}}}
    document = {**TRUST, "Statement": [statement]}
    assert run(trust_policy=document, session_tags=False)["usable"] == "yes"
    assert run(trust_policy=document)["usable"] == "no"


def test_target_role_trusts_the_role(run):
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": ROLE}}
    document = {**TRUST, "Statement": [statement]}
    target = "arn:aws:iam::444455556666:role/target"
    assert run(trust_policy=document, role_arn=target, pod_identity_role_arn=ROLE)["usable"] == "yes"
    assert run(trust_policy=document)["usable"] == "no"


def test_target_role_requires_the_external_id(run):
    condition = {"StringEquals": {"sts:ExternalId": "id-1"}}
    statement = {**TRUST["Statement"][0], "Principal": {"AWS": ROLE}, "Condition": condition}
    requests = {
        "trust_policy": {**TRUST, "Statement": [statement]},
        "pod_identity_role_arn": ROLE,
        "session_tags": False,
    }
    assert run(**requests, external_id="id-1")["usable"] == "yes"
    assert run(**requests, external_id="id-2")["usable"] == "no"
    assert run(**requests)["usable"] == "conditional"


FAILURES = [
    ({}, "one of the following is required: role_name, role_arn, trust_policy"),
    ({"role_name": "a", "role_arn": ROLE}, "parameters are mutually exclusive: role_name|role_arn"),
    (
        {"trust_policy": TRUST, "external_id": "e"},
        "missing parameter(s) required by 'external_id': pod_identity_role_arn",
    ),
    (
        {"trust_policy": TRUST, "cluster_arn": "my-cluster"},
        f"cluster_arn 'my-cluster' is not valid; expected a value such as {CLUSTER}.",
    ),
    (
        {"trust_policy": TRUST, "role_arn": "r"},
        "role_arn 'r' is not valid; expected a value such as arn:aws:iam::111122223333:role/my-role.",
    ),
    (
        {"trust_policy": TRUST, "pod_identity_role_arn": "r"},
        "pod_identity_role_arn 'r' is not valid; expected a value such as arn:aws:iam::111122223333:role/my-role.",
    ),
    (
        {"trust_policy": "{"},
        "IAM would reject the trust policy: not JSON: Expecting property name enclosed in double quotes at line 1 column 2. "
        "Correct the trust policy.",
    ),
    (
        {"trust_policy": {"Statement": []}},
        "IAM would reject the trust policy: Statement is empty: a policy needs at least one statement. Correct the trust policy.",
    ),
    ({"trust_policy": None}, "role_name, role_arn and trust_policy are null. Set one of them."),
    (
        {"trust_policy": ""},
        "IAM would reject the trust policy: the policy document is empty. Correct the trust policy.",
    ),
    (
        {"trust_policy": []},
        "IAM would reject the trust policy: a policy document must be a mapping or JSON text, got a list. "
        "Correct the trust policy.",
    ),
    ({"role_name": ""}, "role_name is empty. Set a value such as my-role, or remove the option."),
    (
        {"trust_policy": TRUST, "namespace": "Not_A_Name"},
        "namespace 'Not_A_Name' is not valid; expected a value such as default.",
    ),
    (
        {"trust_policy": TRUST, "service_account": ""},
        "service_account is empty. Set a value such as my-service-account, or remove the option.",
    ),
    (
        {"trust_policy": TRUST, "pod_identity_role_arn": ROLE, "external_id": ""},
        "external_id is empty. Set a value such as my-external-id, or remove the option.",
    ),
]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("args", "message"), FAILURES, ids=[message[:60] for _, message in FAILURES])
def test_invalid_input_fails(run, args, message, check_mode):
    result = run(**args, _ansible_check_mode=check_mode)
    assert (result["failed"], result["msg"]) == (True, message)


def test_missing_role_names_account_and_region(run):
    result = run(FakeIam(classify("iam:GetRole", "NoSuchEntity", "no")), role_name="my-role")
    assert result["msg"] == (
        "There is no role my-role in account 111122223333 (region us-west-2). Check the name, and that the credentials "
        "belong to the intended account."
    )


def test_role_of_another_account_or_path_is_not_accepted(run):
    result = run(FakeIam(), role_arn="arn:aws:iam::111122223333:role/my-role")
    assert result["msg"] == (
        f"There is no role arn:aws:iam::111122223333:role/my-role here: the role named my-role is {ROLE}. Check the path "
        "and the account in the ARN, and that the credentials belong to its account."
    )


def test_aws_error_has_its_code_and_remedy(run):
    result = run(FakeIam(classify("iam:GetRole", "AccessDenied", "not authorized")), role_name="my-role")
    assert result["failed"] is True
    assert (result["error_code"], result["region"]) == ("AccessDenied", "us-west-2")
    assert (
        result["msg"]
        == f"Reading the role failed: iam:GetRole: AccessDenied: not authorized {result['remedy']}"
    )
