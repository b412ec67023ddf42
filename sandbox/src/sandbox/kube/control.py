# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client to control the embedded Kubernetes, for example to inject faults. It needs only the standard library."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sandbox.control_client import ControlClient


class KubeControl(ControlClient):
    """A client that controls an embedded Kubernetes API server.

    ``endpoint`` is its URL, ``ca_file`` the file of its certificate authority (it may be created later), and ``token``
    the bearer token of the administrator.
    """

    def counters(self) -> dict[str, Any]:
        """Return the numbers of requests since the last reset.

        The keys are total, reads, writes, dry_runs, operations {``create serviceaccounts``: n}, dry_run_operations and
        faults {kind: n}. Dry runs do not count as writes or operations.
        """
        return self._request("GET", "counters")

    def set_latency(self, milliseconds: float) -> None:
        """Delay the responses to API requests by this time. 0 removes the delay."""
        self._request("PUT", "latency", {"ms": milliseconds})

    def set_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replace the rules that make requests fail.

        :class:`sandbox.faults.FaultRule` describes the members of a rule.
        """
        self._request("PUT", "faults", list(rules))

    def set_associations(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set associations for the webhook, as pairs of namespace and service account."""
        body = [{"namespace": namespace, "service_account": name} for namespace, name in pairs]
        self._request("PUT", "associations", body)

    def set_known_associations(self, pairs: Iterable[tuple[str, str]] | None) -> None:
        """Let the webhook know only these associations, or with None all of them again."""
        body = (
            None
            if pairs is None
            else [{"namespace": space, "service_account": name} for space, name in pairs]
        )
        self._request("PUT", "known_associations", {"pairs": body})

    def save(self, name: str) -> None:
        """Save the state of the cluster under a name, for :meth:`restore`."""
        self._request("PUT", "checkpoint", {"name": name})

    def restore(self, name: str) -> None:
        """Restore the state that :meth:`save` saved, and clear counters, fault rules and latency.

        The objects get new resource versions.
        """
        self._request("POST", "restore", {"name": name})

    def reset(self) -> None:
        """Replace the cluster with a new cluster, and clear counters, fault rules and latency."""
        self._request("POST", "reset")

    def state(self) -> dict[str, Any]:
        """Return the contents of the cluster: resourceVersion, objects {``serviceaccounts``: [object]}, associations."""
        return self._request("GET", "state")
