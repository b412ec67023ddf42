# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test the validation and the size limits of policy documents in all operations that store a document."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from .conftest import (
    ACCOUNT,
    OTHER_ACCOUNT,
    POD_IDENTITY_TRUST,
    Endpoint,
    api_error,
    create_policy,
    create_role,
)

SYNTAX = "Syntax errors in policy."
VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."


def identity(**changed: Any) -> str:
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*", **changed}
    members = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [members]})


def trust(**changed: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
        **changed,
    }
    members = {name: value for name, value in statement.items() if value is not None}
    return json.dumps({"Version": "2012-10-17", "Statement": [members]})


@pytest.fixture(params=["create_policy", "create_policy_version", "put_role_policy"])
def store_identity(request: pytest.FixtureRequest, iam: Any) -> Callable[[str], Any]:
    if request.param == "create_policy":
        return lambda text: iam.create_policy(PolicyName="p", PolicyDocument=text)
    if request.param == "create_policy_version":
        arn = create_policy(iam, "existing")
        return lambda text: iam.create_policy_version(PolicyArn=arn, PolicyDocument=text)
    create_role(iam, "existing")
    return lambda text: iam.put_role_policy(RoleName="existing", PolicyName="p", PolicyDocument=text)


@pytest.fixture(params=["create_role", "update_assume_role_policy"])
def store_trust(request: pytest.FixtureRequest, iam: Any) -> Callable[[str], Any]:
    if request.param == "create_role":
        return lambda text: iam.create_role(RoleName="r", AssumeRolePolicyDocument=text)
    create_role(iam, "existing")
    return lambda text: iam.update_assume_role_policy(RoleName="existing", PolicyDocument=text)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("{", "This policy contains invalid Json", id="not-json"),
        pytest.param("[]", SYNTAX, id="not-an-object"),
        pytest.param(json.dumps({"Version": "2012-10-17"}), SYNTAX, id="no-statement"),
        pytest.param(json.dumps({"Version": "2012-10-17", "Statement": []}), SYNTAX, id="empty"),
        pytest.param(identity().replace("2012", "2013"), SYNTAX, id="unknown-version"),
        pytest.param(identity(Actions=["s3:*"]), SYNTAX, id="unknown-element"),
        pytest.param(identity(Effect="allow"), SYNTAX, id="effect-case"),
        pytest.param(identity(Effect=None), SYNTAX, id="no-effect"),
        pytest.param(
            identity(Principal="*"), "Policy document should not specify a principal.", id="principal"
        ),
        pytest.param(identity(Action=None), "Policy statement must contain actions.", id="no-action"),
        pytest.param(identity(Action=[]), "Policy statement must contain actions.", id="empty-action"),
        pytest.param(identity(NotAction="s3:*"), SYNTAX, id="action-and-not-action"),
        pytest.param(identity(Action="GetObject"), VENDOR, id="no-vendor"),
        pytest.param(
            identity(Action="s3:Get:Object"), "Actions/Condition can contain only one colon.", id="two-colons"
        ),
        pytest.param(identity(Action="s 3:Get"), "Vendor s 3 is not valid", id="bad-vendor"),
        pytest.param(identity(Action=[1]), SYNTAX, id="action-number"),
        pytest.param(identity(Resource=None), "Policy statement must contain resources.", id="no-resource"),
        pytest.param(
            identity(Resource="bucket"),
            'Resource bucket must be in ARN format or "*".',
            id="resource-not-arn",
        ),
        pytest.param(
            identity(Resource="arn:oops:s3:::bucket"),
            'Partition "oops" is not valid for resource "arn:oops:s3:::bucket".',
            id="partition",
        ),
        pytest.param(
            identity(Resource="arn:aws"),
            "Resource vendor must be fully qualified and cannot contain regexes.",
            id="short-arn",
        ),
        pytest.param(
            identity(Resource="arn:aws:s3*:::b"),
            "Resource vendor must be fully qualified and cannot contain regexes.",
            id="service-wildcard",
        ),
        pytest.param(
            identity(Resource="arn:aws:s3::my-bucket"), "The policy failed legacy parsing", id="account"
        ),
        pytest.param(
            identity(Resource="arn:aws:s3:us-west-2::b"),
            "Resource arn:aws:s3:us-west-2::b can not contain region information.",
            id="bucket-with-region",
        ),
        pytest.param(
            identity(Resource="arn:aws:iam:us-west-2:111122223333:role/r"),
            "IAM resource arn:aws:iam:us-west-2:111122223333:role/r cannot contain region information.",
            id="iam-with-region",
        ),
        pytest.param(
            identity(Condition={"DateLessThan": {"aws:CurrentTime": "tomorrow"}}),
            "The policy failed legacy parsing",
            id="date",
        ),
        pytest.param(
            identity(Condition={"StringEquals": {"aws:x": "y", "AWS:X": "y"}}), SYNTAX, id="key-twice"
        ),
        pytest.param(identity()[:-1] + ', "Id": "a", "Id": "b"}', SYNTAX, id="element-twice"),
        pytest.param(
            identity(Sid="with spaces"),
            "Statement IDs (SID) must be alpha-numeric. Check that your input satisfies the regular "
            "expression [0-9A-Za-z]*",
            id="sid",
        ),
        pytest.param(
            json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        {"Sid": "A", "Effect": "Allow", "Action": "s3:*", "Resource": "*"},
                        {"Sid": "A", "Effect": "Deny", "Action": "s3:*", "Resource": "*"},
                    ],
                }
            ),
            "Statement IDs (SID) in a single policy must be unique.",
            id="sid-twice",
        ),
        pytest.param(
            identity(Condition={"StringEqual": {"aws:x": "y"}}),
            "Invalid Condition type : StringEqual.",
            id="operator",
        ),
        pytest.param(identity(Condition={"StringEquals": {"x": "y"}}), VENDOR, id="condition-key"),
        pytest.param(identity(Condition=["x"]), SYNTAX, id="condition-list"),
        pytest.param(
            identity(Condition={"StringEquals": {"aws:x": {"y": "z"}}}), SYNTAX, id="condition-value"
        ),
    ],
)
def test_invalid_identity_policy_is_rejected(
    store_identity: Callable[[str], Any], document: str, message: str
) -> None:
    assert api_error(lambda: store_identity(document)) == (400, "MalformedPolicyDocument", message)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(identity(), id="plain"),
        pytest.param(identity(Action="*"), id="every-action"),
        pytest.param(identity(Action=["s3:Get*", "ec2:*"], Resource=["arn:aws:s3:::b/*", "*"]), id="lists"),
        pytest.param(identity(Action=None, NotAction="iam:*"), id="not-action"),
        pytest.param(identity(Resource=None, NotResource="arn:aws:s3:::b"), id="not-resource"),
        pytest.param(identity(Resource="arn:aws:sqs"), id="completed-arn"),
        pytest.param(
            identity(
                Condition={
                    "ForAllValues:StringLikeIfExists": {"aws:TagKeys": ["a", "b"]},
                    "Bool": {"aws:SecureTransport": True},
                    "NumericLessThanEquals": {"s3:max-keys": 10},
                    "Null": {"aws:TokenIssueTime": "true"},
                }
            ),
            id="conditions",
        ),
    ],
)
def test_valid_identity_policy_is_stored(store_identity: Callable[[str], Any], document: str) -> None:
    assert store_identity(document)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_managed_policy_requires_current_version(iam: Any) -> None:
    document = identity().replace('"Version": "2012-10-17", ', "")
    assert api_error(lambda: create_policy(iam, "p", document)) == (
        400,
        "MalformedPolicyDocument",
        "Policy document must be version 2012-10-17 or greater.",
    )


