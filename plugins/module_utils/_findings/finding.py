# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The findings of checks: problems of a workload, a policy, a whole cluster or a whole run."""

from __future__ import annotations

from dataclasses import dataclass

from .codes import Code, Severity


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """A service account in a cluster. EKS allows one pod identity association for each service account.

    ``cluster`` is the name of the cluster. In a run over several regions it is "region/name", because names are unique only
    within a region. ``str`` omits the cluster: "namespace/service_account".
    """

    cluster: str
    namespace: str
    service_account: str

    @property
    def cluster_name(self) -> str:
        """Return the name of the cluster in EKS, without the region."""
        return self.cluster.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A problem of a workload, a cluster or the whole run, with a remedy.

    For a workload, ``workload`` is set. For a whole cluster, ``cluster`` is set, in the format of ``WorkloadKey.cluster``. For
    the whole run, neither of them is set. ``statement`` is the label of the policy statement with the problem, or "".
    ``raised_as`` is the severity if it differs from the default of the code.
    """

    code: Code
    message: str
    remedy: str
    workload: WorkloadKey | None = None
    statement: str = ""
    raised_as: Severity | None = None
    cluster: str = ""

    @property
    def place(self) -> str:
        """Return the cluster of the finding in the format of ``WorkloadKey.cluster``, or "" if the finding concerns the
        whole run.
        """
        return self.workload.cluster if self.workload is not None else self.cluster

    @property
    def severity(self) -> Severity:
        return self.raised_as or self.code.severity
