#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_association
version_added: 1.0.0
short_description: Manage one EKS Pod Identity association
description:
  - Creates, updates and deletes the association of a Kubernetes service account with an IAM role.
  - An association is identified by cluster, namespace and service account. An existing association is
    updated, even if this collection did not create it, unless an EKS add-on owns it.
  - The module does not change the role or its policies. To manage these as well, use
    M(workload_identity.aws.eks_pod_identity).
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
  namespace:
    description:
      - The Kubernetes namespace. It need not exist yet.
    type: str
    required: true
  service_account:
    description:
      - The Kubernetes service account. It need not exist yet.
    type: str
    required: true
  state:
    description:
      - V(present) creates or updates the association, V(absent) deletes it.
    type: str
    choices:
      - present
      - absent
    default: present
  role_arn:
    description:
      - ARN of the IAM role, which must be in the cluster's account and trust C(pods.eks.amazonaws.com).
      - Required with O(state=present).
    type: str
  target_role_arn:
    description:
      - ARN of a second role, possibly in another account, that EKS assumes with the credentials of O(role_arn).
      - An empty string removes the target role. Unchanged if omitted.
    type: str
  disable_session_tags:
    description:
      - Whether to turn off the session tags that EKS adds. Unchanged if omitted.
      - Without session tags, a trust policy with conditions on C(aws:RequestTag) denies the workload.
        M(workload_identity.aws.eks_pod_identity) creates such trust policies by default. The module warns of this conflict if
        the caller is allowed to read the role (C(iam:GetRole)).
    type: bool
  session_policy:
    description:
      - A policy that limits the session, as a mapping or JSON text. It needs O(disable_session_tags=true).
      - EKS cannot remove the session policy of an association, so with an empty string the module fails if there is one. Set a
        policy that allows everything, or delete the association and create it again.
      - Policies are compared by meaning, so the order of keys and lists does not matter.
    type: raw
  tags:
    description:
      - Tags of the association. Unchanged if omitted.
      - An association that this module creates also gets the tag C(workload-identity/managed-by).
    type: dict
    aliases:
      - resource_tags
  purge_tags:
    description:
      - Whether to remove tags that are not in O(tags), if O(tags) is set.
    type: bool
    default: true
  force:
    description:
      - Whether to change or delete an association of an EKS add-on. Its tags change without this option.
    type: bool
    default: false
  propagation_timeout:
    description:
      - Seconds to wait until EKS accepts O(role_arn). The module waits only for a role that was created in the last few
        minutes and has a correct trust policy, because EKS may not see it yet.
      - Also the number of seconds to wait until a read of the association shows the change. If no read shows it in this
        time, the module fails with the code V(NOT_YET_VISIBLE).
    type: int
    default: 60
  deadline:
    description:
      - Maximum duration of the task in seconds. After that the module completes a change in progress, starts no further
        change, and fails with the code V(DEADLINE). The signals SIGINT and SIGTERM have the same effect. Unlimited by
        default.
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
  - module: workload_identity.aws.eks_pod_identity_association_info
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
"""

EXAMPLES = r"""
- name: Associate a service account with a role
  workload_identity.aws.eks_pod_identity_association:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    role_arn: arn:aws:iam::111122223333:role/my-role

- name: Use a target role of another account, and tag the association
  workload_identity.aws.eks_pod_identity_association:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    role_arn: arn:aws:iam::111122223333:role/my-role
    target_role_arn: arn:aws:iam::444455556666:role/lake-reader
    tags:
      team: data

- name: Remove the target role again
  workload_identity.aws.eks_pod_identity_association:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    role_arn: arn:aws:iam::111122223333:role/my-role
    target_role_arn: ""

