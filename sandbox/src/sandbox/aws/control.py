# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""A client to control the embedded AWS, for example to inject faults. It needs only the standard library."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Mapping
from typing import Any, cast

from sandbox.control_client import ControlClient


class AwsControl(ControlClient):
    """A client that controls the embedded AWS at an endpoint such as ``http://127.0.0.1:4566``."""

    def counters(self) -> dict[str, Any]:
        """Return the numbers of requests since the counters were last cleared.

        The keys are total, reads, writes, operations {``iam:CreateRole``: n}, accounts {account: {operation: n}},
        statuses {``"200"``: n}, faults {kind: n} and connections.
        """
        return self._request("GET", "counters")

    def set_latency(self, milliseconds: float) -> None:
        """Delay every response to an AWS API request."""
        self._request("PUT", "latency", {"ms": milliseconds})

    def set_propagation(self, milliseconds: float) -> None:
        """Set the time until EKS sees a new role or a changed trust policy."""
        self._request("PUT", "propagation", {"ms": milliseconds})

    def set_session_lifetime(self, seconds: float) -> None:
        """Set the lifetime of credentials from AssumeRole and AssumeRoleWithWebIdentity, instead of the requested duration.

        With 0, the requested duration applies again.
        """
        self._request("PUT", "session-lifetime", {"s": seconds})

    def set_rate_limit(self, per_second: float) -> None:
        """Throttle requests above a number per second. 0 removes the limit."""
        self._request("PUT", "rate-limit", {"per_second": per_second})

    def set_read_lags(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Let reads of IAM and EKS return an older state. The first rule that matches a read applies.

        Only changes after this call are delayed. :class:`sandbox.aws.read_lag.LagRule` describes the members of a rule.
        """
        self._request("PUT", "read-lag", list(rules))

    def set_faults(self, rules: Iterable[Mapping[str, Any]]) -> None:
        """Replace the rules that make requests fail.

        :class:`sandbox.faults.FaultRule` describes the members of a rule.
        """
        self._request("PUT", "faults", list(rules))

    def set_kubernetes(
        self, account: str, region: str, cluster: str, endpoint: str, authority: bytes
    ) -> None:
        """Set the Kubernetes API server that DescribeCluster returns for a cluster, which need not exist yet.

        ``authority`` is the PEM text of its certificate authority.
        """
        members = {"endpoint": endpoint, "certificateAuthority": {"data": b64encode(authority).decode()}}
        query = {"account": account, "region": region, "cluster": cluster}
        self._request("PUT", "kubernetes", members, query)

    def create_cluster(
        self,
        account: str,
        region: str,
        name: str,
        *,
        agent: bool = True,
        auto_mode: bool = False,
        version: str = "",
        tags: Mapping[str, str] | None = None,
    ) -> None:
        """Create an EKS cluster and, with ``agent``, the add-on of the EKS Pod Identity Agent, unless the cluster exists.

        Without :meth:`set_kubernetes`, the cluster has no Kubernetes API.
        """
        members = {
            "name": name,
            "agent": agent,
            "auto_mode": auto_mode,
            "version": version,
            "tags": tags or {},
        }
        self._request("POST", "cluster", members, {"account": account, "region": region})

    def patch_cluster(self, account: str, region: str, cluster: str, **members: Any) -> None:
        """Set members of the response to DescribeCluster, such as status, computeConfig and version."""
        query = {"account": account, "region": region, "cluster": cluster}
        self._request("PATCH", "cluster", members, query)

    def patch_addon(self, account: str, region: str, cluster: str, addon: str, **members: Any) -> None:
        """Set members of the response to DescribeAddon, such as status and health {issues: […]}."""
        query = {"account": account, "region": region, "cluster": cluster, "addon": addon}
        self._request("PATCH", "addon", members, query)

    def patch_association(
        self, account: str, region: str, cluster: str, association_id: str, **members: Any
    ) -> None:
        """Set members of an association that clients of EKS cannot set, such as ownerArn and createdAt."""
        query = {"account": account, "region": region, "cluster": cluster, "association": association_id}
        self._request("PATCH", "association", members, query)

    def sessions(self) -> list[dict[str, Any]]:
        """Return the temporary credentials that a reset or restore has not deleted, including expired credentials.

        Tests search files for these credentials, to prove that no file contains them. Each item has the keys access_key_id,
        secret_access_key, session_token and arn.
        """
        return cast("list[dict[str, Any]]", self._request("GET", "sessions")["sessions"])

    def tokens(self) -> list[str]:
        """Return the bearer tokens that clusters received since the last reset."""
        return cast("list[str]", self._request("GET", "tokens")["tokens"])

    def grow_older(self, account: str, seconds: float) -> None:
        """Move the dates of all roles, customer managed policies and associations of an account back."""
        self._request("POST", "age", {"s": seconds}, {"account": account})

    def state(self, account: str) -> dict[str, Any]:
        """Return the resources of an account, by kind.

        The kinds are roles, policies, clusters, addons and associations. See
        :func:`sandbox.aws.snapshot.snapshot`.
        """
        return self._request("GET", "state", query={"account": account})

    def save(self, name: str) -> None:
        """Save the resources of all accounts under a name, for :meth:`restore`."""
        self._request("PUT", "checkpoint", {"name": name})

    def restore(self, name: str) -> None:
        """Restore the resources that :meth:`save` saved.

        Roles, customer managed policies and associations have the same age as when they were saved. Counters, fault rules and
        read lag rules are cleared.
        """
        self._request("POST", "restore", {"name": name})

    def reset(self) -> None:
        """Delete all resources, and clear counters, fault rules and read lag rules.

        Latency, propagation delay, rate limit, session lifetime and the Kubernetes endpoint do not change.
        """
        self._request("POST", "reset")
