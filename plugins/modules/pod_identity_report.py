#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_report
version_added: 0.1.0
short_description: Internal - join what was done and verified into one report, as a fact and as an artifact
description:
  - It belongs to the role P(workload_identity.aws.pod_identity#role), is not meant for plays of your own, and may change with
    any release.
  - Does what the filter P(workload_identity.aws.pod_identity_report#filter) does, and sets the outcome as the fact
    C(pod_identity_report) and, for AWX and Automation Platform, as artifacts, which are C(pod_identity) by cluster, and one for each
    cluster.
  - It takes the names of variables rather than their values, which spares Ansible the templating of thousands of rows.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  cluster_name:
    description: Name of the EKS cluster.
    type: str
    required: true
  result:
    description:
      - Name of the variable with the result of M(workload_identity.aws.eks_pod_identity) or
        M(workload_identity.aws.eks_pod_identity_info).
      - When left out, the fact becomes an empty mapping and no artifact is set. At the start of a run this keeps the report
        of an earlier one from being taken for its own, should it stop early.
    type: str
  kubernetes:
    description: Name of the variable with the result of M(workload_identity.aws.pod_identity_kubernetes).
    type: str
  service_accounts:
    description:
      - Name of the variable with the result of M(kubernetes.core.k8s_info) for service accounts, where the Kubernetes half
        was not run.
    type: str
  cluster_reads:
    description:
      - What else was read in the cluster, namely names of variables with results of M(kubernetes.core.k8s_info), by the
        names that the filter has for them, like C(pods). What is left out is not verified.
    type: dict
    default: {}
  ignore:
    description: Codes of findings that are accepted. They are shown as accepted and do not fail.
    type: list
    elements: str
    default: []
  fail_on:
    description: The least severity of a finding that makes the report say C(failed).
    type: str
    choices:
      - error
      - warning
    default: error
  path:
    description: A file on the controller to write the report to, as JSON, in check mode, too.
    type: path
  junit_path:
    description:
      - A file on the controller to write the report to in the XML of JUnit, in check mode, too. A test case is a workload; one
        that was not verified is skipped.
    type: path
  artifact:
    description:
      - What the artifacts hold. V(full) is the report, V(short) leaves out the workloads, the lines and the documents of
        changes, V(none) sets none. V(auto) is V(short) above 200 workloads.
    type: str
    choices:
      - auto
      - full
      - short
      - none
    default: auto
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Verify the AWS side
  workload_identity.aws.eks_pod_identity_info:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
  register: verified

- name: Read the service accounts
  kubernetes.core.k8s_info:
    kind: ServiceAccount
    namespace: default
  register: found

- name: Report
  workload_identity.aws.pod_identity_report:
    cluster_name: my-cluster
    result: verified
    service_accounts: found

- name: Show the table
  ansible.builtin.debug:
    msg: "{{ pod_identity_report.lines }}"
"""

RETURN = r"""
headline:
  description: Why the run failed, in one line; empty when it did not.
  returned: with O(result)
  type: str
ansible_stats:
  description:
    - The report as artifacts. Its members are those of the filter P(workload_identity.aws.pod_identity_report#filter).
  returned: with O(result)
  type: dict
"""
