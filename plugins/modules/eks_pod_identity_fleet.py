#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_fleet
version_added: 0.1.0
short_description: Give the service accounts of several clusters of one account their IAM roles
description:
  - Does for several clusters of one AWS account what M(workload_identity.aws.eks_pod_identity) does for one. IAM is one for all
    of them, so it is read once, there is one plan, and a role that clusters share is written once, with what all of them need.
    EKS is asked in the region of each cluster.
  - A cluster that cannot be used (it is missing, not active, out of reach, or its input is refused) fails alone, with all its
    workloads named. The others are done. Meanwhile nothing is taken away that its workloads may need.
  - What was made by this collection for clusters that are not listed stays.
  - The playbook P(workload_identity.aws.pod_identity#role) of a fleet, C(workload_identity.aws.fleet), uses it for the hosts of
    an inventory, each of them a cluster, and does the Kubernetes side, too.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  clusters:
    description:
      - The clusters. All of them belong to the account of the credentials.
    type: list
    elements: dict
    required: true
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      account_id:
        description:
          - ID of the AWS account in which the cluster is expected, in quotation marks. Where the credentials belong to another
            one, the cluster fails with V(ACCOUNT_DIFFERS) before EKS is asked, and is left as it is.
        type: str
      region:
        description: Region of the cluster; when not given, that of the module.
        type: str
      workloads:
        description:
          - The workloads of the cluster, as in O(workload_identity.aws.eks_pod_identity#module:workloads). What workloads share
            is defined alike, also across clusters.
        type: list
        elements: dict
      workloads_from:
        description:
          - Files with workloads, as in O(workload_identity.aws.eks_pod_identity#module:workloads_from).
        type: list
        elements: path
      parsed_input:
        description:
          - What the action plugin hands over in the place of O(clusters[].workloads) and O(clusters[].workloads_from). It is not
            meant for plays.
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
  stopped:
    description:
      - Further clusters of the account that are meant to be among O(clusters), but of whose workloads nothing is known, because
        their input or their Kubernetes API cannot be read. Nothing is taken away that they may use, also with O(force=true);
        RV(kept) names it.
    type: list
    elements: dict
    default: []
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      region:
        description: Region of the cluster; when not given, that of the module.
        type: str
  verify_only:
    description:
      - Whether to change nothing and to verify, as M(workload_identity.aws.eks_pod_identity_info) does.
    type: bool
    default: false
  owner:
    description:
      - Whose workloads these are, as O(workload_identity.aws.eks_pod_identity#module:owner).
    type: str
  continue_on_error:
    description:
      - Whether the module ends well when clusters or single workloads failed, so that the caller can go on with the others.
        RV(clusters) says which failed and RV(msg) tells it in words.
    type: bool
    default: false
  verify:
    description:
      - Whether to read everything again afterwards and verify it. The outcome is in RV(clusters[].verification); a finding does
        not make the module fail.
    type: bool
    default: false
  check_caller:
    description:
      - With O(verify_only=true), whether to ask IAM if the caller is allowed to apply the workloads.
    type: bool
    default: false
  deadline:
    description:
      - How long the whole run may take, in seconds. What is not done then is in RV(clusters[].failures), with the code
        V(DEADLINE).
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - There is no purge here. What it may remove, and how much, is a question to the list of one cluster; purge with
    M(workload_identity.aws.eks_pod_identity), cluster by cluster.
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.eks_pod_identity_info
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.run
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Give the service accounts of clusters of one account their roles
  workload_identity.aws.eks_pod_identity_fleet:
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: reports
            role:
              name: reports

- name: Verify them, and change nothing
  workload_identity.aws.eks_pod_identity_fleet:
    verify_only: true
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: reports
            role:
              name: reports
"""

RETURN = r"""
clusters:
  description:
    - What there is of each cluster, in the order given. Beside what is listed here it has what
      M(workload_identity.aws.eks_pod_identity) returns, or with O(verify_only=true) what
      M(workload_identity.aws.eks_pod_identity_info) returns. What clusters share is in the rows of each.
  returned: always
  type: list
  elements: dict
  contains:
    cluster_name:
      description: Name of the cluster.
      type: str
      sample: blue
    region:
      description: Region of the cluster.
      type: str
      sample: eu-central-1
    failed:
      description: Whether the cluster could not be used, or workloads of it failed.
      type: bool
      sample: false
    left_out:
      description:
        - Whether the cluster could not be used. Then there are RV(clusters[].error_code) and RV(clusters[].names), and of what
          M(workload_identity.aws.eks_pod_identity) returns RV(clusters[].failures) alone.
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
      description: What failed, on which workloads, why, and what to do.
      returned: when something failed
      type: str
    verification:
      description: The outcome of the verification, as M(workload_identity.aws.eks_pod_identity_info) returns it.
      returned: with O(verify=true) and O(state=present)
      type: dict
    failures:
      description: What could not be done, as M(workload_identity.aws.eks_pod_identity) returns it.
      returned: without O(verify_only=true); of a cluster that could not be used, too, among them what waits for it elsewhere
      type: list
      elements: dict
summary:
  description: Counts.
  returned: always
  type: dict
  contains:
    clusters:
      description: How many clusters were listed.
      type: int
      sample: 2
    failed:
      description: How many of them failed.
      type: int
      sample: 0
    changed:
      description: How many of them changed.
      type: int
      sample: 2
    workloads:
      description: How many workloads they have together.
      type: int
      sample: 2
    changes:
      description: How many changes were made, or in check mode would be made. What clusters share counts once.
      type: int
      sample: 3
kept:
  description:
    - What was to lose something, or to be removed as unused, and stays as it is because a cluster of O(stopped) may use it. In a
      removal the finding V(ROLE_STILL_USED) says it of each role.
  returned: with O(stopped), without O(verify_only=true)
  type: list
  elements: str
  sample:
    - trust policy reports
msg:
  description: What failed, cluster by cluster.
  returned: when something failed
  type: str
account_id:
  description: The AWS account of the clusters.
  returned: always
  type: str
  sample: "111122223333"
caller_arn:
  description: ARN of the principal whose credentials were used.
  returned: always
  type: str
  sample: arn:aws:sts::111122223333:assumed-role/deployer/session
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import answering
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    ClusterInput,
    Stopped,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    account_id_of,
    fleet_spec,
    parsed_input_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    parsed_argument,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.cluster import (
    ModuleResult,
    end_module,
    job_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.clusters import run_clusters


def asked_of(row: Mapping[str, Any]) -> ClusterInput:
    """Return the request of a row of ``clusters``. Raises InputError."""
    return ClusterInput(
        parsed_argument(row["parsed_input"]), row["region"] or "", account_id=account_id_of(row)
    )


@answering()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "clusters": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "cluster_name": {"type": "str", "required": True},
                    "account_id": {"type": "str"},
                    "region": {"type": "str"},
                    "workloads": {"type": "list", "elements": "dict"},
                    "workloads_from": {"type": "list", "elements": "path"},
                    "parsed_input": parsed_input_spec(),
                },
            },
            "stopped": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "cluster_name": {"type": "str", "required": True},
                    "region": {"type": "str"},
                },
            },
            **fleet_spec(),
        },
        supports_check_mode=True,
    )
    job = job_of(module)

    def run() -> ModuleResult:
        asked = [asked_of(row) for row in module.params["clusters"]]
        stopped = [Stopped(row["cluster_name"], row["region"] or "") for row in module.params["stopped"]]
        return run_clusters(job, asked, stopped)

    end_module(module, job.guarded(run))


if __name__ == "__main__":
    main()
