# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Record which resources a request may have changed, so that later reads can show an older state."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import NamedTuple

from sandbox.aws.model import Record

ROLE = "role"
POLICY = "policy"
CLUSTER = "cluster"
ADDON = "addon"
ASSOCIATION = "association"


class Key(NamedTuple):
    """The key of a resource. ``region`` is empty for resources of IAM. Only add-ons and associations have a ``cluster``."""

    kind: str
    account: str
    name: str
    region: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """The state of a resource after a request. ``record`` is a copy, or None if the resource was deleted."""

    key: Key
    record: Record | None

    @classmethod
    def copy(cls, key: Key, record: Record | None) -> Change:
        """Create a change with a deep copy of the record."""
        return cls(key, copy.deepcopy(record))


class AccessedKeys:
    """The keys of the resources that requests have accessed since the last :meth:`take`, while ``enabled`` is true.

    A handler looks up a resource before it changes the resource, so the keys of all changed resources are included.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._keys: dict[Key, None] = {}

    def add(self, key: Key) -> None:
        if self.enabled:
            self._keys[key] = None

    def take(self) -> list[Key]:
        """Return the keys, and start again with an empty list."""
        keys = list(self._keys)
        self._keys.clear()
        return keys
