#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_gather
version_added: 0.1.0
short_description: Show what jobs reported of clusters, and fail when one failed or is missing
description:
  - The playbook C(workload_identity.aws.report) is one task of it.
  - Takes the variables whose names begin with C(pod_identity_artifact_), which AWX hands to the later nodes of a workflow, and
    files that C(pod_identity_report_file) names. Of two reports of one step of a cluster the later counts.
  - A report of check mode counts as done only in check mode, where plans are what is meant. What it announced has to be reported
    as done by a later report.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  expected:
    description:
      - Names of hosts or clusters, or ARNs of clusters, that must have reported. A list, or text with a name a line, names with
        commas, JSON or YAML.
    type: raw
  files:
    description: Files on the controller with reports; patterns of a shell may be used. A list or text, as O(expected).
    type: raw
  max_age:
    description: How old a report may be, in seconds, as a number or text. By default its age does not count.
    type: raw
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Show what the clusters of a fleet reported
  workload_identity.aws.pod_identity_gather:
    expected: "{{ groups['eks_clusters'] }}"
    files:
      - reports/*.json
"""

RETURN = r"""
msg:
  description: The lines where they are not printed, or why it failed.
  returned: when it failed, or where the stdout callback's output is data
  type: raw
lines:
  description: The lines, beside the failure.
  returned: when it failed and the stdout callback's output is data
  type: list
  elements: str
"""
