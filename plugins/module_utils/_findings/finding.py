# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Findings about a workload, a policy or a whole cluster. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from .codes import Code, Severity


@dataclass(frozen=True, slots=True, order=True)
class WorkloadKey:
    """A service account of a cluster: the identity of an association.

    ``cluster`` is the name of the cluster, or "region/name" in a run over several regions, because names are unique only
    within a region. The string form omits the cluster: "namespace/service_account".
    """

    cluster: str
    namespace: str
    service_account: str

    @property
    def cluster_name(self) -> str:
        """The cluster's name in EKS, without the region."""
        return self.cluster.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding about a workload, a cluster or the whole run, with a remedy.

    ``workload`` is None for a finding about a whole cluster or run. ``cluster`` is the cluster part of a WorkloadKey, for a
    finding about a whole cluster. ``statement`` names a statement of a policy. ``raised_as`` is a severity other than the
    first severity of the code.
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
        """The cluster part of a WorkloadKey, or "" for a finding about all clusters."""
        return self.workload.cluster if self.workload is not None else self.cluster

    @property
    def severity(self) -> Severity:
        return self.raised_as or self.code.severity
