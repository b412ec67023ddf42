# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options for one cluster and its workload files, and for several clusters of one account."""

    DOCUMENTATION = r"""
options:
  cluster_name:
    description:
      - Name of the EKS cluster. Required unless O(clusters) is set.
    type: str
    aliases:
      - cluster
  account_id:
    description:
      - ID of the AWS account in which the cluster is expected, in quotation marks.
      - If the credentials belong to another account, the module fails with the error code V(ACCOUNT_DIFFERS) before any
        request to EKS and IAM. Without this option the module uses the account of the credentials, which may have another
        cluster with the same name.
    type: str
  workloads_from:
    description:
      - Files with workloads, or folders of such files, instead of O(workloads). For example, each team can have a file.
      - The name of a file ends in C(.yml), C(.yaml) or C(.json). The file contains a list of workloads, or a mapping with such
        a list under C(pod_identity_workloads) or C(workloads). Ansible does not evaluate templates in the file. Error
        messages contain the file and the line.
      - A relative path is searched in the folder of the playbook and in the working directory. A path that exists in both
        is an error.
      - The files are read on the controller, even if the module runs on another host.
    type: list
    elements: path
  clusters:
    description:
      - Several clusters, instead of O(cluster_name) and O(workloads). All of them must belong to the account of the
        credentials. The other options of the module apply to every cluster.
      - The module reads IAM once for all clusters, and processes a role that several clusters share only once. Requests to
        EKS go to the region of each cluster.
      - If a cluster cannot be used (it is missing, not active, not reachable, or in another account), only this cluster
        fails, and the result lists its workloads. The module continues with the other clusters.
    type: list
    elements: dict
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      account_id:
        description: ID of the AWS account in which the cluster is expected, like O(account_id).
        type: str
      region:
        description: Region of the cluster. Defaults to O(region).
        type: str
      workloads:
        description:
          - The workloads of the cluster, as in O(workloads). If workloads share a role or policy, also across clusters, they
            must define it identically.
        type: list
        elements: dict
      workloads_from:
        description: Files with workloads, as in O(workloads_from).
        type: list
        elements: path
"""
