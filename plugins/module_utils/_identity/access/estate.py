# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find the credentials of each service account, in the order in which AWS SDKs prefer them, and whether it can use their roles.

A Pod template can set access keys, a web identity token or an endpoint for credentials itself. Otherwise the webhook of EKS
configures either EKS Pod Identity or IRSA in a new Pod, and an association takes precedence. Sources: AWS SDKs and Tools
Reference Guide, "Standardized credential providers"; amazon-eks-pod-identity-webhook.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import takewhile
from typing import Final, Literal

from ..._findings.finding import WorkloadKey
from ..._policy.evaluation.evaluate import ALLOWED, CONDITIONAL
from ..._policy.evaluation.pods import Subject, pod_context
from ..._policy.language.context import PRESENT, Context
from ..._policy.language.document import PolicyError
from ..._policy.trust.check import check_chain, check_chain_permissions
from ..._policy.trust.federation import (
    DEFAULT_AUDIENCE,
    FederatedStatement,
    Issuer,
    allows_web_identity,
    federated_statements,
    parse_issuer,
)
from ..._policy.trust.principals import Guest, find_guests
from ..._policy.trust.trust import (
    TrustPolicy,
    check_trust,
    is_usable,
    prepare_trust,
)
from ..model.access import ClusterFacts, RoleFacts
from ..model.associations import ObservedAssociation
from ..model.cluster import Cluster
from ..model.errors import listed
from ..model.migration import PodCredentials
from .effective import AccessTables

