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
        saved, basic._ANSIBLE_ARGS = (basic._ANSIBLE_ARGS, json.dumps({"ANSIBLE_MODULE_ARGS": args}).encode())
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


@pytest.mark.parametrize(
    ("options", "name"),
    [({"role_name": "my-role"}, "my-role"), ({"role_arn": ROLE}, "my-role")],
    ids=["name", "ARN"],
)
def test_policy_of_a_role_is_read(run, options, name):
    api = FakeIam()
    assert run(api, **options)["usable"] == "yes"
    assert api.calls == [("iam", "GetRole", {"RoleName": name})]


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


def test_aws_error_has_its_code_and_remedy(run):
    result = run(FakeIam(classify("iam:GetRole", "AccessDenied", "not authorized")), role_name="my-role")
    assert result["failed"] is True
    assert (result["error_code"], result["region"]) == ("AccessDenied", "us-west-2")
    assert (
        result["msg"]
        == f"Reading the role failed: iam:GetRole: AccessDenied: not authorized {result['remedy']}"
    )
