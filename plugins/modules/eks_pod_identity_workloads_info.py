#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_workloads_info
version_added: 1.0.0
short_description: Export the EKS Pod Identity associations of a cluster as a list of workloads
description:
  - Reads all associations of a cluster, however they were created, with their roles, trust policies and policies, and
    returns them in the form of the option O(workload_identity.aws.eks_pod_identity#module:workloads).
  - Then computes the plan for this list, as M(workload_identity.aws.eks_pod_identity) does in check mode. RV(changes) and
    RV(failures) are empty if the list describes the current state completely.
  - The module does not change any resource.
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
    description: ID of the AWS account in which the cluster is expected, in quotation marks. See
      O(workload_identity.aws.eks_pod_identity#module:account_id).
    type: str
  namespaces:
    description:
      - Kubernetes namespaces to export. If omitted, all namespaces are exported.
    type: list
    elements: str
    default: []
  concurrency:
    description:
      - Maximum number of concurrent requests.
    type: int
    default: 16
  deadline:
    description:
      - Maximum duration of the task in seconds. The signals SIGINT and SIGTERM also end the task. Unlimited by default.
    type: int
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.eks_pod_identity_info
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Read the workloads of a cluster
  workload_identity.aws.eks_pod_identity_workloads_info:
    cluster_name: my-cluster
  register: exported

- name: Write them to a file for site.yml
  ansible.builtin.copy:
    dest: my-cluster.yml
    mode: "0644"
    content: "{{ {'pod_identity_workloads': exported.workloads} | to_nice_yaml(sort_keys=false) }}"
"""

RETURN = r"""
workloads:
  description: An entry of the option C(workloads) for each association that no EKS add-on owns.
  returned: always
  type: list
  elements: dict
  sample:
    - namespace: default
      service_account: my-service-account
      role:
        name: my-role
        trust_scope: anyone_in_account
      policies:
        - arn: arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess
left_out:
  description: The associations that EKS add-ons own. They are not exported, because the add-on manages them.
  returned: always
  type: list
  elements: dict
  contains:
    workload:
      description: Namespace and service account.
      type: str
      sample: kube-system/ebs-csi-controller-sa
    owner_arn:
      description: ARN of the add-on.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:addon/my-cluster/aws-ebs-csi-driver/1ac0b1c2-1111-2222-3333-444455556666
inline_policies:
  description: The inline policies of the roles. They are not exported, because workloads can have managed policies only.
  returned: always
  type: list
  elements: dict
  contains:
    role:
      description: Name of the role, in lower case.
      type: str
      sample: my-role
    policies:
      description: Names of its inline policies.
      type: list
      elements: str
      sample:
        - read-bucket
changes:
  description:
    - The planned changes, in the form of RV(workload_identity.aws.eks_pod_identity#module:changes). Empty if
      the list describes the current state completely.
  returned: always
  type: list
  elements: dict
failures:
  description: >-
    The failures of the plan, in the form of RV(workload_identity.aws.eks_pod_identity#module:failures).
  returned: always
  type: list
  elements: dict
findings:
  description: Findings of the plan, in the form of RV(workload_identity.aws.eks_pod_identity#module:findings).
  returned: always
  type: list
  elements: dict
summary:
  description: The numbers of workloads, associations, changes and failures.
  returned: always
  type: dict
  contains:
    workloads:
      description: Number of exported workloads.
      type: int
      sample: 1
    left_out:
      description: Number of associations that EKS add-ons own.
      type: int
      sample: 0
    changes:
      description: Number of planned changes.
      type: int
      sample: 0
    failures:
      description: Number of failures of the plan.
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
from ..module_utils._identity.inputs.assume_role import assume_role_spec
from ..module_utils._identity.run.cluster import (
    run_module,
)
from ..module_utils._identity.run.export import export_cluster


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "cluster_name": {"type": "str", "required": True, "aliases": ["cluster"]},
            "account_id": {"type": "str"},
            "namespaces": {"type": "list", "elements": "str", "default": []},
            "concurrency": {"type": "int", "default": 16},
            "deadline": {"type": "int"},
            **assume_role_spec(),
        },
        supports_check_mode=True,
    )
    run_module(module, lambda job: export_cluster(job, module.params["namespaces"]))


if __name__ == "__main__":
    main()
