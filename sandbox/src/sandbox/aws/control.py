# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client of the endpoint's control requests, on the standard library alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import HTTPDefaultErrorHandler, HTTPErrorProcessor, HTTPHandler, OpenerDirector, Request

from sandbox.aws.settings import CONTROL_PREFIX

TIMEOUT_SECONDS = 30


class AwsControlError(Exception):
    """The endpoint refused a control request, or does not answer."""


class AwsControl:
    """Steers one embedded AWS endpoint.

    Args:
        endpoint: ``http://127.0.0.1:<port>``, the same address SDKs are given.
    """

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint.rstrip("/")

    def ready(self) -> bool:
        """Whether the endpoint answers now."""
        try:
            return bool(self._ask("GET", "ready")["ready"])
        except AwsControlError:
            return False

    def enforces(self) -> bool:
        """Whether the endpoint checks signatures and IAM policies."""
        return bool(self._ask("GET", "ready")["auth"])

    def wait_ready(self, timeout_seconds: float = 30) -> None:
        """Return once the endpoint answers; AwsControlError where it does not in time."""
        deadline = time.monotonic() + timeout_seconds
        while not self.ready():
            if time.monotonic() > deadline:
                raise AwsControlError(f"{self.endpoint} did not answer within {timeout_seconds:g} seconds")
            time.sleep(0.05)

    def counters(self) -> dict[str, Any]:
        """Requests since the last reset.

        Keys: total, reads, writes, operations {``iam:CreateRole``: n}, accounts {account:
        {operation: n}}, statuses {``"200"``: n}, faults {kind: n}, connections.
        """
        return self._ask("GET", "counters")

    def reset_counters(self) -> None:
        self._ask("DELETE", "counters")

    def set_latency(self, milliseconds: float) -> None:
        """Delay every API answer."""
        self._ask("PUT", "latency", {"ms": milliseconds})

    def set_propagation(self, milliseconds: float) -> None:
        """Time until EKS sees a new role or a changed trust policy."""
        self._ask("PUT", "propagation", {"ms": milliseconds})

    def set_clock_skew(self, seconds: float) -> None:
        """By how much the dates that IAM and EKS write are ahead of this machine's clock."""
        self._ask("PUT", "clock-skew", {"s": seconds})

    def set_session_lifetime(self, seconds: float) -> None:
        """How long the credentials of AssumeRole last, whatever was asked for; 0 is as asked."""
        self._ask("PUT", "session-lifetime", {"s": seconds})

    def set_rate_limit(self, per_second: float) -> None:
        """Throttle what comes faster than so many requests a second; 0 is no limit."""
        self._ask("PUT", "rate-limit", {"per_second": per_second})

    def set_read_lag(
        self, milliseconds: float, operations: str = "*", *, replicas: int = 1, writes: bool = False
    ) -> None:
        """Answer reads of IAM and EKS as they were so long ago; what is there now is seen at once.

        With two replicas every second read is late. See :class:`sandbox.aws.read_lag.LagRule`.
        """
        rule = {"ms": milliseconds, "operations": operations, "replicas": replicas, "writes": writes}
        self.set_read_lags([rule])

    def set_read_lags(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """A lag for each kind of read: the first rule that matches decides."""
        self._ask("PUT", "read-lag", list(rules))

    def set_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replace the fault rules; see :class:`sandbox.aws.faults.FaultRule` for their members."""
        self._ask("PUT", "faults", list(rules))

    def faults(self) -> list[dict[str, Any]]:
        """The rules in force with how often each matched (``seen``) and failed one (``fired``)."""
        return cast("list[dict[str, Any]]", self._ask("GET", "faults")["rules"])

    def set_kubernetes(self, endpoint: str, certificate_authority_data: str) -> None:
        """The API server that every cluster names; the certificate is base64 of PEM."""
        self._ask(
            "PUT",
            "kubernetes",
            {"endpoint": endpoint, "certificate_authority_data": certificate_authority_data},
        )

    def patch_cluster(self, account: str, region: str, cluster: str, **members: Any) -> None:
        """Set members of what DescribeCluster answers: status, computeConfig, version, …"""
        where = {"account": account, "region": region, "cluster": cluster}
        self._ask("PATCH", "cluster", members, where)

    def patch_addon(self, account: str, region: str, cluster: str, addon: str, **members: Any) -> None:
        """Set members of what DescribeAddon answers: status, health {issues: […]}, …"""
        where = {"account": account, "region": region, "cluster": cluster, "addon": addon}
        self._ask("PATCH", "addon", members, where)

    def patch_association(
        self, account: str, region: str, cluster: str, association_id: str, **members: Any
    ) -> None:
        """Set members of an association that no caller can set: ownerArn, createdAt, …"""
        where = {"account": account, "region": region, "cluster": cluster}
        self._ask("PATCH", "association", members, {**where, "association": association_id})

    def sessions(self) -> list[dict[str, Any]]:
        """The temporary credentials that STS and EKS Auth gave since the start or a reset, to look for where none may
        be: access_key_id, secret_access_key, session_token, arn."""
        return cast("list[dict[str, Any]]", self._ask("GET", "sessions")["sessions"])

    def tokens(self) -> list[str]:
        """The bearer tokens of EKS that clusters were shown since the start or a reset, to look for where none may be."""
        return cast("list[str]", self._ask("GET", "tokens")["tokens"])

    def grow_older(self, account: str, seconds: float) -> None:
        """Let the roles, policies and associations of an account be so much older."""
        self._ask("POST", "age", {"s": seconds}, {"account": account})

    def state(self, account: str) -> dict[str, Any]:
        """What the account holds: roles, policies, clusters, addons, associations, …"""
        return self._ask("GET", "state", query={"account": account})

    def keep(self, name: str) -> None:
        """Remember what all accounts hold now, for :meth:`restore`."""
        self._ask("PUT", "checkpoint", {"name": name})

    def restore(self, name: str) -> None:
        """Back to what was there at :meth:`keep`, as old as it was then; counters, fault rules and read lag go as
        with :meth:`reset`."""
        self._ask("POST", "restore", {"name": name})

    def reset(self) -> None:
        """Delete every resource of every account, the counters, the fault rules and the read lag.

        Latency, propagation delay, clock skew, rate limit, session lifetime and the Kubernetes
        endpoint stay.
        """
        self._ask("POST", "reset")

    def _ask(
        self, method: str, name: str, data: Any = None, query: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        url = f"{self.endpoint}{CONTROL_PREFIX}{name}"
        if query:
            url += f"?{urlencode(query)}"
        body = None if data is None else json.dumps(data).encode()
        try:
            with _opener().open(Request(url, body, method=method), timeout=TIMEOUT_SECONDS) as answer:
                return cast("dict[str, Any]", json.load(answer))
        except HTTPError as error:
            text = json.load(error)["error"]
            raise AwsControlError(f"{method} {url}: {text}") from None
        except (URLError, OSError) as error:
            raise AwsControlError(f"{method} {url}: {error}") from error


def _opener() -> OpenerDirector:
    """For plain HTTP to the loopback, to which no proxy of the environment has a way. build_opener would read all
    certificates of the system for it, at the cost of ten requests."""
    opener = OpenerDirector()
    for handler in (HTTPHandler(), HTTPErrorProcessor(), HTTPDefaultErrorHandler()):
        opener.add_handler(handler)
    return opener