# The trust policy of this role has no conditions on session tags, as with trust_scope: account.
- name: Narrow the session to one bucket
  workload_identity.aws.eks_pod_identity_association:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    role_arn: arn:aws:iam::111122223333:role/tenants
    disable_session_tags: true
    session_policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Action: s3:GetObject
          Resource: arn:aws:s3:::my-pod-secrets-bucket/*

- name: Delete the association
  workload_identity.aws.eks_pod_identity_association:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    state: absent
"""

RETURN = r"""
association:
  description: The association after the task, or in check mode the predicted association. Null when there is none.
  returned: always
  type: dict
  contains:
    cluster_name:
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
    association_id:
      description: ID of the association; empty in check mode for an association that does not exist yet.
      type: str
      sample: a-abcdefghijklmnop1
    association_arn:
      description: ARN of the association; empty in check mode for an association that does not exist yet.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:podidentityassociation/my-cluster/a-abcdefghijklmnop1
    role_arn:
      description: ARN of the IAM role.
      type: str
      sample: arn:aws:iam::111122223333:role/my-role
    target_role_arn:
      description: ARN of the target role; empty when there is none.
      type: str
      sample: arn:aws:iam::444455556666:role/lake-reader
    external_id:
      description: The external ID that EKS sends when it assumes the target role; empty when there is no target role.
      type: str
      sample: us-west-2/111122223333/my-cluster/default/my-service-account
    disable_session_tags:
      description: Whether session tags are turned off.
      type: bool
      sample: false
    session_policy:
      description: The document of the session policy. Null when there is none.
      type: dict
    tags:
      description: The tags of the association, as a mapping from key to value.
      type: dict
      sample:
        team: data
    owner_arn:
      description: ARN of the EKS add-on that owns the association; empty when no add-on owns it.
      type: str
      sample: ""
    created_at:
      description: Creation time of the association, in ISO 8601.
      type: str
      sample: "2026-11-24T10:15:30+00:00"
    modified_at:
      description: Time of the last change of the association, in ISO 8601.
      type: str
      sample: "2026-11-24T10:15:30+00:00"
action:
  description: The action, or in check mode the planned action. One of V(create), V(update), V(replace), V(delete),
    V(none).
  returned: always
  type: str
  sample: create
"""

import time
from dataclasses import replace

from ..module_utils._aws.client import api_for
from ..module_utils._aws.interrupt import (
    ensuring_result,
    pause,
)
from ..module_utils._aws.sdk import AwsModule
from ..module_utils._findings.finding import WorkloadKey
from ..module_utils._findings.text import (
    visible,
    with_option_names,
)
from ..module_utils._identity.inputs.assume_role import assume_role_spec, read_assume_role
from ..module_utils._identity.inputs.options import (
    parse_account_id,
    parse_cluster_name,
    validate_options,
)
from ..module_utils._identity.inputs.workloads import (
    parse_association,
)
from ..module_utils._identity.model.desired import (
    Desired,
    Options,
    Workload,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
)
from ..module_utils._identity.run.association import (
    AssociationError,
    converge,
)
from ..module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ..module_utils._identity.run.order import Order
from ..module_utils._identity.run.result import diff_row


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "cluster_name": {"type": "str", "required": True, "aliases": ["cluster"]},
            "account_id": {"type": "str"},
            "namespace": {"type": "str", "required": True},
            "service_account": {"type": "str", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            "role_arn": {"type": "str"},
            "target_role_arn": {"type": "str"},
            "disable_session_tags": {"type": "bool"},
            "session_policy": {"type": "raw"},
            "tags": {"type": "dict", "aliases": ["resource_tags"]},
            "purge_tags": {"type": "bool", "default": True},
            "force": {"type": "bool", "default": False},
            "propagation_timeout": {"type": "int", "default": 60},
            "deadline": {"type": "int"},
            **assume_role_spec(),
        },
        required_if=[("state", "present", ["role_arn"])],
        supports_check_mode=True,
    )
    params = module.params
    try:
        validate_options(params)
        role = read_assume_role(params)
        key = WorkloadKey(
            parse_cluster_name(params["cluster_name"]), params["namespace"], params["service_account"]
        )
        spec = replace(parse_association(params), role_arn=params["role_arn"] or "")
        options = Options(
            purge_tags=params["tags"] is not None and params["purge_tags"], force=params["force"]
        )
        account_id = parse_account_id(params)
        result = converge(
            api_for(module, role=role),
            Desired((Workload(key, None, association=spec),), options),
            Order(params["state"], module.check_mode, deadline=params["deadline"] or None),
            module.region or "",
            WaitPolicy(params["propagation_timeout"], time.monotonic, pause),
            account_id,
        )
    except InputError as error:
        module.fail_json(msg=with_option_names(input_message(error), ""))
    except AwsError as error:
        module.fail_json(**aws_failure(error, module.region))
    except AssociationError as error:
        module.fail_json(
            msg=with_option_names(visible(str(error)), ""),
            error_code=error.failure.error_code,
            remedy=with_option_names(error.failure.remedy, ""),
            changed=error.changed,
            **({"exception": error.trace} if error.trace and module.traces else {}),
        )
    for warning in result.warnings:
        module.warn(visible(warning))
    change = result.change
    module.exit_json(
        changed=change is not None,
        association=result.association,
        action=change.action if change else "none",
        diff=[diff_row(change)] if change else [],
    )


if __name__ == "__main__":
    main()
