#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity
version_added: 1.0.0
short_description: Manage IAM roles of Kubernetes service accounts with EKS Pod Identity
description:
  - Manages permissions policies, IAM roles with trust policies, attachments and pod identity associations for a list of
    workloads. A workload is a Kubernetes service account.
  - Reads AWS first and computes a plan. Check mode and diff show the plan. Otherwise the module applies the plan in stages,
    with concurrent requests in each stage. If a workload fails, the module continues with the other workloads.
  - Resources that the module creates get the tag C(workload-identity/managed-by) and are called managed. O(state=absent)
    removes only managed resources that have no other users.
  - The module does not create service accounts, which are Kubernetes objects. The role
    P(workload_identity.aws.pod_identity#role) also creates them and verifies the result.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  purge:
    description:
      - Whether to remove managed workloads of the cluster that are not in the list. Their associations are deleted, and
        their roles and policies if these have no other users. If a listed workload fails, nothing is
        taken from its roles.
      - A managed policy of this cluster that is unlisted and not attached is deleted too.
      - If a listed workload has just changed to another role, its former role is kept until the next purge, because running
        Pods may still have credentials of the former role.
      - If a cluster has several lists of workloads, limit the purge with O(owner). Check mode with
        diff shows the deletions.
    type: bool
    default: false
  purge_limit:
    description:
      - With O(purge=true), maximum number of workloads to remove in one run. A run that would remove more workloads, for
        example because a file with workloads is missing, is rejected before any change. V(0) does not allow any removal.
      - A percentage like V(20%) is relative to the number of existing workloads, listed or not. The result is rounded down.
    type: str
    default: "10"
  owner:
    description:
      - Owner of these workloads, for example a team. All managed resources get the tag C(workload-identity/owner) with this
        value.
      - Resources of another owner are not changed or deleted without O(adopt=true). O(purge=true) removes only resources of this
        owner.
      - By default, the owner is the cluster, as C(REGION.NAME). Lists and clusters that share roles or policies need the same
        owner.
      - The owner must be a valid value of a Kubernetes label, because the role
        P(workload_identity.aws.pod_identity#role) labels service accounts with it. It has 1 to 63 letters, digits, V(-), V(_)
        and V(.), and starts and ends with a letter or digit.
    type: str
  continue_on_error:
    description:
      - Whether the module succeeds even if some workloads failed. RV(failures) has the failures, and RV(msg) describes them.
        The module always fails if the input is invalid, or if the cluster cannot be used.
    type: bool
    default: false
  verify:
    description:
      - Whether to read AWS again after the changes and verify the workloads, as
        M(workload_identity.aws.eks_pod_identity_info) does. RV(verification) has the result. The module does not fail
        because of a finding.
      - In check mode the module evaluates the predicted state, and returns the findings that would remain after the
        changes.
    type: bool
    default: false
  deadline:
    description:
      - Maximum duration of the run in seconds. After that the module completes the changes in progress, and sends no
        further requests. RV(failures) has the remaining changes with the code V(DEADLINE).
      - By default the duration of the run is not limited, but each request has a timeout.
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.eks_pod_identity_info
  - module: workload_identity.aws.eks_pod_identity_association
  - module: workload_identity.aws.iam_trust_policy_check
  - name: EKS Pod Identity in the Amazon EKS User Guide
    description: How EKS Pod Identity works.
    link: https://docs.aws.amazon.com/eks/latest/userguide/pod-identities.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.run
  - workload_identity.aws.workloads
  - workload_identity.aws.cluster
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
"""

EXAMPLES = r"""
- name: Let a service account read a bucket
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
          description: my-role-description
        policies:
          - name: my-policy
            document:
              Version: "2012-10-17"
              Statement:
                - Effect: Allow
                  Action: s3:GetObject
                  Resource: arn:aws:s3:::my-pod-secrets-bucket/*

- name: Use an existing role whose trust policy allows the workload
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: reports
        role:
          arn: arn:aws:iam::111122223333:role/reports

- name: Use a target role in another account
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads:
      - namespace: data
        service_account: loader
        role:
          name: loader
        policies:
          - name: loader-assume-target
            document:
              Version: "2012-10-17"
              Statement:
                - Effect: Allow
                  Action:
                    - sts:AssumeRole
                    - sts:TagSession
                  Resource: arn:aws:iam::444455556666:role/lake-reader
        target_role_arn: arn:aws:iam::444455556666:role/lake-reader

- name: Remove the role, the policy and the association of a workload
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    state: absent
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
"""

RETURN = r"""
state:
  description: The requested state.
  returned: always
  type: str
  sample: present
changes:
  description: The changes, or in check mode the planned changes, in order.
  returned: always
  type: list
  elements: dict
  contains:
    workload:
      description: The workload, as namespace/service-account.
      type: str
      sample: default/my-service-account
    shared_with:
      description: The other workloads that use the resource.
      returned: when other workloads use it
      type: list
      elements: str
    resource:
      description: The kind of resource, one of V(policy), V(role), V(trust_policy), V(attachment), V(association).
      type: str
      sample: role
    name:
      description: >-
        The identifier of the resource. It is the ARN of a policy, the name of a role, or the workload of an association. For
        an attachment it is the name of the role and the ARN of the policy, with a space in between.
      type: str
      sample: my-role
    action:
      description: >-
        One of V(create), V(update), V(replace), V(delete), V(attach), V(detach). An attachment has the action V(replace) if
        the role has reached its quota of attached policies. RV(changes[].before) then has the policy that is detached first.
      type: str
      sample: create
    before:
      description: The changed attributes with their values before the change. Null if the resource did not exist.
      type: dict
    after:
      description: The changed attributes with their values after the change. Null if the resource is deleted.
      type: dict
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
    target_role_arn:
      description: ARN of the target role of the association; empty without target role.
      type: str
      sample: ""
    external_id:
      description: The external ID that EKS sends when it assumes the target role; empty without target role.
      type: str
      sample: us-west-2/111122223333/my-cluster/default/my-service-account
    status:
      description: One of V(changed), V(unchanged), V(failed).
      type: str
      sample: changed
findings:
  description: Findings of the run.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: The code of the finding, which does not change between versions of the collection.
      type: str
      sample: RESOURCE_KEPT
    severity:
      description: One of V(error), V(warning), V(info).
      type: str
      sample: warning
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
failures:
  description: The failures, with one row for each workload.
  returned: always
  type: list
  elements: dict
  contains:
    workload:
      description: The workload, as namespace/service-account.
      type: str
      sample: default/my-service-account
    resource:
      description: The kind of resource, as in RV(changes[].resource).
      type: str
      sample: association
    name:
      description: The resource, as in RV(changes[].name).
      type: str
      sample: default/my-service-account
    action:
      description: The failed action.
      type: str
      sample: create
    error_code:
      description: The error code of AWS, a code of this collection, or V(SKIPPED) if a dependency failed.
      type: str
      sample: AccessDeniedException
    message:
      description: The message of AWS or of this collection.
      type: str
    remedy:
      description: The action that resolves the problem.
      type: str
summary:
  description: The numbers of workloads, changes and findings.
  returned: always
  type: dict
  contains:
    workloads:
      description: Number of listed workloads.
      type: int
      sample: 1
    changed:
      description: Number of changed workloads.
      type: int
      sample: 1
    unchanged:
      description: Number of unchanged workloads.
      type: int
      sample: 0
    failed:
      description: Number of failed workloads.
      type: int
      sample: 0
    changes:
      description: Number of changes.
      type: int
      sample: 4
    findings:
      description: Number of findings.
      type: int
      sample: 0
msg:
  description: The failures with their workloads, causes and remedies.
  returned: when a workload failed
  type: str
verification:
  description: The result of the verification, as M(workload_identity.aws.eks_pod_identity_info) returns it.
  returned: with O(verify=true) and O(state=present)
  type: dict
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
    change_spec,
)
from ..module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ..module_utils._identity.run.cluster import (
    AwsJob,
    ModuleResult,
    change_cluster,
    run_module,
)


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            **change_spec(),
            "workloads": workloads_spec(),
            "workloads_from": {"type": "list", "elements": "path"},
            "purge": {"type": "bool", "default": False},
            "purge_limit": {"type": "str", "default": "10"},
            "owner": {"type": "str"},
        },
        supports_check_mode=True,
    )

    def change(job: AwsJob) -> ModuleResult:
        return change_cluster(job, read_input(module.params, refuse_files, presets_expanded=True))

    run_module(module, change)


if __name__ == "__main__":
    main()
