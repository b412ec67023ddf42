# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Evaluate and edit the statements of a trust policy for IRSA (IAM roles for service accounts). No requests are sent.

With IRSA a Pod calls sts:AssumeRoleWithWebIdentity with a token of its service account. The trust policy names the OIDC
provider that IAM has for the issuer of the cluster. An issuer has two host names, so a cluster may have two providers.
Sources: EKS User Guide, "Assign IAM roles to Kubernetes service accounts" and "Access Amazon EKS using AWS PrivateLink"
(host names); STS API, AssumeRoleWithWebIdentity.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal, TypeAlias

from ..evaluation.pods import web_identity_context
from ..evaluation.rules import Request
from ..language.document import document_statements
from ..language.resources import Caller
from .trust import judge, prepare_trust

WEB_IDENTITY = "sts:AssumeRoleWithWebIdentity"
DEFAULT_AUDIENCE = "sts.amazonaws.com"

_DOMAIN = r"amazonaws\.(?:com(?:\.cn)?|eu)|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu)|c2s\.ic\.gov|sc2s\.sgov\.gov"
_ISSUER = re.compile(rf"(?:https://)?oidc[.-]eks\.([a-z0-9-]+)\.(?:{_DOMAIN})/id/([A-Za-z0-9]+)")
_SUBJECT = re.compile(r"system:serviceaccount:([^:]+):([^:]+)")

# The namespace and the name of a service account.
ServiceAccountName: TypeAlias = tuple[str, str]
TrustDocument: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Issuer:
    """The OIDC issuer of the tokens of a cluster. ``identifier`` is the last part of its URL."""

    region: str
    identifier: str

    def __str__(self) -> str:
        return f"oidc.eks.{self.region} with the ID {self.identifier}"

    def matches_provider(self, provider_arn: str) -> bool:
        """Return whether an OIDC provider in IAM is for this issuer, under either of its host names."""
        return parse_issuer(provider_host(provider_arn)) == self


def parse_issuer(url: str) -> Issuer | None:
    """Parse an issuer URL, such as https://oidc.eks.us-west-2.amazonaws.com/id/EXAMPLE. Return None for any other URL."""
    match = _ISSUER.fullmatch(url)
    return Issuer(match[1], match[2]) if match else None


def provider_host(provider_arn: str) -> str:
    """Return the host and path in the ARN of an OIDC provider, with which its condition keys begin, or "" for any other ARN."""
    return provider_arn.partition(":oidc-provider/")[2]


def allows_web_identity(
    document: TrustDocument, issuer: Issuer, account: ServiceAccountName, audience: str = DEFAULT_AUDIENCE
) -> Literal["yes", "no", "conditional"]:
    """Return whether a trust policy allows a service account of a cluster to use the role with IRSA.

    :arg account: the namespace and name of the service account.
    :arg audience: the audience of the service account's tokens.
    :raises PolicyError: when ``document`` is not a trust policy.
    """
    rules = prepare_trust(document).rules
    subject = "system:serviceaccount:{}:{}".format(*account)
    providers = {arn for statement in document_statements(document) for arn in _providers(statement)}
    answers = {
        judge(
            rules,
            (Request(WEB_IDENTITY, None, Caller(provider_arn=arn)),),
            web_identity_context(provider_host(arn), subject, audience),
        ).usable
        for arn in filter(issuer.matches_provider, providers)
    }
    return "yes" if "yes" in answers else "conditional" if "conditional" in answers else "no"


def explain_web_identity(
    document: TrustDocument, issuer: Issuer, account: ServiceAccountName, audience: str = DEFAULT_AUDIENCE
) -> str:
    """Return why a trust policy does not allow a service account with IRSA, or only under conditions, as a clause.

    The clause names the values in the trust policy, but not the service account.
    """
    entries = federated_statements(document, issuer)
    if not entries:
        hosts = {provider_host(arn) for entry in document_statements(document) for arn in _providers(entry)}
        named = f"names {', '.join(sorted(hosts))}" if hosts else "does not name an OIDC provider"
        return f"the trust policy {named}, and the issuer of this cluster is {issuer}"
    claims = {"sub": "system:serviceaccount:{}:{}".format(*account), "aud": audience}
    wrong, further = [], []
    for _operator, key, values in (test for entry in entries for test in _conditions(entry.statement)):
        expected = claims.get(key.rpartition(":")[2])
        if expected is None:
            further.append(f"{key} ({', '.join(values)})")
        elif not any(fnmatchcase(expected, value) for value in values):
            wrong.append(f"{key.rpartition(':')[2]} {' or '.join(values)}")
    if wrong:
        return f"its statement is for {', '.join(dict.fromkeys(wrong))}"
    if further:
        return f"its statement also has conditions on {', '.join(dict.fromkeys(further))}"
    return "a Deny statement applies, or the statement has conditions that are not met"


