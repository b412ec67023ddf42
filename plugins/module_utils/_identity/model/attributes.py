# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The attributes of resources that a run updates: name, API parameter, decoding, comparison and encoding. Pure.

``roles.py``, ``policies.py`` and ``associations.py`` have one ``Attribute`` for each of them. The plan, its prediction, the
wait for visible changes, the verification and the diffs use these objects.

Name, path and ARN are not attributes, because they identify a resource and never change. The requests of an update are in
the plan of each resource: IAM sets the details of a role together, removes a boundary by a different operation, and keeps the
document of a policy in versions. Tags are merged with the present tags (``compare_tags``), so they are not passed to ``compare``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..._policy.language.canonical import same_meaning
from ..._policy.language.document import load_document, to_json


def decode_document(value: Any) -> Mapping[str, object] | None:
    return load_document(value) if value else None


def iam_tags(tags: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in sorted(tags.items())]


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute of a resource that a run updates.

    ``name`` is its name in a definition and in the states before and after a change. ``parameter`` is its name in the API.
    ``field`` is its name in the observed resource; "" means the same as ``name``. ``decode`` converts the value in an API
    response. ``encode`` converts the value for a request. ``document`` is the kind of a policy document, as for
    ``parse_policy``, or "" for any other attribute. ``limits_sessions`` is true if the attribute limits the sessions of a role.
    ``removal`` is the value, as YAML text, with which the user removes the attribute, or "".
    """

    name: str
    parameter: str
    decode: Callable[[Any], Any] = lambda value: value or ""
    encode: Callable[[Any], object] = lambda value: value
    field: str = ""
    document: str = ""
    limits_sessions: bool = False
    removal: str = ""

    def observed_value(self, resource: object) -> Any:
        """Return the value of this attribute in an observed resource."""
        return getattr(resource, self.field or self.name)

    def equals(self, value: Any, other: Any) -> bool:
        """Return whether two values are equal. Policy documents are equal if they have the same meaning."""
        if not self.document:
            return bool(value == other)
        if not value or not other:
            return not value and not other
        return same_meaning(value, other, self.document)


IAM_DESCRIPTION = Attribute("description", "Description")
IAM_TAGS = Attribute(
    "tags", "Tags", lambda value: {tag["Key"]: tag["Value"] for tag in value or ()}, iam_tags
)


def decode_attributes(attributes: Iterable[Attribute], response: Mapping[str, Any]) -> dict[str, Any]:
    """Decode the attributes in an API response. Return them by the name of the field in the observed resource."""
    return {
        attribute.field or attribute.name: attribute.decode(response.get(attribute.parameter))
        for attribute in attributes
    }


def changed_from_default(attributes: Iterable[Attribute], resource: object) -> dict[str, object]:
    """Return the attributes of a resource, by name, whose value is not the default of AWS."""
    values = {attribute: attribute.observed_value(resource) for attribute in attributes}
    return {attribute.name: value for attribute, value in values.items() if value != attribute.decode(None)}


def predicted_fields(attributes: Iterable[Attribute], state: Mapping[str, object]) -> dict[str, Any]:
    """Return the fields of an observed resource that a change sets. ``state`` is the state after the change."""
    return {
        attribute.field or attribute.name: state[attribute.name]
        for attribute in attributes
        if attribute.name in state
    }


def compare(
    attributes: Iterable[Attribute], spec: object, resource: object
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the attributes in which an observed resource and a definition differ, by name: the present and desired values.

    None in the definition accepts any value; an empty document removes the present document.
    """
    values = [
        (attribute, attribute.observed_value(resource), getattr(spec, attribute.name))
        for attribute in attributes
    ]
    differing = [
        (attribute.name, present, desired or None if attribute.document else desired)
        for attribute, present, desired in values
        if desired is not None and not attribute.equals(desired, present)
    ]
    return {name: old for name, old, _new in differing}, {name: new for name, _old, new in differing}


def update_parameters(attributes: Iterable[Attribute], state: Mapping[str, Any]) -> dict[str, object]:
    """Return the request parameters that set the values in ``state``, the state after a change."""
    return {
        attribute.parameter: attribute.encode(state[attribute.name])
        for attribute in attributes
        if attribute.name in state
    }


def creation(
    attributes: Iterable[Attribute], values: Mapping[str, Any]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the request parameters that create a resource, and its new state. Omit attributes without a value."""
    state = {name: value for name, value in values.items() if value not in (None, "", {})}
    return update_parameters(attributes, state), state


def describe_value(value: object) -> str:
    """Convert the value of an attribute to text for a message."""
    if value is None or value == "" or value == {}:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return to_json(value) if isinstance(value, Mapping) else str(value)


def decode_time(raw: object) -> str:
    return raw.isoformat() if isinstance(raw, datetime) else str(raw or "")