@pytest.mark.parametrize(
    ("document", "message"),
    [
        pytest.param("{", "This policy contains invalid Json", id="not-json"),
        pytest.param(trust(Resource="*"), "Has prohibited field Resource", id="resource"),
        pytest.param(trust(Effect=None), "Missing required field Effect", id="no-effect"),
        pytest.param(trust(Effect="allow"), SYNTAX, id="effect-case"),
        pytest.param(trust(Principal=None), "Missing required field Principal", id="no-principal"),
        pytest.param(trust(Action=None), "Missing required field Action", id="no-action"),
        pytest.param(
            trust(Action="s3:GetObject"),
            "AssumeRole policy may only specify STS AssumeRole actions.",
            id="other-action",
        ),
        pytest.param(
            trust(Principal=None, NotPrincipal={"AWS": ACCOUNT}),
            "Allow with NotPrincipal is not allowed.",
            id="not-principal",
        ),
        pytest.param(
            trust(Principal={"Service": "pod.eks.amazonaws.com"}),
            'Invalid principal in policy: "SERVICE":"pod.eks.amazonaws.com"',
            id="service-typo",
        ),
        pytest.param(
            trust(Principal={"Service": ["ec2.amazonaws.com", "lambda"]}),
            'Invalid principal in policy: "SERVICE":"lambda"',
            id="service-in-a-list",
        ),
        pytest.param(
            trust(Principal={"AWS": f"arn:aws:iam::{OTHER_ACCOUNT}:role/nobody"}),
            f'Invalid principal in policy: "AWS":"arn:aws:iam::{OTHER_ACCOUNT}:role/nobody"',
            id="role-that-does-not-exist",
        ),
        pytest.param(trust(Principal={"Services": "x"}), SYNTAX, id="principal-kind"),
        pytest.param(
            trust(Condition={"StringMatches": {"aws:x": "y"}}),
            "Invalid Condition type : StringMatches.",
            id="operator",
        ),
    ],
)
def test_invalid_trust_policy_is_rejected(
    store_trust: Callable[[str], Any], document: str, message: str
) -> None:
    assert api_error(lambda: store_trust(document)) == (400, "MalformedPolicyDocument", message)


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(trust(Sid="any text, with spaces"), id="free-sid"),
        pytest.param(trust(Principal="*"), id="everybody"),
        pytest.param(trust(Principal={"AWS": [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"]}), id="accounts"),
        pytest.param(trust(Effect="Deny"), id="deny"),
        pytest.param(
            trust(Condition={"StringEquals": {"aws:RequestTag/kubernetes-namespace": "default"}}), id="tag"
        ),
        pytest.param(trust().replace('"Version": "2012-10-17", ', ""), id="no-version"),
    ],
)
def test_valid_trust_policy_is_stored(store_trust: Callable[[str], Any], document: str) -> None:
    assert store_trust(document)["ResponseMetadata"]["HTTPStatusCode"] == 200


def test_trust_policy_may_name_existing_role_of_other_account(endpoint: Endpoint, iam: Any) -> None:
    other = create_role(endpoint.client("iam", account=OTHER_ACCOUNT), "source")
    assert create_role(iam, "target", trust(Principal={"AWS": other}))


class TestSizes:
    """Tests of the size limits of policy documents, which do not count white space."""

    def filled(self, size: int, make: Callable[..., str], element: str) -> str:
        """Return a document of ``size`` characters, without counting spaces. Its ``element`` is a text of suitable length."""
        document = json.dumps(json.loads(make(**{element: ""})), separators=(",", ":"))
        return make(**{element: "x" * (size - len(document))})

    def test_too_long_managed_policy_is_rejected(self, iam: Any) -> None:
        create_policy(iam, "fits", self.filled(6144, identity, "Sid"))
        assert api_error(lambda: create_policy(iam, "p", self.filled(6145, identity, "Sid"))) == (
            409,
            "LimitExceeded",
            "Cannot exceed quota for PolicySize: 6144",
        )

    def test_too_long_trust_policy_is_rejected(self, iam: Any) -> None:
        create_role(iam, "fits", self.filled(2048, trust, "Sid"))
        expected = (409, "LimitExceeded", "Cannot exceed quota for ACLSizePerRole: 2048")
        assert api_error(lambda: create_role(iam, "r", self.filled(2049, trust, "Sid"))) == expected
        document = self.filled(2049, trust, "Sid")
        error = api_error(lambda: iam.update_assume_role_policy(RoleName="fits", PolicyDocument=document))
        assert error == expected

    def test_sum_of_inline_policies(self, iam: Any) -> None:
        create_role(iam, "r", POD_IDENTITY_TRUST)
        half = self.filled(5120, identity, "Sid")
        for name in ("one", "two"):
            iam.put_role_policy(RoleName="r", PolicyName=name, PolicyDocument=half)
        error = api_error(
            lambda: iam.put_role_policy(RoleName="r", PolicyName="three", PolicyDocument=identity())
        )
        message = "Maximum policy size of 10240 bytes exceeded for role r"
        assert error == (409, "LimitExceeded", message)
