#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_verdict
version_added: 0.1.0
short_description: Internal - show the report of the role pod_identity, and fail when it says so
description:
  - It belongs to the role P(workload_identity.aws.pod_identity#role), is not meant for plays of your own, and may change with
    any release.
  - The last step of the role P(workload_identity.aws.pod_identity#role). It shows the lines of the fact
    C(pod_identity_report), and fails when the report is C(failed).
  - Where the stdout callback writes for people, the lines are printed as they are, and the task fails with the C(headline)
    of the report. Where its output is data, and on AWX and Automation Platform, the lines are the C(msg) of the task, or its
    C(lines) beside the C(failure) of the report.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Check the input and read the service accounts
  workload_identity.aws.pod_identity_preflight:
    cluster_name: my-cluster
    workloads: &workloads
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
  register: preflight

- name: Apply the requested state in AWS
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads: *workloads
    verify: true
    continue_on_error: true
  register: converged

- name: Apply ServiceAccounts and verify Pods
  workload_identity.aws.pod_identity_kubernetes:
    cluster_name: my-cluster
    preflight: preflight
    result: converged
  register: applied

- name: Put together what was done and verified
  workload_identity.aws.pod_identity_report:
    cluster_name: my-cluster
    result: converged
    kubernetes: applied

- name: Show the result, and fail unless everything was done and verified
  workload_identity.aws.pod_identity_verdict:
"""

RETURN = r"""
msg:
  description: The lines where they are not printed, or why the run failed.
  returned: when the run failed, or where the stdout callback's output is data
  type: raw
lines:
  description: The lines, beside the failure.
  returned: when the run failed and the stdout callback's output is data
  type: list
  elements: str
"""
