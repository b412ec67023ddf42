# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options for the cluster and its workload files."""

    DOCUMENTATION = r"""
options:
  cluster_name:
    description:
      - Name of the EKS cluster. Required.
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
"""
