#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity
version_added: 0.1.0
short_description: Give Kubernetes service accounts an IAM role with EKS Pod Identity
description:
  - Brings the AWS side of EKS Pod Identity into the wanted state for a list of workloads of one cluster, or with O(clusters)
    of several, namely permissions policies, IAM roles with their trust policies, attachments, and pod identity associations.
  - Everything is read first and a plan is made of it. Check mode and diff show that plan; otherwise it is applied in
    stages, concurrently within each stage. One workload's failure does not stop the others.
  - What the module makes carries the tag C(workload-identity/managed-by). O(state=absent) removes only that, and only
    when nothing else uses it.
  - The service accounts themselves are Kubernetes objects and are not made by this module; the role
    P(workload_identity.aws.pod_identity#role) makes them too and verifies the result.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  purge:
    description:
      - Whether to remove, once all wanted workloads are done, what was made by this collection for workloads of the cluster
        that are not listed (any more), namely their associations, and roles and policies that nothing else uses. It
        compares AWS with the list of one cluster, so it excludes O(clusters).
      - A policy goes, too, when it was made for this cluster, no workload lists it any more, and nothing has it attached.
      - A role that a wanted workload has just moved away from stays until the next purge, since running Pods may still hold
        its credentials.
      - Limit it by O(owner) or O(purge_namespaces) where several lists are kept for one cluster. Check mode with diff shows
        what would go.
    type: bool
    default: false
  purge_all:
    description:
      - With O(purge=true) and an empty list of workloads, whether that is meant, so that everything is removed that was made
        for the cluster, within O(owner) and O(purge_namespaces). Without it such a run is refused before anything is read.
      - O(purge_limit) still holds.
    type: bool
    default: false
  purge_namespaces:
    description:
      - With O(purge=true), only workloads of these Kubernetes namespaces are removed. A policy without a workload belongs
        to no namespace, and stays.
    type: list
    elements: str
    default: []
  purge_limit:
    description:
      - With O(purge=true), how many workloads may be removed in one run. More than that, as after a mistaken empty list,
        is refused before anything is changed. With V(0) nothing may be removed.
      - A share like V(20%) is of the workloads that are there, listed or not, rounded down.
    type: str
    default: "10"
  owner:
    description:
      - Whose workloads these are. Everything that is made gets the tag C(workload-identity/owner) with this value.
      - What carries the tag of another owner is not changed or deleted without O(adopt=true), by a run without owner
        neither. O(purge=true) touches only what carries the tag with this value, or when not set what has no such tag.
      - It must be a Kubernetes label value, since the role P(workload_identity.aws.pod_identity#role) labels service accounts
        with it, namely 1 to 63 letters, digits, V(-), V(_) and V(.), with a letter or digit at both ends.
    type: str
  continue_on_error:
    description:
      - Whether the module ends well when single workloads or clusters of O(clusters) failed, so that the caller can go on with
        the others. RV(failures) or RV(clusters) has the failures, and RV(msg) describes them. Invalid input, or a single cluster
        that cannot be used, fails in any case.
    type: bool
    default: false
  verify:
    description:
      - Whether to read everything again afterwards and verify it, as M(workload_identity.aws.eks_pod_identity_info) does.
        The outcome is in RV(verification); a finding does not make the module fail.
      - In check mode it judges the state that the changes would lead to, so its findings are those that a run would leave.
    type: bool
    default: false
  deadline:
    description:
      - How long the whole run may take, in seconds. Then no more requests are sent, what has begun is brought to its
        end, and RV(failures) holds what was not done, with the code V(DEADLINE).
      - Without it, only each request is bounded.
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
  - workload_identity.aws.clusters
  - workload_identity.aws.attributes
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

- name: Use an existing role as it is, once its trust policy has been found to allow it
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: reports
        role:
          arn: arn:aws:iam::111122223333:role/reports

- name: Reach a role of another account by way of a role of this one
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

- name: Give the service accounts of clusters of one account their roles
  workload_identity.aws.eks_pod_identity:
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: exporter
            role:
              name: exporter

- name: Remove all that was made for a workload
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
  description: The state that was asked for.
  returned: with O(cluster_name)
  type: str
  sample: present
changes:
  description: The changes that were made, or in check mode would be made, in order.
  returned: with O(cluster_name)
  type: list
  elements: dict
  contains:
    workload:
      description: The workload it is for, as namespace/service-account.
      type: str
      sample: default/my-service-account
    shared_with:
      description: Further workloads that the resource is for.
      returned: when there are any
      type: list
      elements: str
    resource:
      description: The kind of resource, one of V(policy), V(role), V(trust_policy), V(attachment), V(association).
      type: str
      sample: role
    name:
      description: Which one. The ARN of a policy, the name of a role, both for an attachment, the workload for an association.
      type: str
      sample: my-role
    action:
      description: >-
        One of V(create), V(update), V(replace), V(delete), V(attach), V(detach). An attachment is replaced on a role that has
        as many policies as it may have; RV(changes[].before) names the policy that leaves.
      type: str
      sample: create
    before:
      description: What changes, as it was. Null when the resource was not there.
      type: dict
    after:
      description: What changes, as it becomes. Null when the resource is removed.
      type: dict
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
    target_role_arn:
      description: ARN of the target role of the association; empty when there is none.
      type: str
      sample: ""
    external_id:
      description: The external ID that EKS uses towards a target role; empty when there is no target role.
      type: str
      sample: us-west-2/111122223333/my-cluster/default/my-service-account
    status:
      description: One of V(changed), V(unchanged), V(failed).
      type: str
      sample: changed
findings:
  description: What the user should know, though nothing failed.
  returned: with O(cluster_name)
  type: list
  elements: dict
  contains:
    code:
      description: A stable code.
      type: str
      sample: ROLE_STILL_USED
    severity:
      description: One of V(error), V(warning), V(info).
      type: str
      sample: warning
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
failures:
  description: What could not be done, a row for each workload that misses it.
  returned: with O(cluster_name)
  type: list
  elements: dict
  contains:
    workload:
      description: The workload, as namespace/service-account.
      type: str
      sample: default/my-service-account
    resource:
      description: The kind of resource.
      type: str
      sample: association
    name:
      description: Which resource.
      type: str
      sample: default/my-service-account
    action:
      description: What was to be done with it.
      type: str
      sample: create
    error_code:
      description: The error code of AWS, a code of this collection, or V(SKIPPED) when something it needs failed.
      type: str
      sample: AccessDeniedException
    message:
      description: What AWS said, or what is wrong.
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
      description: Whether the cluster could not be used, or workloads of it failed.
      type: bool
      sample: false
    left_out:
      description: Whether the cluster could not be used. RV(failures) then has the changes that wait for it.
      returned: when it could not be used
      type: bool
      sample: true
    names:
      description: The workloads of a cluster that could not be used, as namespace/service-account.
      returned: when it could not be used
      type: list
      elements: str
      sample:
        - default/reports
    error_code:
      description: Why it could not be used, by the error code of AWS or a code of this collection.
      returned: when it could not be used
      type: str
      sample: ResourceNotFoundException
    remedy:
      description: What to do about it.
      returned: when it could not be used
      type: str
    msg:
      description: The failures, with their workloads, cause and remedy.
      returned: when something failed
      type: str
summary:
  description: Counts, with O(clusters) of all of them together.
  returned: always
  type: dict
  contains:
    clusters:
      description: How many clusters were listed.
      returned: with O(clusters)
      type: int
      sample: 2
    workloads:
      description: How many workloads were asked for.
      type: int
      sample: 1
    changed:
      description: How many of them changed.
      type: int
      sample: 1
    unchanged:
      description: How many of them were as wanted already.
      type: int
      sample: 0
    failed:
      description: How many of them failed, including the workloads of clusters that could not be used.
      type: int
      sample: 0
    changes:
      description: How many changes were made. A change that clusters share counts once.
      type: int
      sample: 4
    findings:
      description: How many findings there are.
      type: int
      sample: 0
msg:
  description: What failed, on which workloads, why, and what to do.
  returned: when a workload or a cluster failed
  type: str
verification:
  description: The outcome of the verification, as M(workload_identity.aws.eks_pod_identity_info) returns it.
  returned: with O(verify=true), O(state=present) and O(cluster_name)
  type: dict
account_id:
  description: The AWS account of the cluster or clusters.
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
    change_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.run_input import (
    read_input,
    refuse_files,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import (
    ModuleResult,
    change_cluster,
    end_module,
    job_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.clusters import (
    change_clusters,
)


@answering()
def main() -> None:
    module = AwsModule(
        argument_spec={
            **change_spec(),
            "workloads": workloads_spec(),
            "workloads_from": {"type": "list", "elements": "path"},
            "purge": {"type": "bool", "default": False},
            "purge_all": {"type": "bool", "default": False},
            "purge_namespaces": {"type": "list", "elements": "str", "default": []},
            "purge_limit": {"type": "str", "default": "10"},
            "owner": {"type": "str"},
            "clusters": clusters_spec(),
        },
        supports_check_mode=True,
    )
    job = job_of(module)

    def change() -> ModuleResult:
        if module.params["clusters"] is None:
            return change_cluster(job, read_input(module.params, refuse_files))
        return change_clusters(job, read_cluster_inputs(module.params, refuse_files))

    end_module(module, job.guarded(change))


if __name__ == "__main__":
    main()
