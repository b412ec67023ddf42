# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
# Each row of a table is a single line, so lines may be long:
# ruff: noqa: E501
"""Test whether IAM can store a document, and the reasons against it. The table of documents is in tests/emulators."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    storability,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    policy_size,
)

ACCOUNT = "111122223333"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/my-role"
ALLOW = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


def policy(*statements, **more):
    return {"Version": "2012-10-17", "Statement": list(statements), **more}


def of_length(length, statement):
    """Return a document that has this number of characters as compact JSON."""
    return policy({**statement, "Sid": "x" * (length - policy_size(policy({**statement, "Sid": ""})))})


def spaced(length):
    """Return a document of this size with white space in a value. AWS does not document whether such white space counts."""
    bucket = {**ALLOW, "Resource": "arn:aws:s3:::b/"}
    return policy({**bucket, "Resource": bucket["Resource"] + " " * (length - policy_size(policy(bucket)))})


# Each row has the kind of policy, the document, whether the rejection is certain, the statement, the message and the remedy.
REASONS = [
    ("managed", policy({**ALLOW, "Action": " s3:Get"}), True, "Statement 1", "the service prefix of the action ' s3:Get' may only have letters, digits and hyphens", "Write the action with its full service prefix, such as s3:GetObject; * and ? are allowed after the colon."),
    ("managed", policy({**ALLOW, "Action": "s3:a:b"}), True, "Statement 1", "the action 's3:a:b' has more than one colon", "Write it as service:Action."),
    ("managed", policy({**ALLOW, "Action": "s3:Get Object"}), False, "Statement 1", "'Get Object' cannot be the name of an action; AWS does not document whether IAM stores such a policy", "Correct the name of the action."),
    ("managed", policy({**ALLOW, "Resource": "*x"}), True, "Statement 1", "the resource '*x' is not an ARN or '*'", "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."),
    ("managed", policy({**ALLOW, "Resource": "${aws:x}"}), False, "Statement 1", "the resource '${aws:x}' is not an ARN or '*'", "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws"}), True, "Statement 1", "the resource 'arn:aws' has no service", "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."),
    ("session", policy({**ALLOW, "Resource": "arn:aws:sqs"}), True, "Statement 1", "the resource 'arn:aws:sqs' has 3 of the six parts of an ARN, and IAM completes ARNs in identity-based policies only, not in a session policy", "Write the whole ARN, such as arn:aws:s3:::my-bucket/*, or '*'."),
    ("managed", policy({**ALLOW, "Resource": "arn:oops:s3:::b"}), True, "Statement 1", "'oops' in the resource 'arn:oops:s3:::b' is not an AWS partition", "Write aws, aws-cn, aws-us-gov, or another partition of AWS."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws-*:s3:::b"}), False, "Statement 1", "'aws-*' in the resource 'arn:aws-*:s3:::b' is not an AWS partition", "Write aws, aws-cn, aws-us-gov, or another partition of AWS."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws:s?:::b"}), True, "Statement 1", "the service 's?' in the resource 'arn:aws:s?:::b' may only have letters, digits and hyphens, without wildcards", "Write the full name of the service, and one ARN for each service."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws:sqs:${aws:RequestedRegion}:111122223333:q"}), False, "Statement 1", "'arn:aws:sqs:${aws:RequestedRegion}:111122223333:q' has a policy variable before the fifth colon, where IAM does not support it", "Write the Region, or *."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws:s3::my_bucket"}), True, "Statement 1", "'my_bucket' in the resource 'arn:aws:s3::my_bucket' is not an account ID", "Write twelve digits, *, or nothing if ARNs of the service have no account; policy variables are supported after the fifth colon only."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws:s3:us-west-2::b"}), True, "Statement 1", "S3 ARNs without an account ID have no Region, but 'arn:aws:s3:us-west-2::b' has 'us-west-2'", "Leave the Region empty."),
    ("managed", policy(ALLOW, {**ALLOW, "Sid": "a-b"}), True, "Statement 2 (Sid 'a-b')", "the Sid may only have the characters A-Z, a-z and 0-9", "Use letters and digits only."),
    ("trust", policy({**TRUST, "Sid": "a-b"}), False, "Statement 1 (Sid 'a-b')", "the Sid has characters other than A-Z, a-z, 0-9 and spaces; AWS does not document whether IAM accepts them in a trust policy", "Use letters and digits only."),
    ("trust", policy({**TRUST, "Sid": "A"}, TRUST, {**TRUST, "Sid": "A"}), True, "Statement 3 (Sid 'A')", "the Sid is already used by statement 1; Sids must be unique", "Use a different Sid for each statement, or remove the Sid."),
    ("managed", policy(ALLOW, Version="2008-10-17"), True, "", "the document has version 2008-10-17, and a managed policy must have 2012-10-17", 'Set "Version": "2012-10-17".'),
    ("session", {"Statement": ALLOW}, False, "", "the document has no version, and a managed policy must have 2012-10-17; AWS does not document whether this applies to other policies", 'Set "Version": "2012-10-17".'),
    ("managed", policy({**ALLOW, "Condition": {"StringEquals": {"team": "a"}}}), True, "Statement 1", "the condition key 'team' has no service prefix", "Write it as service:key, such as aws:SourceAccount."),
    ("managed", policy({**ALLOW, "Condition": {"StringEquals": {"aws:x": []}}}), False, "Statement 1", "StringEquals aws:x has no values; AWS does not document whether IAM stores such a policy", "Add at least one value."),
    ("managed", policy({**ALLOW, "Condition": {"stringequals": {"aws:x": "a"}}}), False, "Statement 1", "AWS does not document whether IAM accepts the condition operator 'stringequals' in this letter case", "Write StringEquals."),
    ("managed", policy({**ALLOW, "Condition": {"DateLessThan": {"aws:CurrentTime": "soon"}}}), True, "Statement 1", "DateLessThan aws:CurrentTime requires a date, not 'soon'", "Correct the value, or use a String operator."),
    ("managed", policy({**ALLOW, "Condition": {"Bool": {"aws:SecureTransport": "yes"}}}), False, "Statement 1", "Bool aws:SecureTransport requires true or false, not 'yes'", "Correct the value, or use a String operator."),
    ("managed", policy({**ALLOW, "Condition": {"BinaryEquals": {"aws:x": "~"}}}), False, "Statement 1", "BinaryEquals aws:x requires base64, not '~'", "Correct the value, or use a String operator."),
    ("trust", policy({**TRUST, "Action": "s3:GetObject"}), True, "Statement 1", "the action 's3:GetObject' does not belong to AWS STS, and a trust policy may only have actions that assume a role", "List sts:AssumeRole and sts:TagSession; put permissions into a policy that is attached to the role."),
    ("trust", policy({**TRUST, "Action": "sts:*"}), False, "Statement 1", "AWS does not document whether IAM accepts the action 'sts:*' in a trust policy", "List the actions: sts:AssumeRole and sts:TagSession."),
    ("trust", policy({"Effect": "Allow", "NotPrincipal": {"AWS": ACCOUNT}, "Action": "sts:AssumeRole"}), True, "Statement 1", "NotPrincipal is not allowed in the trust policy of a role", "List the callers in Principal. To exclude callers from a Deny, use a condition such as StringNotEquals on aws:PrincipalServiceName."),
    ("trust", policy({**TRUST, "Principal": "*"}), False, "Statement 1", 'the AWS guides contradict each other on "Principal": "*" in a trust policy', 'Write "Principal": {"AWS": "*"}, which is equivalent.'),
    ("trust", policy({**TRUST, "Principal": {"Service": "lambda"}}), True, "Statement 1", "'lambda' is not the name of a service", "Write it as service.amazonaws.com."),
    ("trust", policy({**TRUST, "Principal": {"Service": "pod.eks.amazonaws.com"}}), False, "Statement 1", "IAM rejects unknown services, and the AWS guides do not mention pod.eks.amazonaws.com as a service principal", "Use the name in the guide of the service; for EKS Pod Identity it is pods.eks.amazonaws.com."),
    ("trust", policy({**TRUST, "Principal": {"AWS": "444455556666"}}), False, "Statement 1", "IAM accepts account 444455556666 only if it exists", "Check the account ID."),
    ("trust", policy({**TRUST, "Principal": {"AWS": ROLE + "2"}}), False, "Statement 1", f"IAM accepts {ROLE}2 only if it exists", "Create it first, or use its account and add a condition on aws:PrincipalArn."),
    ("trust", policy({**TRUST, "Principal": {"AWS": "AROAEXAMPLEEXAMPLE123"}}), False, "Statement 1", "IAM accepts the unique ID AROAEXAMPLEEXAMPLE123 only if its role or user exists", "Write the ARN of an existing role or user."),
    ("trust", policy({**TRUST, "Principal": {"AWS": "arn:aws:iam::111122223333:role/*"}}), True, "Statement 1", "the principal 'arn:aws:iam::111122223333:role/*' has a wildcard, and IAM accepts only a single '*'", 'Use the account, and add a condition such as ArnLike on aws:PrincipalArn, or write "AWS": "*".'),
    ("trust", policy({**TRUST, "Principal": {"AWS": "arn:aws*:iam::111122223333:user/x"}}), True, "Statement 1", "the principal 'arn:aws*:iam::111122223333:user/x' has a wildcard, and IAM accepts only a single '*'", 'Use the account, and add a condition such as ArnLike on aws:PrincipalArn, or write "AWS": "*".'),
    ("trust", policy({**TRUST, "Principal": {"AWS": "my-role"}}), True, "Statement 1", "the principal 'my-role' is not an account, role, user or session", "Write an account ID, or the ARN of an account, role, user or session, in full."),
    ("trust", policy({**TRUST, "Principal": {"AWS": "111122223333:root"}}), True, "Statement 1", "the principal '111122223333:root' is not an account, role, user or session", "Write an account ID, or the ARN of an account, role, user or session, in full."),
    ("trust", policy({**TRUST, "Principal": {"Federated": "idp"}}), True, "Statement 1", "'idp' is not an identity provider", "Write the ARN of an OpenID Connect or SAML provider."),
    ("trust", policy({**TRUST, "Principal": {"CanonicalUser": "79a5"}}), False, "Statement 1", "a CanonicalUser belongs to Amazon S3; AWS does not document whether IAM accepts it in a trust policy", "Write an account ID, or the ARN of an account, role, user or session, in full."),
    ("trust", policy({**TRUST, "Principal": {"AWS": "arn:aws-x:iam::444455556666:root"}}), True, "Statement 1", "'aws-x' in the principal 'arn:aws-x:iam::444455556666:root' is not an AWS partition", "Write aws, aws-cn, aws-us-gov, or another partition of AWS."),
    ("trust", policy({**TRUST, "Action": ["sts:AssumeRole", "sts:TagSessions"]}), True, "Statement 1", "AWS STS has no action 'sts:TagSessions'", "Correct the name; EKS Pod Identity needs sts:AssumeRole and sts:TagSession."),
    ("trust", policy({"Effect": "Allow", "Principal": {"AWS": "*"}, "NotAction": "sts:AssumeRoleWithSAML"}), True, "Statement 1", "NotAction is not allowed in the trust policy of a role", "Name the actions in Action: sts:AssumeRole and sts:TagSession."),
    ("managed", policy(ALLOW, Id="a"), True, "", "only resource-based policies may have an Id", "Remove the Id."),
    ("trust", policy(TRUST, Id=None), True, "", "the Id is null, and it must be text", "Remove the Id, or set a value."),
    ("managed", policy({**ALLOW, "Sid": None}), True, "Statement 1", "the Sid is null, and it must be text", "Remove the Sid, or set a value."),
    ("managed", policy({**ALLOW, "Condition": {"StringEquals": {}}}), True, "Statement 1", "the condition operator 'StringEquals' has no condition keys", "Remove the operator, or add a condition key."),
    ("managed", policy({**ALLOW, "Resource": "arn:aws:s3:::\u4e2d"}), True, "", "the character '\u4e2d' is not allowed in policy documents (U+0020 to U+00FF are)", "Replace the character."),
    ("managed", of_length(6145, ALLOW), True, "", "the document has 6,145 characters without white space; a managed policy may have 6,144", "Split it into several policies."),
    ("managed", spaced(6145), False, "", "the document has 110 to 6,145 characters, depending on whether IAM counts white space in values; a managed policy may have 6,144", "Split it into several policies."),
    ("boundary", of_length(6145, ALLOW), True, "", "the document has 6,145 characters without white space; a managed policy may have 6,144", "Shorten it."),
    ("identity", of_length(6145, ALLOW), False, "", "the document has 6,145 characters without white space; a managed policy may have 6,144, the inline policies of a role together 10,240", "Split it into several managed policies."),
    ("identity", of_length(10241, ALLOW), True, "", "the document has 10,241 characters without white space; the inline policies of a role together may have 10,240", "Split it into several policies."),
    ("session", of_length(2049, ALLOW), True, "", "the document has 2,049 characters without white space; a session policy may have 2,048", "Shorten it."),
    ("trust", of_length(2049, TRUST), False, "", "the document has 2,049 characters without white space; the default quota for trust policies is 2,048", "Use a wider scope with fewer statements, or request an increase of the quota 'Role trust policy length'."),
    ("trust", of_length(8193, TRUST), True, "", "the document has 8,193 characters without white space; a trust policy may have 8,192", "Use a wider scope with fewer statements."),
    ("managed", '{"Statement": [], "Statement": []}', True, "", "duplicate key 'Statement' in an object", ""),
]  # fmt: skip


@pytest.mark.parametrize("case", REASONS, ids=[f"{case[0]}: {case[4][:60]}" for case in REASONS])
def test_rejected_document_has_its_reasons(case):
    kind, document, *expected = case
    found = storability(document, kind, existing={ACCOUNT, ROLE})
    rows = [[reason.certain, reason.statement, reason.message, reason.remedy] for reason in found.reasons]
    assert rows == [expected]
    certain = [row for row in rows if row[0]]
    assert found.answer == ("no" if certain else "unknown")


def test_existing_principals_are_accepted():
    session = f"arn:aws:sts::{ACCOUNT}:assumed-role/my-role/session"
    principals = {"AWS": [ROLE, ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", session, "*"]}
    document = policy({**TRUST, "Principal": {**TRUST["Principal"], **principals}})
    assert storability(document, "trust", existing={ACCOUNT, ROLE}).rows == []


def test_unknown_kind_of_document():
    with pytest.raises(ValueError, match=r"^kind must be one of .*, got 'group'$"):
        storability(policy(ALLOW), "group")
