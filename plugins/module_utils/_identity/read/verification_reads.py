# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read the data that only a verification needs (see ``VerificationReads``), and use IAM's policy simulator.

Sources: eks DescribeAddon, ListPodIdentityAssociations; iam GetRole, GetPolicy, GetPolicyVersion, ListRolePolicies,
GetRolePolicy, SimulatePrincipalPolicy, SimulateCustomPolicy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

from ..._aws.client import Api
from ..._aws.transport import begin, map_concurrently
from ..._findings.finding import WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.language.context import Context
from ..._policy.language.document import load_document, to_json
from ..._policy.permissions.permissions import NamedPolicy, Required, key_state
from ..model.addons import AGENT_ADDON, ObservedAddon
from ..model.cluster import Cluster
from ..model.desired import Desired
from ..model.errors import AwsError, ErrorKind
from ..model.names import parse_role_arn
from ..model.observed import (
    Document,
    Observed,
    RolePermissions,
    VerificationReads,
    find_target_role,
)
from ..model.policies import ObservedPolicy
from ..model.roles import ObservedRole
from ..model.shared import SharedRole, shared_roles
from ..model.targets import Failure, Target, policy_target, read_failure, role_target
from .addons import read_addon
from .associations import list_associations
from .reader import Reader, attempt, read_detail
from .roles import read_document, read_inline_documents

_Item = TypeVar("_Item")
_Found = TypeVar("_Found")

# The decisions of IAM's policy simulator (EvalDecision), with the equivalent decisions of the evaluation in ``_policy``.
_DECISIONS = {
    "allowed": "allowed",
    "explicitDeny": "explicit_deny",
    "implicitDeny": "implicit_deny",
}


@dataclass(frozen=True, slots=True)
class SimulationResult:
    """A decision of IAM's policy simulator; ``missing`` are the condition keys without a value."""

    decision: str
    missing: tuple[str, ...]

    def differs(self, decision: str) -> bool:
        """Return whether a decision of the evaluation in ``_policy`` differs.

        The decisions "conditional" and "partly_allowed" never differ, because the simulator does not have them.
        """
        return decision not in ("conditional", "partly_allowed", self.decision)


def simulate_role(api: Api, role_arn: str, required: Required, context: Context) -> SimulationResult:
    """Simulate a request of a role with the policies and the permissions boundary that the role has in IAM."""
    parameters = {"PolicySourceArn": role_arn, **_simulation_parameters(required, context)}
    return _parse_result(api.call("iam", "SimulatePrincipalPolicy", parameters))


def simulate_documents(
    api: Api,
    identity: Sequence[NamedPolicy],
    boundary: NamedPolicy | None,
    required: Required,
    context: Context,
) -> SimulationResult:
    """Simulate a request with policy documents that need not exist in IAM."""
    parameters: dict[str, Any] = {
        "PolicyInputList": [to_json(policy.document) for policy in identity],
        **_simulation_parameters(required, context),
    }
    if boundary is not None:
        parameters["PermissionsBoundaryPolicyInputList"] = [to_json(boundary.document)]
    return _parse_result(api.call("iam", "SimulateCustomPolicy", parameters))


def _simulation_parameters(required: Required, context: Context) -> dict[str, Any]:
    values_by_key: dict[str, tuple[str, ...]] = {
        key: state for key, state in context.keys.items() if isinstance(state, tuple)
    }
    for key, value in required.context.items():
        values_by_key[key.lower()] = key_state(value)
    original_names = {key.lower(): key for key in required.context}
    return {
        "ActionNames": [required.action],
        "ResourceArns": [required.resource],
        "ContextEntries": [
            {
                "ContextKeyName": original_names.get(key, key),
                "ContextKeyValues": list(values),
                "ContextKeyType": "stringList" if len(values) > 1 else "string",
            }
            for key, values in sorted(values_by_key.items())
            if values
        ],
    }


