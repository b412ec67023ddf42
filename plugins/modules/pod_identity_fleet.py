#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_fleet
version_added: 1.0.0
short_description: Configure EKS Pod Identity in many clusters, step by step
description:
  - Runs one step of the playbook C(workload_identity.aws.fleet), which configures many clusters. Each host of the play
    represents a cluster. The playbook runs the tasks C(fleet.yml) of the role P(workload_identity.aws.pod_identity#role),
    with one task for each step, in the order of O(step).
  - V(prepare) reads the variables of the role and the service accounts of the cluster.
  - V(group) groups the hosts of the batch by account, credentials and options. It reads the results of V(prepare) from
    the registered variable C(pod_identity_prepared).
  - V(apply) applies the changes in AWS for the groups of an account, one group after the other.
  - V(finish) applies the service accounts of a cluster, verifies the result and writes the report.
  - V(end) shows a table of the clusters and their failures.
  - If a step fails for a cluster, only that cluster stops. RV(stopped) has the reason.
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  step:
    description: The step to run. All steps are necessary, in the order of the choices.
    type: str
    choices:
      - prepare
      - group
      - apply
      - finish
      - end
    required: true
  groups:
    description: With O(step=apply), the entry of RV(files) for this host. It identifies the file with the groups of the account.
    type: dict
  leader:
    description:
      - With O(step=finish), the entry of RV(leaders) for this host. It is the first host of the account, which registered the
        result of O(step=apply) as C(pod_identity_account).
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Check the input and read the service accounts
  workload_identity.aws.pod_identity_fleet:
    step: prepare
  register: pod_identity_prepared

- name: Group the clusters by account
  workload_identity.aws.pod_identity_fleet:
    step: group
  run_once: true
  register: pod_identity_accounts

- name: Apply the requested state in AWS, account by account
  workload_identity.aws.pod_identity_fleet:
    step: apply
    groups: "{{ pod_identity_accounts.files[inventory_hostname] }}"
  when: inventory_hostname in pod_identity_accounts.files
  register: pod_identity_account

- name: Apply ServiceAccounts, verify and report
  workload_identity.aws.pod_identity_fleet:
    step: finish
    leader: "{{ pod_identity_accounts.leaders[inventory_hostname] | default('') }}"
  register: pod_identity_result

- name: Report the clusters
  workload_identity.aws.pod_identity_fleet:
    step: end
  run_once: true
"""

RETURN = r"""
files:
  description: A mapping from the first host of each account to the file with the groups of the account.
  returned: with O(step=group)
  type: dict
leaders:
  description: A mapping from each host to the first host of its account.
  returned: with O(step=group)
  type: dict
parts:
  description: A mapping from each host to the file with the result for this host.
  returned: with O(step=apply)
  type: dict
verification:
  description: The results of the verification of the cluster, in the form of
    RV(workload_identity.aws.pod_identity#module:verification).
  returned: with O(step=finish)
  type: dict
failure:
  description: The reason why the cluster failed, in one line; empty if the cluster succeeded.
  returned: with O(step=finish)
  type: str
stopped:
  description: The reason why the cluster stopped before its report was written.
  returned: with O(step=prepare) and O(step=finish), if the cluster stopped
  type: str
"""
