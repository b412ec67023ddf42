#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_fleet
version_added: 0.1.0
short_description: Internal - the steps of a fleet's play that are about more than one cluster
description:
  - It belongs to the playbook C(workload_identity.aws.fleet) and the role P(workload_identity.aws.pod_identity#role),
    is not meant for plays of your own, and may change with any release.
  - V(reset) empties the fact C(pod_identity_report) of earlier runs. V(group) says which hosts of the
    batch are one run of the AWS half, namely those of one account with the same credentials and options, by what
    M(workload_identity.aws.pod_identity_preflight) registered as C(pod_identity_preflight). V(apply) runs
    M(workload_identity.aws.eks_pod_identity_fleet) for the groups of an account, one after the other. V(take) gives a host its
    part of the result, as M(workload_identity.aws.eks_pod_identity) returns it, and in C(stopped) why
    the cluster was left out. V(end) shows a table of the clusters, and what failed.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  step:
    description: The step.
    type: str
    choices:
      - reset
      - group
      - apply
      - take
      - end
    required: true
  groups:
    description: With O(step=apply), the file of the account's groups, from RV(files).
    type: dict
  leader:
    description:
      - With O(step=take), the first host of the account, from RV(leaders), which registered O(step=apply) as
        C(pod_identity_account).
    type: str
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Group the clusters by account
  workload_identity.aws.pod_identity_fleet:
    step: group
  run_once: true
  register: accounts

- name: Apply the requested state in AWS, account by account
  workload_identity.aws.pod_identity_fleet:
    step: apply
    groups: "{{ accounts.files[inventory_hostname] }}"
  when: inventory_hostname in accounts.files
  register: account
"""

RETURN = r"""
files:
  description: By the first host of each account, the file that says what it has to run.
  returned: with O(step=group)
  type: dict
leaders:
  description: By host, the first host of its account.
  returned: with O(step=group)
  type: dict
parts:
  description: By host, the file with its part of the result.
  returned: with O(step=apply)
  type: dict
"""
