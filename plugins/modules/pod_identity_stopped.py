#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_stopped
version_added: 0.1.0
short_description: Internal - leave the report of a role that stopped early
description:
  - It belongs to the role P(workload_identity.aws.pod_identity#role), is not meant for plays of your own, and may change with
    any release.
  - When the fact C(pod_identity_report) is empty, the role stopped before its report. Then the artifacts say so, with the
    message of the step that failed, and so do the files of C(pod_identity_report_file) and C(pod_identity_junit_file). Otherwise
    it does nothing.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  results:
    description: Names of the variables with the results of the steps, in their order.
    type: list
    elements: str
    required: true
  message:
    description: Why the role stopped, instead of what the results say.
    type: str
  entry_point:
    description: The entry point of the role. With V(verify) the report is that of a verification.
    type: str
    choices:
      - main
      - verify
    default: main
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Check the input, and report when that fails
  block:
    - name: Check the input and read the service accounts
      workload_identity.aws.pod_identity_preflight:
        entry_point: main
      register: preflight
  always:
    - name: Leave an artifact if the role stopped early
      workload_identity.aws.pod_identity_stopped:
        results: [preflight]
"""

RETURN = r"""
ansible_stats:
  description: The artifacts.
  returned: when there was no report
  type: dict
"""