@dataclass(frozen=True, slots=True)
class FederatedStatement:
    """An Allow statement for the OIDC provider of a cluster.

    ``index`` is its position in the trust policy. ``exclusive`` is true if all of its principals are providers of the cluster.
    ``accounts`` has the service accounts to which its conditions limit it, or is None if they do not limit it to named service
    accounts.
    """

    index: int
    statement: Mapping[str, object]
    exclusive: bool
    accounts: frozenset[ServiceAccountName] | None


def federated_statements(document: TrustDocument, issuer: Issuer) -> list[FederatedStatement]:
    """Return the Allow statements of a trust policy that name an OIDC provider of the cluster."""
    federated = []
    for index, statement in enumerate(document_statements(document)):
        providers = _providers(statement)
        if not isinstance(statement, Mapping) or statement.get("Effect") != "Allow":
            continue
        if any(map(issuer.matches_provider, providers)):
            hosts = {provider_host(arn).lower() for arn in providers}
            principal = statement.get("Principal")
            exclusive = (
                isinstance(principal, Mapping)
                and list(principal) == ["Federated"]
                and all(map(issuer.matches_provider, providers))
            )
            federated.append(
                FederatedStatement(index, statement, exclusive, _service_accounts(statement, hosts))
            )
    return federated


@dataclass(frozen=True, slots=True)
class Removed:
    """A statement that was removed from a trust policy, with its position before the removal."""

    index: int
    statement: Mapping[str, object]


def without_federation(
    document: TrustDocument, issuer: Issuer, accounts: Collection[ServiceAccountName]
) -> tuple[TrustDocument, list[Removed]]:
    """Remove each statement that allows only service accounts in ``accounts``.

    :returns: the trust policy, and the removed statements in the order of their removal, as ``with_federation`` needs them.
        If no statement would remain, the policy is returned unchanged, because IAM requires at least one statement.
    """
    removable = [
        entry
        for entry in federated_statements(document, issuer)
        if entry.exclusive and entry.accounts and entry.accounts <= set(accounts)
    ]
    statements = list(document_statements(document))
    removed = []
    for entry in reversed(removable):
        del statements[entry.index]
        removed.append(Removed(entry.index, entry.statement))
    if not removed or not statements:
        return document, []
    return {**document, "Statement": statements}, removed


def with_federation(document: TrustDocument, removed: Sequence[Removed]) -> TrustDocument:
    """Insert removed statements at their former positions, except statements that the policy already has.

    :arg removed: the statements, in the order of their removal.
    """
    statements = list(document_statements(document))
    present = list(statements)
    for entry in reversed(removed):
        if entry.statement in present:
            present.remove(entry.statement)
        else:
            statements.insert(min(entry.index, len(statements)), entry.statement)
    if len(statements) == len(document_statements(document)):
        return document
    return {**document, "Statement": statements}


def _providers(statement: object) -> list[str]:
    principal = statement.get("Principal") if isinstance(statement, Mapping) else None
    return _texts(principal.get("Federated")) if isinstance(principal, Mapping) else []


def _service_accounts(
    statement: Mapping[str, object], hosts: Collection[str]
) -> frozenset[ServiceAccountName] | None:
    """Return the service accounts to which the conditions on the subject limit a statement, or None if there is no limit."""
    limits = []
    for operator, key, values in _conditions(statement):
        exact = operator == "stringequals" or (
            operator in ("stringlike", "arnlike")
            and not any("*" in value or "?" in value for value in values)
        )
        if exact and key in {f"{host}:sub" for host in hosts}:
            names = [_SUBJECT.fullmatch(value) for value in values]
            if any("$" in value for value in values):
                continue
            # A subject that is not a service account gets an empty namespace, which no service account has.
            limits.append(
                frozenset(
                    (match[1], match[2]) if match else ("", value)
                    for match, value in zip(names, values, strict=True)
                )
            )
    return frozenset.intersection(*limits) if limits else None


def _conditions(statement: Mapping[str, object]) -> Iterator[tuple[str, str, list[str]]]:
    block = statement.get("Condition")
    for operator, tests in block.items() if isinstance(block, Mapping) else ():
        for key, values in tests.items() if isinstance(tests, Mapping) else ():
            yield str(operator).lower(), str(key).lower(), _texts(values)


def _texts(value: object) -> list[str]:
    values = value if isinstance(value, list) else [] if value is None else [value]
    return [str(item) for item in values]