# "keys", "web_identity" and "container" are credentials that a Pod template sets: access keys, a web identity token, an endpoint.
CredentialKind = Literal["keys", "web_identity", "container", "pod_identity", "irsa"]
# The order in which SDKs prefer the credentials.
_ORDER: Final[Sequence[CredentialKind]] = ("keys", "web_identity", "irsa", "container", "pod_identity")
Usability = Literal["yes", "no", "depends", "unknown"]
_USABILITY: Final[Mapping[str, Usability]] = {"yes": "yes", "no": "no", "conditional": "depends"}
# The maximum number of service accounts in a sentence.
SHOWN_MEMBERS: Final = 3
# The results of a check, the worst first. If several policies must allow the use of a role, the worst of their results counts.
WORST: Final[Sequence[Usability]] = ("no", "unknown", "depends", "yes")
# The reasons for the results about the trust policy of a role for IRSA.
_TOKEN_REASONS: Final[Mapping[Usability, str]] = {
    "yes": "The trust policy allows the token of this service account.",
    "no": "The trust policy does not allow the token of this service account.",
    "depends": "Whether the token is accepted depends on conditions of the trust policy.",
}
_ACCESS_KEYS = frozenset(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
_WEB_IDENTITY = "AWS_WEB_IDENTITY_TOKEN_FILE"


@dataclass(frozen=True, slots=True)
class Credential:
    """One source of credentials of a service account.

    ``role_arn`` is the role that the credentials are for, and ``target_arn`` the target role of the association; each is "" if
    there is none or it is unknown. ``usable`` is "yes" if the policies of these roles allow the service account to use them, and
    None if that was not checked; ``reason`` explains it. ``owner`` is the owner of the Pod template that sets the environment
    variables ``variables``, or "".
    """

    kind: CredentialKind
    role_arn: str = ""
    target_arn: str = ""
    association: ObservedAssociation | None = None
    usable: Usability | None = None
    reason: str = ""
    owner: str = ""
    variables: tuple[str, ...] = ()

    @property
    def effective_arn(self) -> str:
        """Return the ARN of the role whose permissions the Pods have: the target role, if there is one."""
        return self.target_arn or self.role_arn


@dataclass(frozen=True, slots=True, eq=False)
class AccessMember:
    """A service account of the report. ``credentials`` are in the order in which SDKs prefer them.

    ``exists`` is false if the service account does not exist in Kubernetes. ``pods`` is None if its Pods are unknown.
    ``role_credential`` is the first of the credentials with a role, or None. ``source`` is the kind of the first credentials, or
    "node" without credentials.
    """

    key: WorkloadKey
    cluster: Cluster
    exists: bool
    credentials: tuple[Credential, ...]
    pods: PodCredentials | None = None

    @property
    def role_credential(self) -> Credential | None:
        return next((entry for entry in self.credentials if entry.role_arn), None)

    @property
    def source(self) -> CredentialKind | Literal["node"]:
        return self.credentials[0].kind if self.credentials else "node"

    def context(self, role: RoleFacts) -> Context:
        """Return the condition keys of the requests that the Pods send with a role, the one of ``role_credential``."""
        credential = self.role_credential
        association = credential.association if credential is not None else None
        tags = association is not None and not association.disable_session_tags
        context = pod_context(make_subject(self.cluster, self.key, role.arn, tags), role.tags)
        # AWS STS creates the session of IRSA from a token of the OIDC provider.
        return context if association is not None else context.assume({"aws:federatedprovider": PRESENT})


def make_subject(cluster: Cluster, key: WorkloadKey, role_arn: str, session_tags: bool) -> Subject:
    """Return a service account as the caller of requests with a role, for the evaluation of policies.

    :arg session_tags: whether the session has the session tags of EKS Pod Identity.
    """
    return Subject(
        cluster_arn=cluster.arn,
        namespace=key.namespace,
        service_account=key.service_account,
        account_id=arn_account(role_arn),
        partition=cluster.partition,
        role_arn=role_arn,
        session_tags=session_tags,
    )


def association_subject(cluster: Cluster, association: ObservedAssociation) -> Subject:
    """Return the service account for which EKS assumes the role of an association, in the account of the cluster."""
    tags = not association.disable_session_tags
    return replace(
        make_subject(cluster, association.key, association.role_arn, tags), account_id=cluster.account_id
    )


@dataclass
class AccessEstate:
    """All clusters of a report, with their service accounts and roles.

    :arg parts: the data of each cluster. Their names must be unique.
    :arg tables: the compiled policies of the report.
    :arg only: patterns of the service accounts of the report; empty for all.
    """

    parts: Sequence[ClusterFacts]
    tables: AccessTables
    only: Collection[str] = ()
    _trusts: dict[int, TrustPolicy | None] = field(default_factory=dict)

    @cached_property
    def roles(self) -> Mapping[str, RoleFacts]:
        """Return the roles of all clusters by lower-case ARN. If several clusters have a role, prefer one that was read."""
        found = [(name, role) for part in self.parts for name, role in part.roles.items()]
        return {**dict(found), **{name: role for name, role in found if role.state == "read"}}

    @cached_property
    def users_by_role(self) -> Mapping[str, list[tuple[str, str]]]:
        """Return the cluster and namespace of each service account with a role, by the lower-case ARN of the role.

        The service accounts of all namespaces count. A service account with several roles has an entry for each role.
        """
        found: dict[str, list[tuple[str, str]]] = {}
        for part in self.parts:
            for key in part.service_accounts():
                for arn in {arn.lower() for arn in part.own_arns(key)}:
                    found.setdefault(arn, []).append((part.name, key.namespace))
        return found

    @cached_property
    def members(self) -> list[AccessMember]:
        """Return the service accounts with credentials, or with Pods without EKS Pod Identity, in the order of ``parts``."""
        return [member for part in self.parts for member in self._members(part)]

    def role(self, arn: str) -> RoleFacts:
        """Return a role. Its state is "unread" if it was not read with any cluster of the report."""
        return self.roles.get(arn.lower()) or RoleFacts(arn, "unread")

    @cached_property
    def complete_accounts(self) -> set[str]:
        """Return the accounts of which all roles were read, and whose trust policies can be evaluated."""
        unread = [
            role for role in self.roles.values() if role.state != "missing" and self.trust(role) is None
        ]
        return {part.cluster.account_id for part in self.parts if part.cluster and part.complete} - {
            arn_account(role.arn) for role in unread
        }

    def role_label(self, arn: str) -> str:
        """Return the name of a role, with its account if roles of several accounts have this name."""
        name = role_name(arn)
        return (
            name
            if len(self._accounts_by_role.get(name.lower(), ())) < 2
            else f"{name} (account {arn_account(arn)})"
        )

    @cached_property
    def _accounts_by_role(self) -> Mapping[str, set[str]]:
        """Return the accounts of the roles of each name, which is in lower case."""
        used = {
            arn
            for member in self.members
            for entry in member.credentials
            for arn in (entry.role_arn, entry.target_arn)
        }
        found: dict[str, set[str]] = {}
        for arn in (*used, *(role.arn for role in self.roles.values())):
            found.setdefault(role_name(arn).lower(), set()).add(arn_account(arn))
        return found

    def trust(self, role: RoleFacts) -> TrustPolicy | None:
        """Return the compiled trust policy of a role, or None if it is unknown or malformed."""
        key = id(role.trust)
        if key not in self._trusts:
            self._trusts[key] = None
            with suppress(PolicyError):
                self._trusts[key] = prepare_trust(role.trust)
        return self._trusts[key]

    def guests(self, role: RoleFacts) -> list[Guest]:
        """Return the principals, except EKS Pod Identity, that the trust policy of a role allows."""
        trust = self.trust(role)
        return find_guests(trust.rules, arn_account(role.arn)) if trust is not None else []

    @cached_property
    def _federated(self) -> Mapping[Issuer, list[tuple[RoleFacts, FederatedStatement]]]:
        """Return the statements for IRSA of all roles, by the issuer of a cluster."""
        clusters = [part.cluster for part in self.parts if part.cluster is not None]
        issuers = {issuer for cluster in clusters if (issuer := parse_issuer(cluster.issuer)) is not None}
        return {
            issuer: [
                (role, entry)
                for role in self.roles.values()
                if (trust := self.trust(role)) is not None
                for entry in federated_statements(trust.document, issuer)
            ]
            for issuer in issuers
        }

    def token_roles(self, member: AccessMember) -> dict[str, bool]:
        """Return the ARNs of other roles that a service account with IRSA can use, and whether this is certain.

        Its Pods have a token for AWS STS, which the trust policies of these roles allow or may allow.
        """
        issuer = parse_issuer(member.cluster.issuer)
        if issuer is None or not any(entry.kind in ("irsa", "web_identity") for entry in member.credentials):
            return {}
        name = member.key.namespace, member.key.service_account
        present = {entry.role_arn.lower() for entry in member.credentials}
        answers = {
            role.arn: allows_web_identity(role.trust or {}, issuer, name)
            for role, entry in self._federated.get(issuer, ())
            if role.arn.lower() not in present and (entry.accounts is None or name in entry.accounts)
        }
        return {arn: word == "yes" for arn, word in answers.items() if word != "no"}

    def _members(self, part: ClusterFacts) -> Iterator[AccessMember]:
        if part.cluster is None:
            return
        issuer = parse_issuer(part.cluster.issuer)
        for key in part.service_accounts(self.only):
            credentials = tuple(self._credentials(part, part.cluster, issuer, key))
            pods = part.pods.get(key)
            if credentials or (pods is not None and pods.remaining):
                yield AccessMember(key, part.cluster, key in part.accounts, credentials, pods)

    def _credentials(
        self, part: ClusterFacts, cluster: Cluster, issuer: Issuer | None, key: WorkloadKey
    ) -> list[Credential]:
        """Return the credentials of a service account in the order in which SDKs prefer them."""
        pods, account = part.pods.get(key), part.accounts.get(key)
        audience = (account.audience if account is not None else "") or DEFAULT_AUDIENCE
        found = (
            list(_own_credentials(pods.templates, part.own_roles.get(key, {}))) if pods is not None else []
        )
        found += [Credential("irsa", annotated)] if (annotated := part.irsa_role(key)) else []
        checked = [
            self._irsa(entry, issuer, key, audience)
            if entry.kind in ("web_identity", "irsa") and entry.role_arn
            else entry
            for entry in found
        ]
        if (association := part.associations.get(key)) is not None:
            checked.append(self._pod_identity(cluster, association))
        # With an association, the webhook of EKS does not configure IRSA.
        return sorted(
            checked,
            key=lambda entry: (association is not None and entry.kind == "irsa", _ORDER.index(entry.kind)),
        )

    def _pod_identity(self, cluster: Cluster, association: ObservedAssociation) -> Credential:
        role, target_arn = self.role(association.role_arn), association.target_role_arn
        found = Credential("pod_identity", association.role_arn, target_arn, association=association)
        subject = association_subject(cluster, association)
        checks = [self._check_role(role, subject)]
        if target_arn and checks[0][0] != "no":
            checks += self._check_target(role, self.role(target_arn), subject, association.external_id)
        usable = min((word for word, _reason in checks), key=WORST.index)
        reasons = dict.fromkeys(reason for _word, reason in checks if reason)
        return replace(found, usable=usable, reason=" ".join(reasons if usable != "yes" else [*reasons][:1]))

    def _check_role(self, role: RoleFacts, subject: Subject) -> tuple[Usability, str]:
        """Return whether EKS Pod Identity can use a role for a service account, with the reason."""
        trust = self.trust(role)
        if trust is None:
            return _unevaluated_role(role)
        if is_usable(trust, subject):
            return "yes", "The trust policy allows EKS Pod Identity for this service account."
        verdict = check_trust(trust, subject)
        return _USABILITY[verdict.usable], " ".join(finding.message for finding in verdict.findings[:2])

    def _check_target(
        self, role: RoleFacts, target: RoleFacts, subject: Subject, external_id: str
    ) -> Iterator[tuple[Usability, str]]:
        """Yield whether the session of a role can assume a target role: by the policies of the role, and by the trust policy."""
        trust = self.trust(target)
        if role.state == "read":
            profile = self.tables.profile(role, pod_context(subject))
            verdicts = check_chain_permissions(
                profile.layers, subject, target.arn, trust, external_id=external_id
            )
            decisions = {verdict.decision for verdict in verdicts}
            if not decisions <= {ALLOWED, CONDITIONAL}:
                readable = "readable " if profile.unread else ""
                yield (
                    "depends" if profile.unread else "no",
                    f"The {readable}policies of role {role_name(role.arn)} do not allow it to assume the target role.",
                )
            elif CONDITIONAL in decisions:
                yield (
                    "depends",
                    "Whether the role may assume the target role depends on conditions or unread policies.",
                )
        if trust is None:
            yield _unevaluated_role(target)
            return
        verdict = check_chain(trust, subject, target_role_arn=target.arn, external_id=external_id or None)
        reason = verdict.findings[0].message if verdict.usable != "yes" else ""
        yield _USABILITY[verdict.usable], f"The trust policy of the target role: {reason}" if reason else ""

    def _irsa(
        self, credential: Credential, issuer: Issuer | None, key: WorkloadKey, audience: str
    ) -> Credential:
        role = self.role(credential.role_arn)
        usable, reason = _unevaluated_role(role)
        trust = self.trust(role)
        if issuer is not None and trust is not None:
            name = key.namespace, key.service_account
            usable = _USABILITY[allows_web_identity(trust.document, issuer, name, audience)]
            reason = _TOKEN_REASONS.get(usable, "")
        return replace(credential, usable=usable, reason=reason)


def _unevaluated_role(role: RoleFacts) -> tuple[Usability, str]:
    """Return the result for a role whose trust policy cannot be evaluated."""
    if role.state == "missing":
        return "no", f"The role {role.arn} does not exist."
    if role.state == "unread":
        return (
            "unknown",
            f"The role {role.arn} could not be read, or belongs to an account that this report does not include.",
        )
    return (
        "unknown",
        f"The trust policy of role {role.arn} cannot be evaluated, or the OIDC issuer of the cluster is not known.",
    )


def describe_winner(member: AccessMember) -> str:
    """Describe the credentials that new Pods of a service account use, in one or more sentences."""
    if not member.credentials:
        return "A new Pod gets no credentials for AWS, and may use the role of its node."
    own = [
        f"{entry.owner} ({', '.join(entry.variables)})"
        for entry in takewhile(lambda entry: entry.owner, member.credentials)
    ]
    texts = [f"Pod templates set credentials, which SDKs prefer: {listed(own)}."] if own else []
    injected = next((entry for entry in member.credentials if not entry.owner), None)
    if injected is not None:
        target = f", which assumes {role_name(injected.target_arn)}" if injected.target_arn else ""
        title = "EKS Pod Identity" if injected.kind == "pod_identity" else "IRSA"
        subject = "Other Pods use" if own else "A new Pod uses"
        texts.append(f"{subject} {title} with role {role_name(injected.role_arn)}{target}.")
    return " ".join(texts)


def role_name(arn: str) -> str:
    return arn.rpartition("/")[2]


def arn_account(arn: str) -> str:
    return (arn.split(":") + [""] * 5)[4]


def _own_credentials(
    templates: Mapping[str, Sequence[str]], roles: Mapping[str, str]
) -> Iterator[Credential]:
    """Yield the credentials that Pod templates set themselves, ordered by the owner of the template.

    :arg templates: the environment variables that each template sets, by owner.
    :arg roles: the ARN of the role that each template sets, by owner.
    """
    for owner, names in sorted(templates.items()):
        found = set(names)
        if found >= _ACCESS_KEYS:
            yield Credential("keys", owner=owner, variables=tuple(sorted(_ACCESS_KEYS)))
        elif _WEB_IDENTITY in found:
            yield Credential(
                "web_identity",
                roles.get(owner, ""),
                owner=owner,
                variables=tuple(sorted(found & {_WEB_IDENTITY, "AWS_ROLE_ARN"})),
            )
        elif found:
            yield Credential("container", owner=owner, variables=tuple(sorted(found)))
