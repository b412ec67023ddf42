#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_info
version_added: 0.1.0
short_description: Read and verify the EKS Pod Identity chain of workloads
description:
  - Reads role, trust policy, attachments, policies and association of each workload, and compares them with what is
    wanted. Nothing is changed.
  - The checks are the five confirmations of the EKS User Guide, and further the agent add-on or EKS Auto Mode, the
    cluster's platform version, C(required_permissions), the way to a target role on both sides, and whether a trust
    policy is wider than asked. For each workload RV(workloads[].checks) says which
    passed, and RV(findings) what is wrong, why, and what to do. O(clusters) does it for several clusters of one account.
  - The module itself fails only when it cannot read; whether a finding is a failure is for the caller to say, as the
    role P(workload_identity.aws.pod_identity#role) does.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  workloads:
    description:
      - The workloads as they are wanted, in the form of O(workload_identity.aws.eks_pod_identity#module:workloads).
      - When not given, every association of the cluster is verified, with the role that it names. The entries of O(clusters)
        each need a list.
    type: list
    elements: dict
  check_caller:
    description:
      - Whether to ask IAM's policy simulator if the caller is allowed to perform what
        M(workload_identity.aws.eks_pod_identity) needs for these workloads, C(iam:PassRole) among it. The caller needs
        C(iam:SimulatePrincipalPolicy) for that.
    type: bool
    default: false
  trust_scope:
    description:
      - Who is meant to be able to use the roles, as given to M(workload_identity.aws.eks_pod_identity). A trust policy that
        lets in more is a finding.
    type: str
    choices:
      - workload
      - namespace
      - cluster
      - account
      - none
  concurrency:
    description:
      - How many requests may be under way at once.
    type: int
    default: 16
  deadline:
    description:
      - How many seconds the task may take. What is not read by then makes it fail, with the code V(DEADLINE). SIGINT and
        SIGTERM end it alike. Without it there is no such limit.
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
  - workload_identity.aws.clusters
  - workload_identity.aws.attributes
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

- name: Stop when something is wrong
  ansible.builtin.assert:
    that: verified.summary.failed + verified.summary.unknown == 0
    fail_msg: "{{ verified.findings | map(attribute='message') | join(' ') }}"

- name: Verify workloads of clusters of one account
  workload_identity.aws.eks_pod_identity_info:
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: my-service-account
            role:
              name: my-role
"""

RETURN = r"""
workloads:
  description: What there is for each workload, in the order given.
  returned: with O(cluster_name)
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
      description: ARNs of the policies asked for.
      type: list
      elements: str
      sample:
        - arn:aws:iam::111122223333:policy/my-policy
    association_id:
      description: ID of the association; empty while there is none.
      type: str
      sample: a-abcdefghijklmnop1
    association_arn:
      description: ARN of the association; empty while there is none.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:podidentityassociation/my-cluster/a-abcdefghijklmnop1
    association_created_at:
      description: When the association was made, in ISO 8601; empty while there is none.
      type: str
      sample: "2026-03-10T12:00:00+00:00"
    association_modified_at:
      description:
        - When the association was last changed, in ISO 8601; empty while there is none.
        - Pods that are older may use credentials of its former role for up to six hours.
      type: str
      sample: "2026-03-10T12:00:00+00:00"
    role_created_at:
      description: When the role of the association was created, in ISO 8601; empty where it was not read.
      type: str
      sample: "2026-03-10T11:59:00+00:00"
    target_role_arn:
      description: ARN of the target role of the association; empty when there is none.
      type: str
      sample: ""
    external_id:
      description: The external ID that EKS uses towards a target role; empty when there is no target role.
      type: str
      sample: ""
    status:
      description: One of V(pass), V(warning), V(unknown), V(fail).
      type: str
      sample: pass
    checks:
      description:
        - The outcome of each check, in order, with the keys RV(ignore:name), RV(ignore:status) (V(pass), V(warning),
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
  description: What is wrong or noteworthy.
  returned: with O(cluster_name)
  type: list
  elements: dict
  contains:
    code:
      description: A stable code.
      type: str
      sample: POLICY_NOT_ATTACHED
    severity:
      description: One of V(error), V(warning), V(info).
      type: str
      sample: error
    workload:
      description: The workload it is about, as namespace/service-account.
      type: str
      sample: default/my-service-account
    message:
      description: What was found.
      type: str
    remedy:
      description: What to do about it.
      type: str
clusters:
  description:
    - The result of each cluster, in the order of O(clusters), with the values that are returned with O(cluster_name) and these.
      A resource that clusters share is in the rows of each.
  returned: with O(clusters)
  type: list
  elements: dict
  contains:
    cluster_name:
      description: Name of the cluster.
      type: str
      sample: my-cluster
    region:
      description: Region of the cluster.
      type: str
      sample: us-west-2
    failed:
      description: Whether the cluster could not be read.
      type: bool
      sample: false
    left_out:
      description: Whether the cluster could not be read. It then has no other values of a cluster.
      returned: when it could not be read
      type: bool
      sample: true
    names:
      description: The workloads of a cluster that could not be read, as namespace/service-account.
      returned: when it could not be read
      type: list
      elements: str
      sample:
        - default/reports
    error_code:
      description: Why it could not be read, by the error code of AWS or a code of this collection.
      returned: when it could not be read
      type: str
      sample: ResourceNotFoundException
    remedy:
      description: What to do about it.
      returned: when it could not be read
      type: str
    msg:
      description: The failures, with their workloads, cause and remedy.
      returned: when something failed
      type: str
msg:
  description: The failures by cluster.
  returned: when a cluster of O(clusters) could not be read
  type: str
summary:
  description: How many workloads there are by outcome, with O(clusters) of all of them together.
  returned: always
  type: dict
  contains:
    clusters:
      description: How many clusters were listed.
      returned: with O(clusters)
      type: int
      sample: 2
    workloads:
      description: How many workloads were verified.
      type: int
      sample: 1
    passed:
      description: How many of them passed every check.
      type: int
      sample: 1
    failed:
      description: How many of them have a failed check, or belong to a cluster that could not be read.
      type: int
      sample: 0
    warnings:
      description: How many of them have nothing worse than a warning.
      type: int
      sample: 0
    unknown:
      description: How many of them could not be judged, because something could not be read.
      type: int
      sample: 0
    findings:
      description: How many findings there are.
      type: int
      sample: 0
account_id:
  description: The AWS account of the cluster or clusters.
  returned: always
  type: str
  sample: "111122223333"
caller_arn:
  description: ARN of the principal that asked.
  returned: always
  type: str
  sample: arn:aws:sts::111122223333:assumed-role/deployer/session
cluster_arn:
  description: ARN of the cluster.
  returned: with O(cluster_name)
  type: str
  sample: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
"""

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import answering
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    read_cluster_inputs,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import (
    clusters_spec,
    workloads_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    verify_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import (
    ModuleResult,
    end_module,
    job_of,
    verify_cluster,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.clusters import (
    verify_clusters,
)


@answering()
def main() -> None:
    module = AwsModule(
        argument_spec={
            **verify_spec(),
            "workloads": workloads_spec(),
            "workloads_from": {"type": "list", "elements": "path"},
            "clusters": clusters_spec(),
        },
        supports_check_mode=True,
    )
    job = job_of(module)

    def verify() -> ModuleResult:
        params = module.params
        if params["clusters"] is not None:
            return verify_clusters(job, read_cluster_inputs(params, refuse_files))
        listed = any(params[way] is not None for way in ("workloads", "workloads_from"))
        return verify_cluster(job, read_input(params, refuse_files) if listed else None)

    end_module(module, job.guarded(verify))


if __name__ == "__main__":
    main()
