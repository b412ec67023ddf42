# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test trust policy statements for IRSA: whether they allow a service account, their removal, and their restoration."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    Layer,
    evaluate,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.pods import (
    web_identity_context,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    Request,
    build_rules,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    parse_policy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.resources import Caller
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import (
    DEFAULT_AUDIENCE,
    WEB_IDENTITY,
    Issuer,
    Removed,
    allows_web_identity,
    explain_web_identity,
    federated_statements,
    parse_issuer,
    provider_host,
    with_federation,
    without_federation,
)

Json = dict[str, Any]

ISSUER = Issuer("us-west-2", "EXAMPLE1")
HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE1"
DUAL_HOST = "oidc-eks.us-west-2.api.aws/id/EXAMPLE1"
OTHER_HOST = "oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE2"
GITHUB = "token.actions.githubusercontent.com"
API, WEB, JOB = ("shop", "api"), ("shop", "web"), ("batch", "job")
ACCOUNTS = (API, WEB, JOB)
EVERY_SUBJECT = "system:serviceaccount:shop:*"
POD_IDENTITY = {
    "Effect": "Allow",
    "Principal": {"Service": "pods.eks.amazonaws.com"},
    "Action": ["sts:AssumeRole", "sts:TagSession"],
}


def provider(host: str = HOST) -> str:
    return f"arn:aws:iam::111122223333:oidc-provider/{host}"


def subject(account: tuple[str, str] = API) -> str:
    return "system:serviceaccount:{}:{}".format(*account)


def statement(condition: Json | None = None, federated: Any = None, **more: Any) -> Json:
    built = {
        "Effect": "Allow",
        "Principal": {"Federated": federated or provider()},
        "Action": "sts:AssumeRoleWithWebIdentity",
        **more,
    }
    return {**built, "Condition": condition} if condition is not None else built


def equals(*accounts: tuple[str, str], host: str = HOST, operator: str = "StringEquals") -> Json:
    subjects = [subject(account) for account in accounts]
    return {operator: {f"{host}:sub": subjects[0] if len(subjects) == 1 else subjects}}


def trust(*statements: Any) -> Json:
    return {"Version": "2012-10-17", "Statement": list(statements)}


THIS_ISSUER = "and the issuer of this cluster is oidc.eks.us-west-2 with the ID EXAMPLE1"
BOTH = {f"{HOST}:sub": subject(), f"{HOST}:aud": DEFAULT_AUDIENCE}


@pytest.mark.parametrize(
    ("statements", "cause"),
    [
        pytest.param(
            [POD_IDENTITY],
            f"the trust policy does not name an OIDC provider, {THIS_ISSUER}",
            id="no provider",
        ),
        pytest.param(
            [statement(federated=provider(OTHER_HOST)), statement(federated=provider(GITHUB))],
            f"the trust policy names {OTHER_HOST}, {GITHUB}, {THIS_ISSUER}",
            id="issuer of another cluster",
        ),
        pytest.param(
            [statement(equals(WEB, JOB))],
            "its statement is for sub system:serviceaccount:shop:web or system:serviceaccount:batch:job",
            id="other service accounts",
        ),
        pytest.param(
            [statement({"StringEquals": {**BOTH, f"{HOST}:aud": "vault"}})],
            "its statement is for aud vault",
            id="audience",
        ),
        pytest.param(
            [
                statement(equals(WEB)),
                statement({"StringLike": {f"{HOST}:sub": "system:serviceaccount:batch:*"}}),
            ],
            "its statement is for sub system:serviceaccount:shop:web, sub system:serviceaccount:batch:*",
            id="two statements",
        ),
        pytest.param(
            [statement({"StringEquals": {**BOTH, "aws:RequestedRegion": "us-west-2"}})],
            "its statement also has conditions on aws:requestedregion (us-west-2)",
            id="further condition",
        ),
        pytest.param(
            [statement({"StringEquals": BOTH}), statement(Effect="Deny")],
            "a Deny statement applies, or the statement has conditions that are not met",
            id="Deny",
        ),
    ],
)
def test_missing_access_is_explained(statements: list[Json], cause: str) -> None:
    assert explain_web_identity(trust(*statements), ISSUER, API) == cause


@pytest.mark.parametrize(
    ("url", "issuer"),
    [
        pytest.param(f"https://{HOST}", ISSUER, id="URL of the cluster"),
        pytest.param(f"https://{DUAL_HOST}", ISSUER, id="URL for IPv4 and IPv6"),
        pytest.param(HOST, ISSUER, id="without scheme, as in the ARN of a provider"),
        pytest.param(
            "https://oidc.eks.cn-north-1.amazonaws.com.cn/id/AB12", Issuer("cn-north-1", "AB12"), id="China"
        ),
        pytest.param(
            "https://oidc-eks.cn-north-1.api.amazonwebservices.com.cn/id/AB12",
            Issuer("cn-north-1", "AB12"),
            id="China for IPv4 and IPv6",
        ),
        pytest.param(
            "https://oidc.eks.eusc-de-east-1.amazonaws.eu/id/AB12",
            Issuer("eusc-de-east-1", "AB12"),
            id="European Sovereign Cloud",
        ),
        pytest.param("", None, id="empty text"),
        pytest.param(GITHUB, None, id="GitHub"),
        pytest.param(f"http://{HOST}", None, id="without TLS"),
        pytest.param("https://oidc.eks.us-west-2.example.com/id/EXAMPLE1", None, id="another domain"),
        pytest.param(
            "https://oidc.eks.us-west-2.amazonaws.com.example.com/id/EXAMPLE1", None, id="longer domain"
        ),
        pytest.param(f"https://{HOST}/", None, id="slash at the end"),
        pytest.param(f"https://{HOST}/keys", None, id="longer path"),
        pytest.param(f"https://login.{HOST}", None, id="longer host name"),
        pytest.param("https://oidc.eks.us-west-2.amazonaws.com/id/", None, id="without identifier"),
        pytest.param(f"https://{HOST}\n", None, id="line break"),
    ],
)
def test_parse_issuer(url: str, issuer: Issuer | None) -> None:
    assert parse_issuer(url) == issuer


@pytest.mark.parametrize(
    ("arn", "host", "issued"),
    [
        pytest.param(provider(), HOST, True, id="provider of the cluster"),
        pytest.param(provider(DUAL_HOST), DUAL_HOST, True, id="second provider of the cluster"),
        pytest.param(provider(OTHER_HOST), OTHER_HOST, False, id="another cluster"),
        pytest.param(provider(GITHUB), GITHUB, False, id="GitHub"),
        pytest.param("cognito-identity.amazonaws.com", "", False, id="not an ARN"),
    ],
)
def test_provider_arn_has_its_host(arn: str, host: str, issued: bool) -> None:
    assert (provider_host(arn), ISSUER.matches_provider(arn)) == (host, issued)


@pytest.mark.parametrize(
    ("condition", "decision"),
    [
        ({"StringEquals": {f"{HOST}:sub": subject(), f"{HOST}:aud": "audience"}}, "allowed"),
        ({"StringEquals": {f"{HOST.upper()}:SUB": subject()}}, "allowed"),
        ({"StringEquals": {f"{HOST}:sub": "system:serviceaccount:shop:web"}}, "implicit_deny"),
        ({"StringEquals": {f"{HOST}:aud": DEFAULT_AUDIENCE}}, "implicit_deny"),
        ({"Null": {f"{HOST}:amr": "true"}}, "allowed"),
        (
            {"Null": {"aws:PrincipalArn": "true", "aws:SourceAccount": "true", "aws:TagKeys": "true"}},
            "allowed",
        ),
        ({"Null": {"aws:FederatedProvider": "false", "sts:RoleSessionName": "false"}}, "allowed"),
        ({"Bool": {"aws:SecureTransport": "true", "aws:PrincipalIsAWSService": "false"}}, "allowed"),
        ({"StringEquals": {"aws:RequestTag/kubernetes-namespace": "shop"}}, "implicit_deny"),
        ({"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}, "conditional"),
        ({"StringEquals": {"aws:ResourceTag/team": "shop"}}, "conditional"),
    ],
    ids=lambda value: value if isinstance(value, str) else json.dumps(value),
)
def test_condition_keys_of_a_web_identity_are_evaluated(condition: Json, decision: str) -> None:
    layer = Layer("trust", build_rules(parse_policy(trust(statement(condition)), "trust")))
    # Condition keys are case-insensitive, so the letter case of the host has no effect.
    context = web_identity_context(HOST.upper(), subject(), "audience")
    request = Request(WEB_IDENTITY, None, Caller(provider_arn=provider()))
    assert evaluate((layer,), request, context).decision == decision


@pytest.mark.parametrize(
    ("document", "answer"),
    [
        pytest.param(
            trust(statement({"StringEquals": {f"{HOST}:sub": subject(), f"{HOST}:aud": DEFAULT_AUDIENCE}})),
            "yes",
            id="subject and audience",
        ),
        pytest.param(
            {"Version": "2012-10-17", "Statement": statement(equals(API))},
            "yes",
            id="statement without a list",
        ),
        pytest.param(trust(statement(equals(WEB, API))), "yes", id="one of several subjects"),
        pytest.param(
            trust(statement({"StringLike": {f"{HOST}:sub": EVERY_SUBJECT}})), "yes", id="pattern of subjects"
        ),
        pytest.param(trust(statement()), "yes", id="no condition"),
        pytest.param(
            trust(statement({"StringEquals": {f"{HOST.upper()}:SUB": subject()}})),
            "yes",
            id="letter case of a key",
        ),
        pytest.param(trust(statement(equals(API), Action="sts:*")), "yes", id="all actions of STS"),
        pytest.param(
            trust(statement(equals(API, host=DUAL_HOST), provider(DUAL_HOST))), "yes", id="second provider"
        ),
        pytest.param(
            trust(statement(equals(API, host=DUAL_HOST), [provider(), provider(DUAL_HOST)])),
            "yes",
            id="one of two providers",
        ),
        pytest.param(
            trust(statement(equals(WEB)), statement(equals(API))), "yes", id="one of two statements"
        ),
        pytest.param(
            trust(statement(equals(API)), statement(equals(WEB), Effect="Deny")),
            "yes",
            id="another service account is denied",
        ),
        pytest.param(trust(POD_IDENTITY), "no", id="no statement for the provider"),
        pytest.param(trust(statement(equals(WEB))), "no", id="another service account"),
        pytest.param(trust(statement(equals(("batch", "api")))), "no", id="another namespace"),
        pytest.param(trust(statement(equals(API), provider(OTHER_HOST))), "no", id="another cluster"),
        pytest.param(
            trust(statement(equals(API, host=OTHER_HOST))),
            "no",
            id="subject at the provider of another cluster",
        ),
        pytest.param(
            trust(statement(equals(API, host=DUAL_HOST))), "no", id="subject at the second provider"
        ),
        pytest.param(trust(statement(equals(API), Action="sts:AssumeRole")), "no", id="another action"),
        pytest.param(trust(statement(equals(API)), statement(equals(API), Effect="Deny")), "no", id="denied"),
        pytest.param(
            trust(statement({"StringEquals": {f"{HOST}:aud": "vault"}})), "no", id="another audience"
        ),
        pytest.param(
            trust(statement({**equals(API), "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
            "conditional",
            id="only from an address",
        ),
        pytest.param(
            trust(
                statement({**equals(API), "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
                statement(equals(API, host=DUAL_HOST), provider(DUAL_HOST)),
            ),
            "yes",
            id="without a condition at the second provider",
        ),
    ],
)
def test_policy_allows_a_service_account(document: Json, answer: str) -> None:
    assert allows_web_identity(document, ISSUER, API) == answer


BOTH = [provider(), provider(DUAL_HOST)]


@pytest.mark.parametrize(
    ("entry", "exclusive", "accounts"),
    [
        pytest.param(statement(equals(API)), True, {API}, id="one subject"),
        pytest.param(statement(equals(API, WEB)), True, {API, WEB}, id="two subjects"),
        pytest.param(statement(equals(API), [provider()]), True, {API}, id="list of providers"),
        pytest.param(statement(equals(API, host=DUAL_HOST), BOTH), True, {API}, id="both providers"),
        pytest.param(
            statement({"stringequals": {f"{HOST.upper()}:SUB": subject()}}), True, {API}, id="letter case"
        ),
        pytest.param(
            statement(equals(API, operator="StringLike")), True, {API}, id="StringLike without pattern"
        ),
        pytest.param(
            statement({**equals(API, WEB), **equals(WEB, JOB, operator="StringLike")}),
            True,
            {WEB},
            id="two conditions",
        ),
        pytest.param(
            statement({**equals(API), **equals(WEB, operator="StringLike")}), True, set(), id="contradiction"
        ),
        pytest.param(
            statement({**equals(API), "StringLike": {f"{HOST}:sub": EVERY_SUBJECT}}),
            True,
            {API},
            id="subject and pattern",
        ),
        pytest.param(
            statement({"StringEquals": {f"{HOST}:sub": "user"}}),
            True,
            {("", "user")},
            id="no service account",
        ),
        pytest.param(statement(), True, None, id="no condition"),
        pytest.param(statement({"StringEquals": {f"{HOST}:aud": "a"}}), True, None, id="audience only"),
        pytest.param(statement({"StringLike": {f"{HOST}:sub": EVERY_SUBJECT}}), True, None, id="pattern"),
        pytest.param(
            statement({"StringLike": {f"{HOST}:sub": [subject(), "system:serviceaccount:shop:we?"]}}),
            True,
            None,
            id="subject or pattern",
        ),
        pytest.param(statement(equals(API, operator="StringNotEquals")), True, None, id="all except one"),
        pytest.param(statement(equals(API, operator="StringEqualsIfExists")), True, None, id="IfExists"),
        pytest.param(
            statement(equals(API, operator="StringEqualsIgnoreCase")), True, None, id="any letter case"
        ),
        pytest.param(
            statement(equals(API, operator="ForAllValues:StringEquals")), True, None, id="set operator"
        ),
        pytest.param(
            statement({"StringEquals": {f"{HOST}:sub": [subject(), "${aws:userid}"]}}),
            True,
            None,
            id="policy variable",
        ),
        pytest.param(
            statement(equals(API, host=OTHER_HOST)),
            True,
            None,
            id="subject at the provider of another cluster",
        ),
        pytest.param(
            statement(equals(API), [provider(), provider(OTHER_HOST)]),
            False,
            {API},
            id="also another cluster",
        ),
        pytest.param(
            statement(equals(API), Principal={"Federated": provider(), "Service": "ec2.amazonaws.com"}),
            False,
            {API},
            id="also a service",
        ),
    ],
)
def test_statement_for_the_cluster_is_found(
    entry: Json, exclusive: bool, accounts: set[tuple[str, str]] | None
) -> None:
    [found] = federated_statements(trust(POD_IDENTITY, entry), ISSUER)
    assert (found.index, found.statement, found.exclusive, found.accounts) == (1, entry, exclusive, accounts)


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(statement(equals(API), provider(OTHER_HOST)), id="another cluster"),
        pytest.param(statement(equals(API), provider(GITHUB)), id="GitHub"),
        pytest.param(statement(equals(API), Effect="Deny"), id="Deny"),
        pytest.param(POD_IDENTITY, id="service"),
        pytest.param({**POD_IDENTITY, "Principal": "*"}, id="everyone"),
        pytest.param("statement", id="not a mapping"),
    ],
)
def test_statement_for_another_purpose_is_ignored(entry: Any) -> None:
    document = trust(entry)
    assert federated_statements(document, ISSUER) == []
    assert without_federation(document, ISSUER, ACCOUNTS) == (document, [])


FIRST, SECOND, THIRD = statement(equals(API)), statement(equals(WEB)), statement(equals(JOB))


@pytest.mark.parametrize(
    ("statements", "accounts", "left", "removed"),
    [
        pytest.param([FIRST, POD_IDENTITY], [API], [POD_IDENTITY], [(0, FIRST)], id="one service account"),
        pytest.param(
            [FIRST, POD_IDENTITY],
            [API, WEB],
            [POD_IDENTITY],
            [(0, FIRST)],
            id="also a service account without a statement",
        ),
        pytest.param(
            [FIRST, POD_IDENTITY, SECOND, THIRD],
            [API, JOB],
            [POD_IDENTITY, SECOND],
            [(3, THIRD), (0, FIRST)],
            id="reverse order",
        ),
        pytest.param(
            [FIRST, POD_IDENTITY, FIRST],
            [API],
            [POD_IDENTITY],
            [(2, FIRST), (0, FIRST)],
            id="equal statements",
        ),
        pytest.param([FIRST, POD_IDENTITY], [], [FIRST, POD_IDENTITY], [], id="no account"),
        pytest.param([FIRST, POD_IDENTITY], [WEB], [FIRST, POD_IDENTITY], [], id="another account"),
        pytest.param([FIRST, SECOND], [API, WEB], [FIRST, SECOND], [], id="no statement would remain"),
        pytest.param(
            [statement(equals(API, WEB)), POD_IDENTITY],
            [API],
            [statement(equals(API, WEB)), POD_IDENTITY],
            [],
            id="only one of two accounts",
        ),
        pytest.param(
            [statement({**equals(API), **equals(WEB, operator="StringLike")}), POD_IDENTITY],
            [API, WEB],
            [statement({**equals(API), **equals(WEB, operator="StringLike")}), POD_IDENTITY],
            [],
            id="no account can match",
        ),
    ],
)
def test_removal_of_service_accounts(
    statements: list[Json], accounts: list[tuple[str, str]], left: list[Json], removed: list[tuple[int, Json]]
) -> None:
    document = trust(*statements)
    original = copy.deepcopy(document)
    reduced, found = without_federation(document, ISSUER, accounts)
    assert reduced == trust(*left)
    assert found == [Removed(index, entry) for index, entry in removed]
    assert document == original
    assert with_federation(reduced, found) == document


@pytest.mark.parametrize(
    ("statements", "removed", "restored"),
    [
        pytest.param([SECOND], [(0, FIRST)], [FIRST, SECOND], id="first position"),
        pytest.param([SECOND], [(1, FIRST)], [SECOND, FIRST], id="last position"),
        pytest.param([SECOND], [(7, FIRST)], [SECOND, FIRST], id="the policy has become shorter"),
        pytest.param([FIRST, SECOND], [(0, FIRST)], [FIRST, SECOND], id="already present"),
        pytest.param([SECOND, FIRST], [(0, FIRST)], [SECOND, FIRST], id="present in another position"),
        pytest.param([SECOND], [(2, THIRD), (0, FIRST)], [FIRST, SECOND, THIRD], id="two statements"),
        pytest.param(
            [SECOND], [(1, THIRD), (0, SECOND)], [SECOND, THIRD], id="one of two statements is present"
        ),
        pytest.param(
            [SECOND, FIRST],
            [(2, FIRST), (0, FIRST)],
            [SECOND, FIRST, FIRST],
            id="one of two equal statements is present",
        ),
        pytest.param([SECOND], [], [SECOND], id="nothing removed"),
    ],
)
def test_removed_statements_are_restored(
    statements: list[Json], removed: list[tuple[int, Json]], restored: list[Json]
) -> None:
    document = trust(*statements)
    entries = [Removed(index, entry) for index, entry in removed]
    result = with_federation(document, entries)
    assert result == trust(*restored)
    assert with_federation(result, entries) is result
