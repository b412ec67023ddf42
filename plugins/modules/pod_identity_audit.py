#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_audit
version_added: 1.0.0
short_description: Run a step of the report on the access of service accounts to AWS
description:
  - The playbook C(workload_identity.aws.audit) runs this module.
  - Finds the service accounts with a pod identity association, with an IAM role for service accounts (IRSA), or with credentials
    in a Pod template. Evaluates the effective permissions of their roles, and the risks of these permissions.
  - The module does not change AWS or Kubernetes. It only writes the files of the report on the controller.
  - It reads the variables C(pod_identity_audit_file) and others, which C(docs/audit.md) lists, and
    the variables of the role C(workload_identity.aws.pod_identity) for the cluster and the credentials.
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  step:
    description:
      - V(read) reads the cluster of the host. The playbook registers its result as C(pod_identity_audit_part).
      - V(roles) reads the roles of the account. The first host of each account and caller reads them for the other hosts. The
        playbook registers its result as C(pod_identity_audit_roles).
      - V(report) writes the report of the clusters of all hosts. Run it once, after all hosts have read their clusters and roles.
    type: str
    choices: [read, roles, report]
    required: true
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Read the clusters
  workload_identity.aws.pod_identity_audit:
    step: read
  register: pod_identity_audit_part

- name: Read the roles of each account
  workload_identity.aws.pod_identity_audit:
    step: roles
  register: pod_identity_audit_roles

- name: Write the report
  workload_identity.aws.pod_identity_audit:
    step: report
  run_once: true
  vars:
    pod_identity_audit_file: access.html
"""

RETURN = r"""
part:
  description: The file with the facts of the cluster, for the later steps.
  returned: for the step V(read)
  type: dict
reader:
  description: The account, and the caller that reads its roles.
  returned: for the step V(read), if the cluster was read
  type: str
roles:
  description: The file with the ARNs of the roles that the cluster uses, for the step V(roles).
  returned: for the step V(read), if the cluster was read
  type: dict
reads:
  description: The file with the roles of the account, for the step V(report).
  returned: for the step V(roles), on the first host of an account and caller
  type: dict
stopped:
  description: The reason why the cluster or the roles could not be read, or an empty text.
  returned: for the steps V(read) and V(roles)
  type: str
summary:
  description: The numbers of service accounts, by the source of their credentials, and of risks, by severity.
  returned: for the step V(report)
  type: dict
files:
  description: The files of the report that were written.
  returned: for the step V(report)
  type: list
  elements: str
failure:
  description: The reason for a failure; empty on success.
  returned: for the step V(report)
  type: str
msg:
  description: The lines of the report if the module does not print them, or the reason for a failure.
  returned: when it failed, or when the stdout callback prints JSON
  type: raw
"""
