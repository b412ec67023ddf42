# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the control endpoints, on the standard library alone."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

TIMEOUT_SECONDS = 30


class KubeControlError(Exception):
    """The server refused a control request, or does not answer."""


class KubeControl:
    """Steers one embedded Kubernetes API.

    Args:
        endpoint: ``https://127.0.0.1:<port>``, the server of the kubeconfig.
        ca_file: the server's ``ca.crt``; it may come to be after this object.
        token: the administrator's bearer token.
    """

    def __init__(self, endpoint: str, ca_file: str | Path, token: str) -> None:
        self.endpoint = endpoint.rstrip("/")
        self._ca_file = Path(ca_file)
        self._token = token

    def ready(self) -> bool:
        """Whether the server answers now."""
        try:
            return bool(self._ask("GET", "ready")["ready"])
        except KubeControlError:
            return False

    def wait_ready(self, timeout_seconds: float = 30) -> None:
        """Returns once the server answers; KubeControlError where it does not in time."""
        deadline = time.monotonic() + timeout_seconds
        while not self.ready():
            if time.monotonic() > deadline:
                raise KubeControlError(f"{self.endpoint} did not answer within {timeout_seconds:g} seconds")
            time.sleep(0.05)

    def counters(self) -> dict[str, Any]:
        """Requests since the last reset.

        Keys: total, reads, writes, dry_runs, operations {``create serviceaccounts``: n},
        dry_run_operations, faults {kind: n}. A dry run is in no other count than total.
        """
        return self._ask("GET", "counters")

    def reset_counters(self) -> None:
        self._ask("DELETE", "counters")

    def set_latency(self, milliseconds: float) -> None:
        """Delays every API answer."""
        self._ask("PUT", "latency", {"ms": milliseconds})

    def set_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replaces the fault rules; see :class:`sandbox.kube.faults.FaultRule`."""
        self._ask("PUT", "faults", list(rules))

    def set_associations(self, pairs: Iterable[tuple[str, str]]) -> None:
        """The (namespace, service account) that the Pod Identity webhook injects for."""
        body = [{"namespace": space, "service_account": name} for space, name in pairs]
        self._ask("PUT", "associations", body)

    def set_webhook(self, enabled: bool, delays_ms: Iterable[float] = (0,)) -> None:
        """Turns the Pod Identity webhook on or off. It knows an association so long after it was
        told; with several delays there are as many API servers, which answer in turn."""
        self._ask("PUT", "webhook", {"enabled": enabled, "delays_ms": list(delays_ms)})

    def set_termination(self, *, pod_ms: float = 0, namespace_ms: float = 0) -> None:
        """How long a Pod on a node takes to end, at most its grace period, and how long it is until a
        deleted namespace begins to be emptied. Without it Pods go at once, namespaces a moment later."""
        self._ask("PUT", "termination", {"pod_ms": pod_ms, "namespace_ms": namespace_ms})

    def compact(self) -> None:
        """Forgets the history so far: a watch or list as of an earlier version, and later pages of a list that
        has begun, are answered with 410."""
        self._ask("POST", "compact")

    def set_logs(self, logs: Mapping[tuple[str, str], str]) -> None:
        """What GET log answers, by (namespace, Pod)."""
        body = [{"namespace": n, "pod": pod, "text": text} for (n, pod), text in logs.items()]
        self._ask("PUT", "logs", body)

    def keep(self, name: str) -> None:
        """Remembers all objects, for :meth:`restore`."""
        self._ask("PUT", "checkpoint", {"name": name})

    def restore(self, name: str) -> None:
        """Back to the objects at :meth:`keep`, under new resource versions; the rest is as after :meth:`reset`."""
        self._ask("POST", "restore", {"name": name})

    def reset(self) -> None:
        """Back to a new cluster; counters, faults, latency and staged logs go too."""
        self._ask("POST", "reset")

    def state(self) -> dict[str, Any]:
        """resourceVersion, objects {``serviceaccounts``: [object]} and associations."""
        return self._ask("GET", "state")

    def _ask(self, method: str, name: str, body: Any = None) -> dict[str, Any]:
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        url = f"{self.endpoint}/_sandbox/{name}"
        request = Request(url, data=data, method=method, headers=headers)
        try:
            context = ssl.create_default_context(cafile=str(self._ca_file))
            # A proxy of the environment has no way to this machine's loopback.
            opener = build_opener(ProxyHandler({}), HTTPSHandler(context=context))
            with opener.open(request, timeout=TIMEOUT_SECONDS) as answer:
                found: dict[str, Any] = json.load(answer)
        except HTTPError as error:
            text = error.read().decode(errors="replace")
            raise KubeControlError(f"{method} {url}: {error.code} {text}") from error
        except (URLError, OSError) as error:
            raise KubeControlError(f"{method} {url}: {error}") from error
        return found
