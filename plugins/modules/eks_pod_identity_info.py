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
    passed, and RV(findings) what is wrong, why, and what to do.
  - The module itself fails only when it cannot read; whether a finding is a failure is for the caller to say, as the
    role P(workload_identity.aws.pod_identity#role) does.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  cluster_name:
    description:
      - Name of the EKS cluster.
    type: str
    required: true
    aliases:
      - cluster
  account_id:
    description: As O(workload_identity.aws.eks_pod_identity#module:account_id).
    type: str
  workloads:
    description:
      - The workloads as they are wanted, in the form of O(workload_identity.aws.eks_pod_identity#module:workloads).
      - When not given, every association of the cluster is verified, with the role that it names.
    type: list
    elements: dict
  workloads_from:
    description:
      - Files with workloads, or folders of such files, one team a file, instead of O(workloads). With thousands of workloads
        this spares Ansible the handling of the list.
      - A file ends in C(.yml), C(.yaml) or C(.json) and holds a list of workloads, or a mapping with such a list under
        C(pod_identity_workloads) or C(workloads). It is plain data, nothing in it is templated. Errors name file and line.
      - A relative path is looked for beside the playbook, then in the directory in which Ansible was started; when both
        have it, that is an error.
      - The files are read on the controller, also when the module runs on another host.
    type: list
    elements: path
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
  parsed_input:
    description:
      - What the action plugin of this module hands to it in the place of O(workloads) and O(workloads_from), which it parses on
        the controller. It is not meant for plays.
    type: dict
    suboptions:
      path:
        description: A file that the action plugin has written.
        type: path
        required: true
      sha256:
        description: The SHA-256 of its content. The module refuses any other content.
        type: str
        required: true
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
"""

RETURN = r"""
workloads:
  description: What there is for each workload, in the order given.
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
  returned: always
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
summary:
  description: How many workloads there are by outcome.
  returned: always
  type: dict
  contains:
    workloads:
      description: How many workloads were verified.
      type: int
      sample: 1
    passed:
      description: How many of them passed every check.
      type: int
      sample: 1
    failed:
      description: How many of them have a failed check.
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
  description: The AWS account of the cluster.
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
  returned: always
  type: str
  sample: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
"""

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import answering
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import (
    workloads_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    parsed_input_spec,
    verify_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    parsed_argument,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import (
    ModuleResult,
    end_module,
    job_of,
    verify_cluster,
)


@answering()
def main() -> None:
    module = AwsModule(
        argument_spec={
            **verify_spec(),
            "workloads": workloads_spec(),
            "workloads_from": {"type": "list", "elements": "path"},
            "parsed_input": parsed_input_spec(),
        },
        supports_check_mode=True,
    )
    job = job_of(module)

    def verify() -> ModuleResult:
        ways = ("parsed_input", "workloads", "workloads_from")
        listed = any(module.params[way] is not None for way in ways)
        return verify_cluster(job, parsed_argument(module.params["parsed_input"]) if listed else None)

    end_module(module, job.guarded(verify))


if __name__ == "__main__":
    main()
