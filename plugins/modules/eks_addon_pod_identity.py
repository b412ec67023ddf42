#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_addon_pod_identity
version_added: 1.0.0
short_description: Manage an EKS add-on and the IAM roles of its service accounts
description:
  - Installs, updates and removes an EKS add-on, for example the EKS Pod Identity Agent or the EBS CSI driver, and waits
    until it is active.
  - Gives the service accounts of the add-on IAM roles with EKS Pod Identity. Other associations of the add-on are kept,
    unless O(purge_associations=true).
  - Refuses to replace or remove a role that is neither listed nor managed by this collection for O(owner), unless
    O(adopt=true).
  - Configuration values are kept unless O(configuration_values) is set.
  - The module does not create roles. The trust policies of the roles must allow C(pods.eks.amazonaws.com).
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
  addon_name:
    description:
      - Name of the add-on, for example V(eks-pod-identity-agent) or V(aws-ebs-csi-driver).
    type: str
    required: true
    aliases:
      - name
  state:
    description:
      - V(present) installs or updates the add-on. V(absent) removes the add-on and the associations that it owns. For
        an association whose role this collection does not manage, O(pod_identity_associations) must list the role.
      - The EKS Pod Identity Agent is not removed while the cluster has associations, because the Pods of these
        associations would lose their credentials.
    type: str
    choices:
      - present
      - absent
    default: present
  addon_version:
    description:
      - V(latest) installs the newest version that is compatible with the Kubernetes version of the cluster.
      - A minimum such as V(>=v1.3.0) keeps an installed version that is not older than the minimum. Otherwise it installs
        the newest compatible version.
      - A version such as V(v1.3.8-eksbuild.2) installs exactly this version, even if a newer version is installed.
      - If omitted, an installed version is kept, and a new add-on gets the default version of EKS.
    type: str
  configuration_values:
    description:
      - Configuration values of the add-on as a mapping, or as JSON or YAML text. They replace all current values.
      - If omitted, the current values are kept.
    type: raw
  pod_identity_associations:
    description:
      - IAM roles for service accounts of the add-on.
      - EKS accepts only the service accounts that the version of the add-on lists; RV(identities) has their names.
    type: list
    elements: dict
    default: []
    suboptions:
      service_account:
        description:
          - Name of the service account in the namespace of the add-on.
        type: str
        required: true
      role_arn:
        description:
          - ARN of a role in the account of the cluster.
        type: str
        required: true
  purge_associations:
    description:
      - Whether to delete associations of the add-on that are not in O(pod_identity_associations).
    type: bool
    default: false
  adopt:
    description:
      - Whether to replace or remove roles of the add-on that another process or owner has set. A role was set by this
        collection if it has the tag of this collection and of O(owner).
    type: bool
    default: false
  owner:
    description:
      - The owner of the roles that the module may replace or remove, as O(workload_identity.aws.eks_pod_identity#module:owner).
        A new add-on gets a tag with this owner.
    type: str
  overwrite:
    description:
      - Whether EKS may overwrite settings of the add-on that were changed in the cluster, for example by a
        self-managed installation. If false, EKS keeps these settings in an update, and refuses to install an add-on that
        would overwrite them.
    type: bool
    default: false
  preserve:
    description:
      - With O(state=absent), whether to keep the Kubernetes objects of the add-on in the cluster. EKS then no longer manages
        them.
    type: bool
    default: false
  tags:
    description:
      - Tags of a new add-on. The module does not change the tags of an installed add-on.
    type: dict
    aliases:
      - resource_tags
  wait_timeout:
    description:
      - Seconds to wait until the add-on is active or deleted. With V(0) the module does not wait.
      - An add-on is active when its Pods run, so it may need a node.
    type: int
    default: 300
  deadline:
    description:
      - Maximum duration of the task in seconds. The signals SIGINT and SIGTERM also end the task. Unlimited by default.
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.eks_pod_identity_association
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
"""

EXAMPLES = r"""
- name: Install the EKS Pod Identity Agent
  workload_identity.aws.eks_addon_pod_identity:
    cluster_name: my-cluster
    addon_name: eks-pod-identity-agent

- name: Update the agent if it is older than a version
  workload_identity.aws.eks_addon_pod_identity:
    cluster_name: my-cluster
    addon_name: eks-pod-identity-agent
    addon_version: ">=v1.3.7"

- name: Give the controller of the EBS CSI driver a role
  workload_identity.aws.eks_addon_pod_identity:
    cluster_name: my-cluster
    addon_name: aws-ebs-csi-driver
    pod_identity_associations:
      - service_account: ebs-csi-controller-sa
        role_arn: arn:aws:iam::111122223333:role/ebs-csi

- name: Show the changes of an update to the newest version
  workload_identity.aws.eks_addon_pod_identity:
    cluster_name: my-cluster
    addon_name: aws-ebs-csi-driver
    addon_version: latest
  check_mode: true
  diff: true

- name: Remove the EBS CSI driver and its associations
  workload_identity.aws.eks_addon_pod_identity:
    cluster_name: my-cluster
    addon_name: aws-ebs-csi-driver
    pod_identity_associations:
      - service_account: ebs-csi-controller-sa
        role_arn: arn:aws:iam::111122223333:role/ebs-csi
    state: absent
"""

RETURN = r"""
addon:
  description: The add-on after the task, or in check mode the predicted add-on. Null when it is not installed.
  returned: always
  type: dict
  contains:
    name:
      description: Name of the add-on.
      type: str
      sample: aws-ebs-csi-driver
    arn:
      description: ARN of the add-on; empty in check mode for an add-on that is not installed yet.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:addon/my-cluster/aws-ebs-csi-driver/1ac0b1c2-1111-2222-3333-444455556666
    status:
      description: Status of the add-on, for example V(ACTIVE) or V(DEGRADED).
      type: str
      sample: ACTIVE
    version:
      description: Version of the add-on.
      type: str
      sample: v1.50.1-eksbuild.1
    configuration_values:
      description: The configuration values as text; empty when there are none.
      type: str
      sample: ""
    roles:
      description: A mapping from each service account to the ARN of its IAM role.
      type: dict
      sample:
        ebs-csi-controller-sa: arn:aws:iam::111122223333:role/ebs-csi
    issues:
      description: Health issues as EKS reports them, with code and message.
      type: list
      elements: str
      sample: []
    tags:
      description: Tags of the add-on.
      type: dict
      sample:
        team: platform
identities:
  description:
    - The service accounts for which this version of the add-on accepts roles. Empty when the add-on is not installed.
  returned: always
  type: list
  elements: dict
  contains:
    service_account:
      description: Name of the service account.
      type: str
      sample: ebs-csi-controller-sa
    recommended_policies:
      description: ARNs of the managed policies that EKS recommends. They may allow more than the add-on needs.
      type: list
      elements: str
      sample:
        - arn:aws:iam::aws:policy/service-role/AmazonEBSCSIDriverPolicy
action:
  description: The action, or in check mode the planned action. One of V(create), V(update), V(delete), V(none).
  returned: always
  type: str
  sample: create
"""

import time
from typing import Any

from ..module_utils._aws.client import Api, api_for
from ..module_utils._aws.interrupt import (
    ensuring_result,
    pause,
)
from ..module_utils._aws.sdk import AwsModule
from ..module_utils._findings.text import (
    visible,
    with_option_names,
)
from ..module_utils._identity.inputs.addons import parse_addon
from ..module_utils._identity.inputs.assume_role import assume_role_spec, read_assume_role
from ..module_utils._identity.inputs.options import (
    parse_account_id,
    parse_cluster_name,
    validate_options,
)
from ..module_utils._identity.model.addons import (
    ObservedAddon,
)
from ..module_utils._identity.model.desired import Desired, Options
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
    sentence,
)
from ..module_utils._identity.read.addons import (
    read_identities,
)
from ..module_utils._identity.read.cluster import find_cluster
from ..module_utils._identity.run.addons import AddonRun
from ..module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ..module_utils._identity.run.engine import Engine
from ..module_utils._identity.run.order import Order, apply_order
from ..module_utils._identity.run.result import diff_row


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "cluster_name": {"type": "str", "required": True, "aliases": ["cluster"]},
            "account_id": {"type": "str"},
            "addon_name": {"type": "str", "required": True, "aliases": ["name"]},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "addon_version": {"type": "str"},
            "configuration_values": {"type": "raw"},
            "pod_identity_associations": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "service_account": {"type": "str", "required": True},
                    "role_arn": {"type": "str", "required": True},
                },
            },
            "purge_associations": {"type": "bool", "default": False},
            "adopt": {"type": "bool", "default": False},
            "owner": {"type": "str"},
            "overwrite": {"type": "bool", "default": False},
            "preserve": {"type": "bool", "default": False},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "wait_timeout": {"type": "int", "default": 300},
            "deadline": {"type": "int"},
            **assume_role_spec(),
        },
        supports_check_mode=True,
    )
    params = module.params
    try:
        validate_options(params)
        spec = parse_addon(params)
        cluster_name = parse_cluster_name(params["cluster_name"])
        api = api_for(module, role=read_assume_role(params))
        cluster = find_cluster(api, cluster_name, module.region or "", account_id=parse_account_id(params))
        # An add-on takes minutes to change, and more frequent reads would count against the request rate of the account.
        waiting = WaitPolicy(params["wait_timeout"], time.monotonic, pause, first_pause=1, longest_pause=10)
        addon = AddonRun(api, cluster, spec, waiting, module.check_mode)
        # A longer wait would only delay the error about a role that EKS never accepts.
        patience = WaitPolicy(min(params["wait_timeout"], 60), time.monotonic, pause)
        engine = Engine(api, cluster, 1, patience, addon=addon)
        order = Order(params["state"], module.check_mode, deadline=params["deadline"] or None)
        applied = apply_order(engine, Desired((), Options(single=True)), order)
    except InputError as error:
        module.fail_json(msg=with_option_names(input_message(error), ""))
    except AwsError as error:
        module.fail_json(**aws_failure(error, module.region))
    run, guard = applied.run, applied.guard
    change = next(iter(run.changes), None)
    changed = change is not None or any(failure.partly for failure in run.failures)
    place = f"add-on {spec.name} of cluster {cluster.name} (account {cluster.account_id}, region {cluster.region})"
    if guard.cause is not None:
        state = "was changed, but may not be active yet" if changed else "was not changed"
        module.fail_json(
            msg=with_option_names(visible(f"{place} {state}: {guard.cause.text} {guard.cause.remedy}"), ""),
            error_code=str(guard.cause.code),
            remedy=with_option_names(guard.cause.remedy, ""),
            changed=changed,
            **({"exception": guard.trace} if guard.trace and module.traces else {}),
        )
    inactive = addon.find_inactive() if change is None and params["wait_timeout"] else None
    if failure := next(iter(run.failures), inactive):
        requested = change is not None or (failure.cause is not None and failure.action != "read")
        outcome = f"{failure.action} of {place} failed" if requested else f"{place} was not changed"
        module.fail_json(
            msg=visible(f"{outcome}: {failure.error_code}: {sentence(failure.message)} {failure.remedy}"),
            error_code=str(failure.error_code),
            remedy=failure.remedy,
            changed=changed,
        )
    module.exit_json(
        changed=changed,
        addon=_addon_row(addon.observed),
        identities=_identity_rows(api, addon.observed),
        action=change.action if change else "none",
        diff=[diff_row(change)] if change else [],
    )


def _addon_row(addon: ObservedAddon | None) -> dict[str, Any] | None:
    if addon is None:
        return None
    return {
        "name": addon.name,
        "arn": addon.arn,
        "status": addon.status,
        "version": addon.version,
        "configuration_values": addon.configuration,
        "roles": dict(addon.roles),
        "issues": list(addon.issues),
        "tags": dict(addon.tags),
    }


def _identity_rows(api: Api, addon: ObservedAddon | None) -> list[dict[str, Any]]:
    # In check mode, the version of a new add-on may be the text "the default of EKS", which EKS does not accept as a version.
    if addon is None or not addon.version.startswith("v"):
        return []
    try:
        return [
            {"service_account": service_account, "recommended_policies": list(policies)}
            for service_account, policies in read_identities(api, addon.name, addon.version).items()
        ]
    except AwsError:
        # Ignore the error, because the add-on already has its desired state. The caller may lack the permission for this read.
        return []


if __name__ == "__main__":
    main()
