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


CAUSES = {
    "no provider": ([POD_IDENTITY], f"the trust policy does not name an OIDC provider, {THIS_ISSUER}"),
    "issuer of another cluster": (
        [statement(federated=provider(OTHER_HOST)), statement(federated=provider(GITHUB))],
        f"the trust policy names {OTHER_HOST}, {GITHUB}, {THIS_ISSUER}",
    ),
    "other service accounts": (
        [statement(equals(WEB, JOB))],
        "its statement is for sub system:serviceaccount:shop:web or system:serviceaccount:batch:job",
    ),
    "audience": (
        [statement({"StringEquals": {**BOTH, f"{HOST}:aud": "vault"}})],
        "its statement is for aud vault",
    ),
    "two statements": (
        [statement(equals(WEB)), statement({"StringLike": {f"{HOST}:sub": "system:serviceaccount:batch:*"}})],
        "its statement is for sub system:serviceaccount:shop:web, sub system:serviceaccount:batch:*",
    ),
    "further condition": (
        [statement({"StringEquals": {**BOTH, "aws:RequestedRegion": "us-west-2"}})],
        "its statement also has conditions on aws:requestedregion (us-west-2)",
    ),
    "Deny": (
        [statement({"StringEquals": BOTH}), statement(Effect="Deny")],
        "a Deny statement applies, or the statement has conditions that are not met",
    ),
}


@pytest.mark.parametrize(("statements", "cause"), CAUSES.values(), ids=CAUSES)
def test_missing_access_is_explained(statements: list[Json], cause: str) -> None:
    assert explain_web_identity(trust(*statements), ISSUER, API) == cause


ISSUERS = {
    "URL of the cluster": (f"https://{HOST}", ISSUER),
    "URL for IPv4 and IPv6": (f"https://{DUAL_HOST}", ISSUER),
    "without scheme, as in the ARN of a provider": (HOST, ISSUER),
    "China": ("https://oidc.eks.cn-north-1.amazonaws.com.cn/id/AB12", Issuer("cn-north-1", "AB12")),
    "China for IPv4 and IPv6": (
        "https://oidc-eks.cn-north-1.api.amazonwebservices.com.cn/id/AB12",
        Issuer("cn-north-1", "AB12"),
    ),
    "European Sovereign Cloud": (
        "https://oidc.eks.eusc-de-east-1.amazonaws.eu/id/AB12",
        Issuer("eusc-de-east-1", "AB12"),
    ),
    "empty text": ("", None),
    "GitHub": (GITHUB, None),
    "without TLS": (f"http://{HOST}", None),
    "another domain": ("https://oidc.eks.us-west-2.example.com/id/EXAMPLE1", None),
    "longer domain": ("https://oidc.eks.us-west-2.amazonaws.com.example.com/id/EXAMPLE1", None),
    "slash at the end": (f"https://{HOST}/", None),
    "longer path": (f"https://{HOST}/keys", None),
    "longer host name": (f"https://login.{HOST}", None),
    "without identifier": ("https://oidc.eks.us-west-2.amazonaws.com/id/", None),
    "line break": (f"https://{HOST}\n", None),
}


@pytest.mark.parametrize(("url", "issuer"), ISSUERS.values(), ids=ISSUERS)
def test_parse_issuer(url: str, issuer: Issuer | None) -> None:
    assert parse_issuer(url) == issuer


HOSTS = {
    "provider of the cluster": (provider(), HOST, True),
    "second provider of the cluster": (provider(DUAL_HOST), DUAL_HOST, True),
    "another cluster": (provider(OTHER_HOST), OTHER_HOST, False),
    "GitHub": (provider(GITHUB), GITHUB, False),
    "not an ARN": ("cognito-identity.amazonaws.com", "", False),
}


@pytest.mark.parametrize(("arn", "host", "issued"), HOSTS.values(), ids=HOSTS)
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


