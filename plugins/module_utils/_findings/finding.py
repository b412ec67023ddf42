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

    ``cluster`` is the name of the cluster, in a run over clusters of several regions "region/name": names are unique
    within a region only. As text a key is "namespace/service_account", for whoever reads it knows the cluster.
    """

    cluster: str
    namespace: str
    service_account: str

    @property
    def cluster_name(self) -> str:
        """The cluster's name in EKS, which has no slash."""
        return self.cluster.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.namespace}/{self.service_account}"


@dataclass(frozen=True, slots=True)
class Finding:
    """``workload`` is None when it concerns them all; ``statement`` names the statement of a policy.

    ``cluster`` is the cluster part of workload keys, for a finding about one cluster as a whole.
    ``raised_as`` is given where the code has more than one severity, and this is not its first.
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
        """The cluster part of workload keys; "" when it concerns all clusters."""
        return self.workload.cluster if self.workload is not None else self.cluster

    @property
    def severity(self) -> Severity:
        return self.raised_as or self.code.severity
