# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The records that a request may have changed."""

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
    """The identity of a record. ``region`` and ``cluster`` are empty for IAM records."""

    kind: str
    account: str
    name: str
    region: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """An immutable copy of a record after a request; None if it was deleted."""

    key: Key
    record: Record | None

    @classmethod
    def copy(cls, key: Key, record: Record | None) -> Change:
        """Copy the record."""
        return cls(key, copy.deepcopy(record))


class AccessedKeys:
    """The keys of the records that were read since the last :meth:`take`.

    A request reads a record before it changes it, so this includes all changed records.
    """

    def __init__(self) -> None:
        self.enabled = False
        self._keys: dict[Key, None] = {}

    def add(self, key: Key) -> None:
        if self.enabled:
            self._keys[key] = None

    def take(self) -> list[Key]:
        """Return the keys and clear them."""
        keys = list(self._keys)
        self._keys.clear()
        return keys
