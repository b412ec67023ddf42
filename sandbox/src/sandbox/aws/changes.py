# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Which records a request may have changed, without comparing all there are."""

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
    """Where a record is kept. ``region`` and ``cluster`` are empty for IAM's."""

    kind: str
    account: str
    name: str
    region: str = ""
    cluster: str = ""


@dataclass(frozen=True, slots=True)
class Change:
    """A record as a request left it; None where it is gone. Nobody writes to it any more."""

    key: Key
    record: Record | None

    @classmethod
    def of(cls, key: Key, record: Record | None) -> Change:
        return cls(key, copy.deepcopy(record))


class Touched:
    """The records that were looked up since the last :meth:`take`.

    A request changes nothing that it has not looked up, so its changes are among these.
    """

    def __init__(self) -> None:
        self.noting = False
        self._keys: dict[Key, None] = {}

    def note(self, key: Key) -> None:
        if self.noting:
            self._keys[key] = None

    def take(self) -> list[Key]:
        """The keys so far, which are forgotten."""
        taken = list(self._keys)
        self._keys.clear()
        return taken
