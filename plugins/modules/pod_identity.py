#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity
version_added: 0.1.0
short_description: Give Kubernetes service accounts on Amazon EKS their IAM roles, and verify them
description:
  - All the work of the role P(workload_identity.aws.pod_identity#role), in one process on the controller. It checks the input,
    reads the service accounts, creates or updates policies, roles, attachments and pod identity associations, applies the
    service accounts, verifies everything, and writes the report.
  - Its options are the variables of the role, which it reads itself. Use the role, which asserts the verification as well.
  - It does not fail itself, so that its report and artifacts are there in every case. RV(failure) says why a run failed or could
    not begin, and the role asserts RV(verification). A workload that fails stops no other.
  - The fact C(pod_identity_report) has the members of the filter P(workload_identity.aws.pod_identity_report#filter), and so do
    the artifacts of the job.
  - It is an action and runs on the controller, which needs boto3 and the Python package kubernetes.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  entry_point:
    description: V(main) brings the workloads to their state and verifies them; V(verify) changes nothing.
    type: str
    choices:
      - main
      - verify
    default: main
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
- name: Give a service account its role
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

- name: Fail where the trust policy of a role does not let its Pods in
  ansible.builtin.assert:
    that: applied.verification.trust != 'fail'
    fail_msg: "{{ applied.failure }}"
"""

RETURN = r"""
verification:
  description: The verification by name.
  returned: always
  type: dict
  contains:
    done:
      description: Whether everything was done, and nothing failed but what the other members name.
      type: bool
      sample: true
    trust:
      description:
        - Whether the trust policies let EKS Pod Identity assume the roles for these Pods alone.
        - V(fail) where a check of a workload fails the run; else the worst of V(unknown), V(warning), V(accepted) and V(pass)
          of all workloads; V(skipped) where nothing of the kind was verified.
      type: str
      sample: pass
    attachment:
      description: The same of the attachments of the policies.
      type: str
      sample: pass
    contents:
      description: The same of the contents of the policies, and of what they permit.
      type: str
      sample: pass
    association:
      description: The same of the pod identity associations.
      type: str
      sample: pass
    service_account:
      description: The same of the service accounts.
      type: str
      sample: pass
    agent:
      description: The same of the EKS Pod Identity Agent on the nodes.
      type: str
      sample: pass
    pods:
      description: The same of the Pods, of dry runs of new ones, and of the proof in a Pod.
      type: str
      sample: pass
failure:
  description: Why the run failed; empty where it did not.
  returned: always
  type: str
  sample: ""
msg:
  description: The lines of the report.
  returned: where the stdout callback's output is data
  type: raw
restarted:
  description: The workloads whose stale Pods were restarted.
  returned: unless the run could not begin
  type: list
  elements: str
  sample: ["Deployment shop/orders"]
not_restarted:
  description: The Pods that are stale and belong to nothing that could be restarted.
  returned: unless the run could not begin
  type: list
  elements: str
  sample: []
proof_jobs:
  description: How many Jobs the proof at run time made.
  returned: unless the run could not begin
  type: int
  sample: 0
diff:
  description: The changes, as differences between before and after.
  returned: unless the run could not begin
  type: list
  elements: dict
error_code:
  description: The code of AWS, or of a finding, by which the run could not begin.
  returned: when the run could not begin, and there is one
  type: str
  sample: AccessDenied
remedy:
  description: What to do about it.
  returned: when the run could not begin, and there is one
  type: str
  sample: Allow the caller eks:DescribeCluster.
"""
