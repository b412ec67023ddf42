#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_info
version_added: 1.0.0
short_description: Read and verify the EKS Pod Identity chain of workloads
description:
  - Reads the role, trust policy, attachments, policies and association of each workload, and compares them with the list.
    These resources are the EKS Pod Identity chain of the workload.
  - The checks include the five confirmations in the EKS User Guide. They also cover the agent add-on or EKS Auto Mode, the
    platform version of the cluster, and C(required_permissions). For a target role they cover the trust policy and the
    permission to assume it. A last check finds trust policies that allow more than the workloads.
  - RV(workloads[].checks) has the results of each workload, and RV(findings) the causes and remedies.
  - The module does not fail because of a finding. It fails if the input is invalid, or if AWS cannot be read. Assert on the findings in your play,
    as the role P(workload_identity.aws.pod_identity#role) does.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  workloads:
    description:
      - The listed workloads, in the form of O(workload_identity.aws.eks_pod_identity#module:workloads).
      - If omitted, every association of the cluster is verified with its role.
    type: list
    elements: dict
  trust_scope:
    description:
      - Default trust scope of the roles, as in M(workload_identity.aws.eks_pod_identity). The module returns a finding for
        a trust policy that allows more.
    type: str
    choices:
      - workload
      - namespace
      - cluster
      - account
      - anyone_in_account
  path:
    description:
      - Default IAM path of the roles and policies, as in M(workload_identity.aws.eks_pod_identity).
    type: str
    default: /
  concurrency:
    description:
      - Maximum number of concurrent requests.
    type: int
    default: 16
  deadline:
    description:
      - Maximum duration of the task in seconds. If the reads take longer, the module fails with the code V(DEADLINE). The
        signals SIGINT and SIGTERM also end the module. Unlimited by default.
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.iam_trust_policy_check
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.workloads
  - workload_identity.aws.cluster
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Verify the chain of one workload
  workload_identity.aws.eks_pod_identity_info:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
        policies:
          - name: my-policy
            document:
              Version: "2012-10-17"
              Statement:
                - Effect: Allow
                  Action: s3:GetObject
                  Resource: arn:aws:s3:::my-pod-secrets-bucket/*
  register: verified

- name: Verify every association of a cluster
  workload_identity.aws.eks_pod_identity_info:
    cluster_name: my-cluster
  register: verified_all

- name: Assert that all checks passed
  ansible.builtin.assert:
    that: verified.summary.failed + verified.summary.unknown == 0
    fail_msg: "{{ verified.findings | map(attribute='message') | join(' ') }}"
"""

RETURN = r"""
workloads:
  description: The state of each workload, in the order of the list.
  returned: always
  type: list
  elements: dict
  contains:
    cluster:
      description: Name of the cluster.
      type: str
      sample: my-cluster
    namespace:
      description: The Kubernetes namespace.
      type: str
      sample: default
    service_account:
      description: The Kubernetes service account.
      type: str
      sample: my-service-account
    role_arn:
      description: ARN of the IAM role.
      type: str
      sample: arn:aws:iam::111122223333:role/my-role
    policy_arns:
      description: ARNs of the listed policies.
      type: list
      elements: str
      sample:
        - arn:aws:iam::111122223333:policy/my-policy
    association_id:
      description: ID of the association; empty without association.
      type: str
      sample: a-abcdefghijklmnop1
    association_arn:
      description: ARN of the association; empty without association.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:podidentityassociation/my-cluster/a-abcdefghijklmnop1
    association_created_at:
      description: Creation time of the association, in ISO 8601; empty without association.
      type: str
      sample: "2026-03-10T12:00:00+00:00"
    association_modified_at:
      description:
        - Time of the last change of the association, in ISO 8601; empty without association.
        - Pods that started before this time may use credentials of the former role for up to six hours.
      type: str
      sample: "2026-03-10T12:00:00+00:00"
    role_created_at:
      description: Creation time of the role of the association, in ISO 8601; empty if it was not read.
      type: str
      sample: "2026-03-10T11:59:00+00:00"
    target_role_arn:
      description: ARN of the target role of the association; empty without target role.
      type: str
      sample: ""
    external_id:
      description: The external ID that EKS sends when it assumes the target role; empty without target role.
      type: str
      sample: ""
    status:
      description: One of V(pass), V(warning), V(unknown), V(fail).
      type: str
      sample: pass
    checks:
      description:
        - The result of each check, in order, with the keys RV(ignore:name), RV(ignore:status) (V(pass), V(warning),
          V(unknown) or V(fail)) and RV(ignore:detail).
      type: list
      elements: dict
      sample:
        - name: trust
          status: pass
          detail: ""
        - name: version
          status: pass
          detail: v1
findings:
  description: The findings.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: The code of the finding, which does not change between versions of the collection.
      type: str
      sample: POLICY_NOT_ATTACHED
    severity:
      description: One of V(error), V(warning), V(info).
      type: str
      sample: error
    workload:
      description: The workload, as namespace/service-account.
      type: str
      sample: default/my-service-account
    message:
      description: A sentence that describes the finding.
      type: str
    remedy:
      description: The action that resolves the problem.
      type: str
summary:
  description: The numbers of workloads by result.
  returned: always
  type: dict
  contains:
    workloads:
      description: Number of verified workloads.
      type: int
      sample: 1
    passed:
      description: Number of workloads that passed every check.
      type: int
      sample: 1
    failed:
      description: Number of workloads with a failed check.
      type: int
      sample: 0
    warnings:
      description: Number of workloads with warnings only.
      type: int
      sample: 0
    unknown:
      description: Number of workloads with an unknown result, because a read failed.
      type: int
      sample: 0
    findings:
      description: Number of findings.
      type: int
      sample: 0
account_id:
  description: ID of the AWS account of the cluster.
  returned: always
  type: str
  sample: "111122223333"
caller_arn:
  description: ARN of the principal whose credentials were used.
  returned: always
  type: str
  sample: arn:aws:sts::111122223333:assumed-role/deployer/session
cluster_arn:
  description: ARN of the cluster.
  returned: always
  type: str
  sample: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
"""

from ..module_utils._aws.interrupt import ensuring_result
from ..module_utils._aws.sdk import AwsModule
from ..module_utils._identity.inputs.form import (
    workloads_spec,
)
from ..module_utils._identity.inputs.options import (
    verify_spec,
)
from ..module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ..module_utils._identity.run.cluster import (
    AwsJob,
    ModuleResult,
    run_module,
    verify_cluster,
)


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            **verify_spec(),
            "workloads": workloads_spec(),
            "workloads_from": {"type": "list", "elements": "path"},
        },
        supports_check_mode=True,
    )

    def verify(job: AwsJob) -> ModuleResult:
        params = module.params
        has_workloads = any(params[way] is not None for way in ("workloads", "workloads_from"))
        parsed = read_input(params, refuse_files, presets_expanded=True) if has_workloads else None
        return verify_cluster(job, parsed)

    run_module(module, verify)


if __name__ == "__main__":
    main()
