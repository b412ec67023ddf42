#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity
version_added: 1.0.0
short_description: Configure EKS Pod Identity for Kubernetes service accounts, and verify it
description:
  - Does all the work of the role P(workload_identity.aws.pod_identity#role) in one process on the controller. It
    validates the input, reads the service accounts, creates or updates policies, roles, attachments and pod identity
    associations, applies the service accounts, verifies everything, and writes the report.
  - The module reads the variables of the role, so they are not options of the module. Use the role rather than the module,
    because the role also asserts that the verification passed.
  - The module succeeds even if the run fails, so that its report and artifacts are always available. RV(failure) has the
    reason for the failure, and the role asserts on RV(verification). A failed workload does not stop the other workloads.
  - The report is the fact C(pod_identity_report) and an artifact of the job.
  - The module is an action plugin. It runs on the controller, which needs boto3 and the Python package kubernetes.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  entry_point:
    description: V(main) applies and verifies the workloads; V(verify) only verifies.
    type: str
    choices:
      - main
      - verify
    default: main
  fleet:
    description:
      - Whether the play has many clusters, and M(workload_identity.aws.pod_identity_fleet) shows their results. This module then
        does not show the report of its cluster, and a cluster with several hosts fails.
      - With V(true), C(pod_identity_verify_only) also has an effect.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.eks_pod_identity_info
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Configure EKS Pod Identity for a service account
  workload_identity.aws.pod_identity:
  vars:
    pod_identity_cluster_name: my-cluster
    pod_identity_workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
        policies:
          - arn: arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
  register: applied

- name: Assert that the trust policies allow the Pods
  ansible.builtin.assert:
    that: applied.verification.trust != 'fail'
    fail_msg: "{{ applied.failure }}"
"""

RETURN = r"""
verification:
  description: The results of the verification, one member for each assertion of the role.
  returned: always
  type: dict
  contains:
    done:
      description: Whether all changes succeeded, apart from failures that another member reports.
      type: bool
      sample: true
    trust:
      description:
        - The result for the trust policies of the roles.
        - V(fail) if this check of any workload fails the run. Otherwise the worst result of all workloads, in the order
          V(unknown), V(warning), V(accepted), V(pass). V(skipped) if no workload has such a check.
      type: str
      sample: pass
    attachment:
      description: The result for the attachments of the policies.
      type: str
      sample: pass
    contents:
      description: The result for the documents of the policies, and for the required permissions of the workloads.
      type: str
      sample: pass
    association:
      description: The result for the pod identity associations.
      type: str
      sample: pass
    service_account:
      description: The result for the service accounts.
      type: str
      sample: pass
    agent:
      description: The result for the EKS Pod Identity Agent on the nodes.
      type: str
      sample: pass
    pods:
      description: The result for the Pods, the injection probe and the runtime proof.
      type: str
      sample: pass
failure:
  description: The reason why the run failed; empty on success.
  returned: always
  type: str
  sample: ""
msg:
  description: The lines of the report.
  returned: when the stdout callback prints JSON
  type: raw
restarted:
  description: The owners of stale Pods that were restarted.
  returned: unless the run could not begin
  type: list
  elements: str
  sample: ["Deployment shop/orders"]
not_restarted:
  description: The stale Pods without an owner that can be restarted, such as a Deployment.
  returned: unless the run could not begin
  type: list
  elements: str
  sample: []
proof_jobs:
  description: The number of Jobs of the runtime proof.
  returned: unless the run could not begin
  type: int
  sample: 0
diff:
  description: The changes, each with the values before and after the change.
  returned: unless the run could not begin
  type: list
  elements: dict
error_code:
  description: The error code of AWS or of this collection for the cause.
  returned: when the run could not begin, and the cause has a code
  type: str
  sample: AccessDenied
remedy:
  description: The action that resolves the problem.
  returned: when the run could not begin, and a remedy is known
  type: str
  sample: Allow the caller eks:DescribeCluster.
"""
