# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The cluster as the Kubernetes half uses it: lists of objects, and objects to apply or remove. Pure.

Who implements it decides how the API is reached: kubernetes.core's client or modules, or a test's server.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol, TypeAlias

from ...model.api_server import ApiServer
from ..model.objects import Object
from .api_errors import ApiError


@dataclass(frozen=True, slots=True)
class Query:
    """One list of objects. ``namespace`` is "" for those of all namespaces."""

    api_version: str
    kind: str
    namespace: str = ""
    label_selectors: tuple[str, ...] = ()
    field_selectors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Listing:
    """The answer to a query: the objects, or why there are none."""

    items: Sequence[Object] = ()
    error: ApiError | None = None


# By the names of RESOURCES; what was not asked for is not in it.
Reads: TypeAlias = Mapping[str, Listing]


@dataclass(frozen=True, slots=True)
class Trial:
    """What came back of a Pod that was created with a dry run, or why nothing did."""

    pod: Object = field(default_factory=dict)
    error: ApiError | None = None


@dataclass(frozen=True, slots=True)
class Written:
    """What became of manifests that were to be applied or removed.

    ``refused`` holds the error of each that the API refused, by its place among them. ``error`` is given
    when the work ended before its result; how far it got is then not known. ``diffs`` are for ``--diff``.
    """

    changed: bool = False
    refused: Mapping[int, ApiError] = field(default_factory=dict)
    error: ApiError | None = None
    diffs: Sequence[Object] = ()


class ClusterReader(Protocol):
    def list_objects(self, query: Query) -> Listing:
        """Never raises; what goes wrong is the listing's error."""

    def read_version(self) -> Object:
        """The answer of GET /version; empty when there is none."""

    def read_server(self) -> ApiServer:
        """Where the connection goes, and what it trusts; no request of its own where a client can tell."""

    def try_pods(self, manifests: Sequence[Object]) -> Sequence[Trial]:
        """Create Pods with a dry run, which makes none. One trial for each, in order; never raises."""


class Cluster(ClusterReader, Protocol):
    def apply(self, manifests: Sequence[Object]) -> Written:
        """Create what is missing, and set what differs."""

    def patch(self, manifests: Sequence[Object]) -> Written:
        """Change what is there; what is missing is left so."""

    def remove(self, manifests: Sequence[Object]) -> Written:
        """Remove objects and what they own; what is missing counts as removed."""


class Clock(Protocol):
    def now(self) -> datetime:
        """The moment, in UTC."""

    def sleep(self, seconds: float) -> None:
        """Let time pass."""