ANSWERS = {
    "subject and audience": (
        trust(statement({"StringEquals": {f"{HOST}:sub": subject(), f"{HOST}:aud": DEFAULT_AUDIENCE}})),
        "yes",
    ),
    "statement without a list": ({"Version": "2012-10-17", "Statement": statement(equals(API))}, "yes"),
    "one of several subjects": (trust(statement(equals(WEB, API))), "yes"),
    "pattern of subjects": (trust(statement({"StringLike": {f"{HOST}:sub": EVERY_SUBJECT}})), "yes"),
    "no condition": (trust(statement()), "yes"),
    "Deny for every provider": (trust(statement(), statement(federated="*", Effect="Deny")), "no"),
    "letter case of a key": (trust(statement({"StringEquals": {f"{HOST.upper()}:SUB": subject()}})), "yes"),
    "all actions of STS": (trust(statement(equals(API), Action="sts:*")), "yes"),
    "second provider": (trust(statement(equals(API, host=DUAL_HOST), provider(DUAL_HOST))), "yes"),
    "one of two providers": (
        trust(statement(equals(API, host=DUAL_HOST), [provider(), provider(DUAL_HOST)])),
        "yes",
    ),
    "one of two statements": (trust(statement(equals(WEB)), statement(equals(API))), "yes"),
    "another service account is denied": (
        trust(statement(equals(API)), statement(equals(WEB), Effect="Deny")),
        "yes",
    ),
    "no statement for the provider": (trust(POD_IDENTITY), "no"),
    "another service account": (trust(statement(equals(WEB))), "no"),
    "another namespace": (trust(statement(equals(("batch", "api")))), "no"),
    "another cluster": (trust(statement(equals(API), provider(OTHER_HOST))), "no"),
    "subject at the provider of another cluster": (trust(statement(equals(API, host=OTHER_HOST))), "no"),
    "subject at the second provider": (trust(statement(equals(API, host=DUAL_HOST))), "no"),
    "another action": (trust(statement(equals(API), Action="sts:AssumeRole")), "no"),
    "denied": (trust(statement(equals(API)), statement(equals(API), Effect="Deny")), "no"),
    "another audience": (trust(statement({"StringEquals": {f"{HOST}:aud": "vault"}})), "no"),
    "only from an address": (
        trust(statement({**equals(API), "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}})),
        "conditional",
    ),
    "without a condition at the second provider": (
        trust(
            statement({**equals(API), "IpAddress": {"aws:SourceIp": "192.0.2.0/24"}}),
            statement(equals(API, host=DUAL_HOST), provider(DUAL_HOST)),
        ),
        "yes",
    ),
}


@pytest.mark.parametrize(("document", "answer"), ANSWERS.values(), ids=ANSWERS)
def test_policy_allows_a_service_account(document: Json, answer: str) -> None:
    assert allows_web_identity(document, ISSUER, API) == answer


BOTH = [provider(), provider(DUAL_HOST)]


FOUND = {
    "one subject": (statement(equals(API)), True, {API}),
    "two subjects": (statement(equals(API, WEB)), True, {API, WEB}),
    "list of providers": (statement(equals(API), [provider()]), True, {API}),
    "both providers": (statement(equals(API, host=DUAL_HOST), BOTH), True, {API}),
    "letter case": (statement({"stringequals": {f"{HOST.upper()}:SUB": subject()}}), True, {API}),
    "StringLike without pattern": (statement(equals(API, operator="StringLike")), True, {API}),
    "two conditions": (
        statement({**equals(API, WEB), **equals(WEB, JOB, operator="StringLike")}),
        True,
        {WEB},
    ),
    "contradiction": (statement({**equals(API), **equals(WEB, operator="StringLike")}), True, set()),
    "subject and pattern": (
        statement({**equals(API), "StringLike": {f"{HOST}:sub": EVERY_SUBJECT}}),
        True,
        {API},
    ),
    "no service account": (statement({"StringEquals": {f"{HOST}:sub": "user"}}), True, {("", "user")}),
    "no condition": (statement(), True, None),
    "audience only": (statement({"StringEquals": {f"{HOST}:aud": "a"}}), True, None),
    "pattern": (statement({"StringLike": {f"{HOST}:sub": EVERY_SUBJECT}}), True, None),
    "subject or pattern": (
        statement({"StringLike": {f"{HOST}:sub": [subject(), "system:serviceaccount:shop:we?"]}}),
        True,
        None,
    ),
    "all except one": (statement(equals(API, operator="StringNotEquals")), True, None),
    "IfExists": (statement(equals(API, operator="StringEqualsIfExists")), True, None),
    "any letter case": (statement(equals(API, operator="StringEqualsIgnoreCase")), True, None),
    "set operator": (statement(equals(API, operator="ForAllValues:StringEquals")), True, None),
    "policy variable": (
        statement({"StringEquals": {f"{HOST}:sub": [subject(), "${aws:userid}"]}}),
        True,
        None,
    ),
    "subject at the provider of another cluster": (statement(equals(API, host=OTHER_HOST)), True, None),
    "also another cluster": (statement(equals(API), [provider(), provider(OTHER_HOST)]), False, {API}),
    "also a service": (
        statement(equals(API), Principal={"Federated": provider(), "Service": "ec2.amazonaws.com"}),
        False,
        {API},
    ),
}


@pytest.mark.parametrize(("entry", "exclusive", "accounts"), FOUND.values(), ids=FOUND)
def test_statement_for_the_cluster_is_found(
    entry: Json, exclusive: bool, accounts: set[tuple[str, str]] | None
) -> None:
    [found] = federated_statements(trust(POD_IDENTITY, entry), ISSUER)
    assert (found.index, found.statement, found.exclusive, found.accounts) == (1, entry, exclusive, accounts)


IGNORED = {
    "another cluster": statement(equals(API), provider(OTHER_HOST)),
    "GitHub": statement(equals(API), provider(GITHUB)),
    "Deny": statement(equals(API), Effect="Deny"),
    "service": POD_IDENTITY,
    "everyone": {**POD_IDENTITY, "Principal": "*"},
    "not a mapping": "statement",
}


@pytest.mark.parametrize("entry", IGNORED.values(), ids=IGNORED)
def test_statement_for_another_purpose_is_ignored(entry: Any) -> None:
    document = trust(entry)
    assert federated_statements(document, ISSUER) == []
    assert without_federation(document, ISSUER, ACCOUNTS) == (document, [])


FIRST, SECOND, THIRD = statement(equals(API)), statement(equals(WEB)), statement(equals(JOB))


REMOVALS = {
    "one service account": ([FIRST, POD_IDENTITY], [API], [POD_IDENTITY], [(0, FIRST)]),
    "also a service account without a statement": (
        [FIRST, POD_IDENTITY],
        [API, WEB],
        [POD_IDENTITY],
        [(0, FIRST)],
    ),
    "reverse order": (
        [FIRST, POD_IDENTITY, SECOND, THIRD],
        [API, JOB],
        [POD_IDENTITY, SECOND],
        [(3, THIRD), (0, FIRST)],
    ),
    "equal statements": ([FIRST, POD_IDENTITY, FIRST], [API], [POD_IDENTITY], [(2, FIRST), (0, FIRST)]),
    "no account": ([FIRST, POD_IDENTITY], [], [FIRST, POD_IDENTITY], []),
    "another account": ([FIRST, POD_IDENTITY], [WEB], [FIRST, POD_IDENTITY], []),
    "no statement would remain": ([FIRST, SECOND], [API, WEB], [FIRST, SECOND], []),
    "only one of two accounts": (
        [statement(equals(API, WEB)), POD_IDENTITY],
        [API],
        [statement(equals(API, WEB)), POD_IDENTITY],
        [],
    ),
    "no account can match": (
        [statement({**equals(API), **equals(WEB, operator="StringLike")}), POD_IDENTITY],
        [API, WEB],
        [statement({**equals(API), **equals(WEB, operator="StringLike")}), POD_IDENTITY],
        [],
    ),
}


@pytest.mark.parametrize(("statements", "accounts", "left", "removed"), REMOVALS.values(), ids=REMOVALS)
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


RESTORED = {
    "first position": ([SECOND], [(0, FIRST)], [FIRST, SECOND]),
    "last position": ([SECOND], [(1, FIRST)], [SECOND, FIRST]),
    "the policy has become shorter": ([SECOND], [(7, FIRST)], [SECOND, FIRST]),
    "already present": ([FIRST, SECOND], [(0, FIRST)], [FIRST, SECOND]),
    "present in another position": ([SECOND, FIRST], [(0, FIRST)], [SECOND, FIRST]),
    "two statements": ([SECOND], [(2, THIRD), (0, FIRST)], [FIRST, SECOND, THIRD]),
    "one of two statements is present": ([SECOND], [(1, THIRD), (0, SECOND)], [SECOND, THIRD]),
    "one of two equal statements is present": (
        [SECOND, FIRST],
        [(2, FIRST), (0, FIRST)],
        [SECOND, FIRST, FIRST],
    ),
    "nothing removed": ([SECOND], [], [SECOND]),
}


@pytest.mark.parametrize(("statements", "removed", "restored"), RESTORED.values(), ids=RESTORED)
def test_removed_statements_are_restored(
    statements: list[Json], removed: list[tuple[int, Json]], restored: list[Json]
) -> None:
    document = trust(*statements)
    entries = [Removed(index, entry) for index, entry in removed]
    result = with_federation(document, entries)
    assert result == trust(*restored)
    assert with_federation(result, entries) is result
