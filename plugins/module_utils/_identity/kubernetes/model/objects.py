# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Objects as the Kubernetes API gives them: JSON, taken apart with types at the border. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeAlias

from ...._findings.key import WorkloadKey

Object: TypeAlias = Mapping[str, object]


class ObjectName(NamedTuple):
    """What identifies an object among those of its kind. ``namespace`` is "" for a Namespace or a Node."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return "/".join(part for part in self if part)


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """A v1 ServiceAccount. ``is_going`` says that it is deleted, but still has finalizers."""

    key: WorkloadKey
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)
    is_going: bool = False


def mapping_of(value: object) -> Object:
    """A member of an object, or an empty mapping when it is missing."""
    return value if isinstance(value, Mapping) else {}


def member(item: Object, *path: str) -> Object:
    """The mapping at the end of a path; empty when any part of it is missing."""
    for name in path:
        item = mapping_of(item.get(name))
    return item


def objects_of(value: object) -> Sequence[Object]:
    """The mappings of a list; empty when it is missing."""
    if isinstance(value, str) or not isinstance(value, Sequence):
        return ()
    return [entry for entry in value if isinstance(entry, Mapping)]


def text_of(value: object) -> str:
    """Text as it is; "" when it is missing."""
    return "" if value is None else str(value)


def number_of(value: object) -> int:
    return value if isinstance(value, int) else 0


def texts_of(value: object) -> dict[str, str]:
    """A mapping of text to text, like labels."""
    return {str(name): text_of(text) for name, text in mapping_of(value).items()}


def name_of(item: Object) -> ObjectName:
    metadata = member(item, "metadata")
    return ObjectName(text_of(metadata.get("namespace")), text_of(metadata.get("name")))


def parse_service_account(item: Object, cluster: str) -> ServiceAccount:
    metadata = member(item, "metadata")
    return ServiceAccount(
        WorkloadKey(cluster, *name_of(item)),
        texts_of(metadata.get("labels")),
        texts_of(metadata.get("annotations")),
        is_going(item),
    )


def is_going(item: Object) -> bool:
    """Whether an object is being deleted."""
    return bool(member(item, "metadata").get("deletionTimestamp"))


def account_row(account: ServiceAccount) -> Object:
    """What ``parse_service_account`` turns into the same."""
    metadata: dict[str, object] = {
        "namespace": account.key.namespace,
        "name": account.key.service_account,
        "labels": dict(account.labels),
        "annotations": dict(account.annotations),
    }
    if account.is_going:
        metadata["deletionTimestamp"] = "set"
    return {"metadata": metadata}
