# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Export the associations of a cluster, managed or not, as a list of workloads, and plan the changes for this list."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from ..._aws.client import Api
from ..._aws.interrupt import pause
from ..._aws.transport import map_concurrently
from ..._findings.finding import WorkloadKey
from ..._policy.language.canonical import same_meaning
from ..._policy.trust.statements import trust_policy
from ..inputs.options import parse_cluster_name
from ..inputs.run_input import read_input, refuse_files
from ..model.associations import ASSOCIATION_SETTINGS, AssociationSpec, ObservedAssociation
from ..model.attributes import changed_from_default
from ..model.cluster import Cluster
from ..model.desired import Desired, Options, Workload
from ..model.errors import InputError, listed
from ..model.names import default_owner, is_aws_managed, is_mark, parse_policy_arn, parse_role_arn
from ..model.policies import POLICY_SETTINGS, ObservedPolicy, PolicySpec
from ..model.roles import ROLE_SETTINGS, TRUST_SCOPES, ObservedRole, RoleSpec
from ..plan.trust import desired_grants, foreign_statements
from ..read.associations import read_all_associations
from ..read.roles import read_document, read_policy, read_role
from .cluster import AwsJob, ModuleResult, open_cluster
from .consistency import WaitPolicy
from .engine import Engine
from .guard import Guard, interrupted_result
from .result import build_result

_Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Estate:
    """The associations of a cluster, with their roles and policies.

    ``roles`` are by role name in lower case, with the names of their inline policies, which a list of workloads cannot contain. A
    role that does not exist is None. ``policies``, by ARN, has each customer managed policy with the document of its default
    version.
    """

    cluster: Cluster
    associations: Mapping[WorkloadKey, ObservedAssociation]
    roles: Mapping[str, ObservedRole | None] = field(default_factory=dict)
    policies: Mapping[str, tuple[ObservedPolicy, Mapping[str, object]]] = field(default_factory=dict)


def read_estate(
    api: Api,
    cluster: Cluster,
    associations: Mapping[WorkloadKey, ObservedAssociation],
    width: int,
) -> Estate:
    """Read the roles of associations, and the customer managed policies of these roles. Raises AwsError.

    Sources: iam GetRole, ListAttachedRolePolicies, ListRolePolicies, GetPolicy, GetPolicyVersion.
    """
    arns = {association.role_arn for association in associations.values()}
    specs = {parts.name.lower(): RoleSpec(parts.name, arn) for arn in arns if (parts := parse_role_arn(arn))}
    results = map_concurrently(partial(_read_exported_role, api, cluster), specs.values(), width)
    roles = dict(zip(specs, results, strict=True))
    attached = sorted(
        {arn for role in roles.values() if role for arn in role.attached if not is_aws_managed(arn)}
    )
    policy_reads = map_concurrently(partial(_read_policy, api, cluster), attached, width)
    policies = {arn: policy for arn, policy in zip(attached, policy_reads, strict=True) if policy is not None}
    return Estate(cluster, associations, roles, policies)


def _read_exported_role(api: Api, cluster: Cluster, spec: RoleSpec) -> ObservedRole | None:
    role = read_role(api, cluster, spec, False)
    names = api.pages("iam", "ListRolePolicies", {"RoleName": spec.name}, "PolicyNames") if role else ()
    return replace(role, inline=tuple(names)) if role else None


def _read_policy(api: Api, cluster: Cluster, arn: str) -> tuple[ObservedPolicy, Mapping[str, object]] | None:
    policy = read_policy(api, cluster, PolicySpec(arn=arn))
    return (policy, read_document(api, arn, policy.default_version)) if policy is not None else None


def export_workloads(estate: Estate) -> list[_Row]:
    """Return an entry of ``workloads`` for each association, except those that an add-on owns.

    A role that several service accounts use has the same definition in each entry. Default values of AWS and the
    tags that this collection sets are left out.
    """
    exported = {
        key: association for key, association in estate.associations.items() if not association.owner_arn
    }
    users: dict[str, list[Workload]] = {}
    for key, association in sorted(exported.items()):
        spec = AssociationSpec(disable_session_tags=association.disable_session_tags)
        user = Workload(key, RoleSpec(_role_name(association)), association=spec)
        users.setdefault(_role_name(association).lower(), []).append(user)
    definitions = {
        name: _role_row(role, estate.cluster, users[name])
        for name in users
        if (role := estate.roles.get(name)) is not None
    }
    return [
        _workload_row(association, definitions.get(_role_name(association).lower()), estate)
        for _key, association in sorted(exported.items())
    ]


def _role_name(association: ObservedAssociation) -> str:
    return association.role_arn.rpartition("/")[2]


