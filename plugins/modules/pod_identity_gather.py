#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_gather
version_added: 1.0.0
short_description: Combine the reports of earlier jobs, and fail if a cluster failed or is missing
description:
  - The playbook C(workload_identity.aws.report) runs this module.
  - Reads reports from the variables whose names start with C(pod_identity_artifact_). AWX passes these variables to the later
    nodes of a workflow.
  - Also reads reports from the files that the role wrote to C(pod_identity_report_file).
  - If a step (plan, apply or verify) of a cluster has several reports, the module uses the latest report.
  - Outside check mode, a report of a check-mode run is not sufficient. A later report must contain the planned changes.
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  expected:
    description:
      - Names of hosts, names of clusters, or ARNs of clusters. The module fails if one of them has no report. The value is a
        list, or text with one name on each line, names separated by commas, JSON or YAML.
    type: raw
  files:
    description: Report files on the controller, as a list or text like O(expected). Shell patterns are allowed.
    type: raw
  max_age:
    description: Maximum age of a report in seconds, as a number or text. Unlimited by default.
    type: raw
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Report the clusters of a fleet
  workload_identity.aws.pod_identity_gather:
    expected: "{{ groups['eks_clusters'] }}"
    files:
      - reports/*.json
"""

RETURN = r"""
msg:
  description: The lines of the report if the module does not print them, or the reason for a failure.
  returned: when it failed, or when the stdout callback prints JSON
  type: raw
lines:
  description: The lines of the report, if RV(msg) has the failure.
  returned: when it failed and the stdout callback prints JSON
  type: list
  elements: str
"""
