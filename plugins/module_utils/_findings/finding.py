# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The findings of checks: problems of a workload, a policy, a whole cluster or a whole run."""

from __future__ import annotations

from dataclasses import dataclass

from .codes import Code, Severity


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """A service account in a cluster. EKS allows one pod identity association for each service account.

    ``cluster`` is the name of the cluster. ``str`` omits the cluster: "namespace/service_account".
    """

    cluster: str
    namespace: str
    service_account: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a workload, a cluster or the whole run, with a remedy.

    ``workload`` is None for a whole cluster or the whole run. ``statement`` is the label of the policy statement with the
    problem, or "". ``raised_as`` is the severity if it differs from the default of the code.
    """

    code: Code
    message: str
    remedy: str
    workload: WorkloadKey | None = None
    statement: str = ""
    raised_as: Severity | None = None

    @property
    def severity(self) -> Severity:
        return self.raised_as or self.code.severity
