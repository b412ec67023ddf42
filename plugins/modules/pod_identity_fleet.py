#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_fleet
version_added: 1.0.0
short_description: Show the results of many clusters, and find clusters with several hosts
description:
  - The playbooks C(workload_identity.aws.fleet) and C(workload_identity.aws.report) run this module. Each host of the play of
    C(workload_identity.aws.fleet) represents a cluster.
  - V(check) finds hosts of the play that represent the same cluster, which is an AWS account, a region and a name. The role
    P(workload_identity.aws.pod_identity#role) then fails for each of these hosts without a change. It reads RV(hosts) from the
    registered variable C(pod_identity_checked). Requests to AWS are only sent for clusters with the same name whose region or
    account the variables of the hosts do not contain.
  - V(show) shows a table of the clusters of the play, with their changes, warnings and failures. It reads the registered
    variable C(pod_identity_result) of each host. With V(serial), a table has the clusters of the batch. The table of the last
    batch, or of a batch with a failure, has all clusters.
  - V(gather) shows a table of the clusters that earlier jobs have reported, and fails if a cluster failed or is missing. It
    reads the variables whose names start with C(pod_identity_artifact_), which AWX passes to the later nodes of a workflow, and
    the files that the role wrote to C(pod_identity_report_file).
  - If a step (plan, apply or verify) of a cluster has several reports, V(gather) uses the latest report. Outside check mode, the
    report of a plan is not sufficient. A later report must contain the planned changes.
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  step:
    description: The task to do.
    type: str
    choices:
      - check
      - show
      - gather
    required: true
  expected:
    description:
      - With O(step=gather), names of hosts, names of clusters, or ARNs of clusters. The module fails if one of them has no report.
        The value is a list, or text with one name on each line, names separated by commas, JSON or YAML.
    type: raw
  files:
    description:
      - With O(step=gather), report files on the controller, as a list or text like O(expected). Shell patterns are allowed.
    type: raw
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Find clusters with several hosts
  workload_identity.aws.pod_identity_fleet:
    step: check
  run_once: true
  register: pod_identity_checked

- name: Show the clusters of the play
  workload_identity.aws.pod_identity_fleet:
    step: show
  run_once: true

- name: Show the clusters that earlier jobs have reported
  workload_identity.aws.pod_identity_fleet:
    step: gather
    expected: "{{ groups['eks_clusters'] }}"
    files:
      - reports/*.json
"""

RETURN = r"""
hosts:
  description: A mapping from each host that shares its cluster with another host to an error message.
  returned: with O(step=check)
  type: dict
  sample: {}
msg:
  description: The lines of the table if the module does not print them, or the reason for a failure.
  returned: when it failed, or when the stdout callback prints JSON
  type: raw
lines:
  description: The lines of the table, if RV(msg) has the failure.
  returned: when it failed and the stdout callback prints JSON
  type: list
  elements: str
"""
