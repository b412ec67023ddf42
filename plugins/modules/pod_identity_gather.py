#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_gather
version_added: 1.0.0
short_description: Report the clusters of earlier jobs, and fail for failed and missing ones
description:
  - The playbook C(workload_identity.aws.report) runs this module.
  - Reads the variables whose names start with C(pod_identity_artifact_), which AWX passes to the later nodes of a
    workflow, and the files of C(pod_identity_report_file). If there are several reports of one step of a cluster, the
    latest is used.
  - A report of check mode is complete only in check mode. Otherwise a later report must contain the planned changes.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  expected:
    description:
      - Names of hosts or clusters, or ARNs of clusters, that must have reported. A list, or text with one name for
        each line, names with commas, JSON or YAML.
    type: raw
  files:
    description: Report files on the controller; shell patterns are allowed. A list or text, as O(expected).
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
  description: The lines of the report if the module does not print them, or the reason of a failure.
  returned: when it failed, or where the stdout callback's output is data
  type: raw
lines:
  description: The lines of the report, because RV(msg) has the failure.
  returned: when it failed and the stdout callback's output is data
  type: list
  elements: str
"""