def _workload_row(association: ObservedAssociation, role_row: _Row | None, estate: Estate) -> _Row:
    role = estate.roles.get(_role_name(association).lower())
    row: _Row = {
        "namespace": association.key.namespace,
        "service_account": association.key.service_account,
        # An association can name a role that does not exist.
        "role": role_row if role_row is not None else {"arn": association.role_arn},
    }
    if role is not None and role.attached:
        row["policies"] = [_policy_row(arn, estate) for arn in sorted(role.attached)]
    return row | changed_from_default(ASSOCIATION_SETTINGS, association) | _user_tags(association.tags)


def _role_row(role: ObservedRole, cluster: Cluster, users: Sequence[Workload]) -> _Row:
    row: _Row = {"name": role.name} | _path(role.path) | changed_from_default(ROLE_SETTINGS, role)
    return row | _user_tags(role.tags) | _trust_row(role, cluster, users)


def _trust_row(role: ObservedRole, cluster: Cluster, users: Sequence[Workload]) -> _Row:
    """Return the entry for the trust policy of a role: the trust scope with the same meaning as the present policy, otherwise
    the whole policy.

    The default scope needs no entry. A policy with a foreign statement is exported whole: a trust scope does not include such
    statements, so a new role that is created from the list would lack them, and a run that adopts the role would add its own.
    """
    spec = RoleSpec(role.name)
    scopes = () if foreign_statements(role.trust) else (None, *TRUST_SCOPES)
    for scope in scopes:
        trust = trust_policy(desired_grants(cluster, spec, Options(trust_scope=scope), users))
        if same_meaning(trust, role.trust, "trust"):
            return {} if scope is None else {"trust_scope": scope}
    return {"trust_policy": dict(role.trust)}


def _policy_row(arn: str, estate: Estate) -> _Row:
    found = estate.policies.get(arn)
    parts = parse_policy_arn(arn)
    if found is None or parts is None:
        return {"arn": arn}
    policy, document = found
    row: _Row = {"name": policy.name, "document": dict(document)} | _path(parts.path)
    return row | changed_from_default(POLICY_SETTINGS, policy) | _user_tags(policy.tags or {})


def _path(path: str) -> _Row:
    return {} if path == "/" else {"path": path}


def _user_tags(tags: Mapping[str, str]) -> _Row:
    """Return the tags, except those that only AWS can set and those that this collection sets."""
    user_tags = {
        key: value for key, value in sorted(tags.items()) if not is_mark(key) and not key.startswith("aws:")
    }
    return {"tags": user_tags} if user_tags else {}


def export_cluster(job: AwsJob, namespaces: Iterable[str] = ()) -> ModuleResult:
    """Export a cluster, plan the exported list, and return the result of the module eks_pod_identity_workloads_info.

    :arg namespaces: the namespaces to export; all namespaces if empty.
    :raises InputError: for invalid options, for a namespace without associations, or for an association that a list of
        workloads cannot contain.
    :raises AwsError: if a resource cannot be read.
    """
    name, chosen = parse_cluster_name(job.params["cluster_name"]), frozenset(namespaces)
    with Guard(job.params["deadline"] or None) as guard:
        observer = open_cluster(job, name)
        cluster = observer.cluster
        present = read_all_associations(observer)
        # A misspelt namespace would give an empty list.
        inhabited = sorted({key.namespace for key in present})
        if unknown := sorted(chosen - set(inhabited)):
            raise InputError(
                [
                    f"namespaces: cluster {cluster.name} (account {cluster.account_id}, region {cluster.region}) has no "
                    f"association in {listed(unknown)}. It has associations in {listed(inhabited, 20) or 'no namespace'}."
                ]
            )
        associations = {
            key: association for key, association in present.items() if not chosen or key.namespace in chosen
        }
        estate = read_estate(observer.api, cluster, associations, observer.width)
        rows = export_workloads(estate)
        parsed = read_input({"cluster_name": name, "workloads": rows}, refuse_files)
        desired = Desired(parsed.workloads, Options(owner=default_owner(cluster.region, name)))
        observed = observer.observe(desired, present=associations)
        engine = Engine(observer.api, cluster, observer.width, WaitPolicy(0, time.monotonic, pause))
        run = engine.run(desired, "present", check_mode=True, first_look=observed)
        planned = build_result(run)
    if guard.cause is not None:
        return {"failed": True, **interrupted_result(guard.cause, job.prefix)}
    of_addons = [association for association in associations.values() if association.owner_arn]
    return {
        "changed": False,
        "workloads": rows,
        "left_out": [
            {"workload": str(association.key), "owner_arn": association.owner_arn}
            for association in of_addons
        ],
        "inline_policies": [
            {"role": name, "policies": list(role.inline)}
            for name, role in sorted(estate.roles.items())
            if role is not None and role.inline
        ],
        "changes": planned["changes"],
        "failures": planned["failures"],
        "findings": planned["findings"],
        "summary": {
            "workloads": len(rows),
            "left_out": len(of_addons),
            "changes": len(planned["changes"]),
            "failures": len(planned["failures"]),
        },
        "account_id": cluster.account_id,
        "caller_arn": cluster.caller_arn,
        "cluster_arn": cluster.arn,
    }