def _parse_result(response: Mapping[str, Any]) -> SimulationResult:
    result = response["EvaluationResults"][0]
    return SimulationResult(
        _DECISIONS.get(result["EvalDecision"], str(result["EvalDecision"])),
        tuple(result.get("MissingContextValues", ())),
    )


# The add-on of the agent; None if it is not installed.
Agent: TypeAlias = ObservedAddon | Failure | None


def begin_reading_agent(api: Api, cluster: Cluster) -> Callable[[], Agent]:
    """Start to read the add-on of the EKS Pod Identity Agent. Return a function that waits for the result."""
    read = partial(read_addon, api, cluster, AGENT_ADDON)
    return begin(partial(attempt, Target("addon", AGENT_ADDON), read))


def read_for_verification(
    api: Api, desired: Desired, observed: Observed, width: int, agent: Callable[[], Agent]
) -> VerificationReads:
    """Read the data that only a verification needs.

    :arg agent: the result of ``begin_reading_agent``.
    """
    return _VerificationReader(api, observed.cluster, width, observed).read(desired, agent)


@dataclass(frozen=True, slots=True)
class _VerificationReader(Reader):
    observed: Observed

    def read(self, desired: Desired, agent: Callable[[], Agent]) -> VerificationReads:
        roles: dict[str, ObservedRole] = {}
        arns: set[str] = set()
        for shared in shared_roles(self.cluster, desired.workloads):
            role = self.observed.roles.get(shared.spec.name.lower())
            if role is not None:
                roles[shared.spec.name.lower()] = role
                arns |= self._needed_policies(shared, role)
        targets = {
            arn: arn for workload in desired.workloads if (arn := find_target_role(workload, self.observed))
        }
        # These reads do not depend on each other.
        documents_read = begin(partial(self._documents, arns))
        inline_read = begin(partial(self._concurrently, self._read_inline, roles))
        targets_read = begin(partial(self._concurrently, self._target, targets))
        versions_read = begin(partial(self._other_versions, desired))
        associated = self._unlisted_associated(desired)
        documents, inline = documents_read(), inline_read()
        permissions = {name: _permissions(role, documents, inline[name]) for name, role in roles.items()}
        return VerificationReads(
            agent=agent(),
            permissions={name: part for name, part in permissions.items() if part is not None},
            targets=targets_read(),
            other_versions=versions_read(),
            inline=inline,
            documents=documents,
            associated=associated,
        )

    def _needed_policies(self, shared: SharedRole, role: ObservedRole) -> set[str]:
        """Return the policies of a role whose documents a check needs: by default the attached policies that no workload lists.

        If a permissions boundary or a session policy limits the role, or if its permissions are checked, these are all policies.
        """
        associations = (self.observed.associations.get(key) for key in shared.keys)
        if (
            role.permissions_boundary
            or any(association.session_policy for association in associations if association is not None)
            or any(
                user.required_permissions or find_target_role(user, self.observed) for user in shared.users
            )
        ):
            return {*role.attached, role.permissions_boundary} - {""}
        return {arn for arn in role.attached if arn not in shared.policy_users}

    def _concurrently(self, read: Callable[[_Item], _Found], items: Mapping[str, _Item]) -> dict[str, _Found]:
        """Return the results of ``read`` by the keys of the items."""
        return dict(zip(items, map_concurrently(read, list(items.values()), self.width), strict=True))

    def _unlisted_associated(self, desired: Desired) -> tuple[WorkloadKey, ...]:
        """Return the unlisted workloads with associations, if a desired workload lacks its association.

        The finding about a missing association suggests similar names from the result.
        """
        desired_keys = {workload.key for workload in desired.workloads}
        unlisted, cluster = self.observed.unlisted, self.cluster
        keys: set[WorkloadKey] = set()
        if desired_keys <= self.observed.associations.keys():
            return ()
        if unlisted is not None and not unlisted.more:
            keys = {*unlisted.keys, *unlisted.addons}
        else:
            # A failure is ignored, because the result only adds suggestions to findings.
            with suppress(AwsError):
                keys = {
                    WorkloadKey(cluster.name, row["namespace"], row["serviceAccount"])
                    for row in list_associations(self.api, cluster.name)
                }
        return tuple(sorted(keys - desired_keys))

    def _other_versions(self, desired: Desired) -> dict[str, str]:
        """Return the IDs of non-default versions that have the desired document, by the ARN of the policy."""
        differing = {
            policy.arn: (policy, spec.document)
            for workload in desired.workloads
            for spec in workload.policies
            if (policy := self.observed.policies.get(self.cluster.policy_arn(spec))) is not None
            and policy.document is not None
            and spec.document is not None
            and not same_meaning(policy.document, spec.document, "identity")
        }
        versions = self._concurrently(self._matching, differing)
        return {arn: version for arn, version in versions.items() if version}

    def _matching(self, item: tuple[ObservedPolicy, Document]) -> str:
        policy, desired = item
        for version in (version for version in policy.versions if not version.is_default):
            read = partial(read_document, self.api, policy.arn, version.version_id)
            document = version.document or attempt(policy_target(policy.arn), read)
            # A failure is ignored, because the finding about a different document is complete without this detail.
            if isinstance(document, Failure):
                return ""
            if same_meaning(document, desired, "identity"):
                return version.version_id
        return ""

    def _documents(self, arns: Iterable[str]) -> dict[str, Document | Failure]:
        """Return the documents of these policies and of all policies that were already read, by ARN."""
        documents: dict[str, Document | Failure] = {
            **self.observed.documents,
            **{
                arn: policy.document
                for arn, policy in self.observed.policies.items()
                if policy is not None and policy.document is not None
            },
        }
        missing = {arn: arn for arn in sorted(set(arns) - set(documents))}
        return {**documents, **self._concurrently(self._document, missing)}

    def _document(self, arn: str) -> Document | Failure:
        policy = self.observed.policies.get(arn)
        version = policy.default_version if policy is not None else ""
        return attempt(policy_target(arn), partial(read_document, self.api, arn, version))

    def _read_inline(self, role: ObservedRole) -> Mapping[str, Document] | Failure:
        if role.inline_documents is not None:
            return role.inline_documents
        read = partial(read_inline_documents, self.api, role.name)
        return attempt(role_target(role.name), partial(read_detail, read))

    def _target(self, arn: str) -> Document | Failure | None:
        """Return the trust policy of a target role; None if it does not exist; a failure if it cannot be read."""
        parts = parse_role_arn(arn)
        if parts is None or parts.account_id != self.cluster.account_id:
            account = parts.account_id if parts else "?"
            error = AwsError(
                "iam:GetRole",
                "OtherAccount",
                f"the role belongs to account {account}, which these credentials do not reach.",
                ErrorKind.OTHER,
                "Check the trust policy with credentials of that account and workload_identity.aws.iam_trust_policy_check.",
            )
            return read_failure(Target("target role", arn), error)
        answer = attempt(
            Target("target role", arn), partial(self.api.call, "iam", "GetRole", {"RoleName": parts.name})
        )
        if isinstance(answer, Failure):
            return None if answer.error.missing else answer
        role = answer["Role"]
        return load_document(role["AssumeRolePolicyDocument"]) if role["Arn"] == arn else None


def _permissions(
    role: ObservedRole, documents: Mapping[str, Document | Failure], inline: Mapping[str, Document] | Failure
) -> RolePermissions | Failure | None:
    """Return the policies of a role, a failed read of one of them, or None if the document of one of them was not read."""
    found = [(arn, documents.get(arn)) for arn in (*role.attached, role.permissions_boundary) if arn]
    parts = (inline, *(document for _arn, document in found))
    failures = [part for part in parts if isinstance(part, Failure)]
    if isinstance(inline, Failure) or failures or None in parts:
        return next(iter(failures), None)
    policies = [NamedPolicy(arn, document) for arn, document in found]
    boundary = policies.pop() if role.permissions_boundary else None
    policies += [NamedPolicy(f"inline policy {name}", document) for name, document in inline.items()]
    return RolePermissions(tuple(policies), boundary)
