#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_association_info
version_added: 1.0.0
short_description: List the EKS Pod Identity associations of a cluster
description:
  - Lists all associations of a cluster, a namespace or a service account.
  - The EKS API lists associations without their roles and tags. With O(details=true) the module also reads these, with one
    request for each association.
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
  namespace:
    description:
      - List only associations of this Kubernetes namespace.
    type: str
  service_account:
    description:
      - List only associations of service accounts with this name.
    type: str
  details:
    description:
      - Whether to return the role, the tags and the other settings of each association. This takes one more request for each
        association.
    type: bool
    default: false
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
  - module: workload_identity.aws.eks_pod_identity_association
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
- name: List the associations of a cluster
  workload_identity.aws.eks_pod_identity_association_info:
    cluster_name: my-cluster

- name: Find out which role a service account has
  workload_identity.aws.eks_pod_identity_association_info:
    cluster_name: my-cluster
    namespace: default
    service_account: my-service-account
    details: true
  register: found

- name: Show the roles
  ansible.builtin.debug:
    msg: "{{ found.associations | map(attribute='role_arn') }}"
"""

RETURN = r"""
associations:
  description: The associations, ordered by namespace and service account.
  returned: always
  type: list
  elements: dict
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
      description: ID of the association.
      type: str
      sample: a-abcdefghijklmnop1
    association_arn:
      description: ARN of the association.
      type: str
      sample: arn:aws:eks:us-west-2:111122223333:podidentityassociation/my-cluster/a-abcdefghijklmnop1
    owner_arn:
      description: ARN of the EKS add-on that owns the association; empty when no add-on owns it.
      type: str
      sample: ""
    role_arn:
      description: ARN of the IAM role.
      returned: with O(details=true)
      type: str
      sample: arn:aws:iam::111122223333:role/my-role
    target_role_arn:
      description: ARN of the target role; empty when there is none.
      returned: with O(details=true)
      type: str
      sample: ""
    external_id:
      description: The external ID that EKS sends when it assumes the target role; empty when there is no target role.
      returned: with O(details=true)
      type: str
      sample: ""
    disable_session_tags:
      description: Whether session tags are turned off.
      returned: with O(details=true)
      type: bool
      sample: false
    session_policy:
      description: The document of the session policy. Null when there is none.
      returned: with O(details=true)
      type: dict
    tags:
      description: The tags of the association, as a mapping from key to value.
      returned: with O(details=true)
      type: dict
      sample: {}
    created_at:
      description: Creation time of the association, in ISO 8601.
      returned: with O(details=true)
      type: str
      sample: "2026-11-24T10:15:30+00:00"
    modified_at:
      description: Time of the last change of the association, in ISO 8601.
      returned: with O(details=true)
      type: str
      sample: "2026-11-24T10:15:30+00:00"
"""

from functools import partial
from typing import Any

from ..module_utils._aws.client import BotoApi, api_for
from ..module_utils._aws.interrupt import ensuring_result
from ..module_utils._aws.sdk import AwsModule
from ..module_utils._aws.transport import map_concurrently
from ..module_utils._identity.inputs.assume_role import assume_role_spec, read_assume_role
from ..module_utils._identity.inputs.options import (
    parse_cluster_name,
    validate_options,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
)
from ..module_utils._identity.model.rows import (
    Row,
    association_row,
    association_summary,
)
from ..module_utils._identity.read.associations import (
    describe_association,
    list_associations,
)
from ..module_utils._identity.read.cluster import find_cluster
from ..module_utils._identity.run.guard import (
    Guard,
    interrupted_result,
)


def associations(api: BotoApi, params: dict[str, Any], region: str) -> list[Row]:
    """Return the associations that the options select, ordered by namespace and service account.

    :raises InputError: when the name of the cluster is invalid.
    :raises AwsError: when the cluster does not exist, or a request fails.
    """
    name = parse_cluster_name(params["cluster_name"])
    rows: list[Row]
    try:
        summaries = list_associations(api, name, params["namespace"] or "", params["service_account"] or "")
        if not params["details"]:
            rows = [association_summary(summary) for summary in summaries]
        else:
            identifiers = (summary["associationId"] for summary in summaries)
            described = map_concurrently(
                partial(describe_association, api, name), identifiers, params["concurrency"]
            )
            rows = [association_row(association) for association in described if association is not None]
    except AwsError as error:
        if error.missing:
            # The cluster does not exist. This call raises an error whose message also has the account and the region.
            find_cluster(api, name, region)
        raise
    return sorted(rows, key=lambda row: (row["namespace"], row["service_account"]))


@ensuring_result()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "cluster_name": {"type": "str", "required": True, "aliases": ["cluster"]},
            "namespace": {"type": "str"},
            "service_account": {"type": "str"},
            "details": {"type": "bool", "default": False},
            "concurrency": {"type": "int", "default": 16},
            "deadline": {"type": "int"},
            **assume_role_spec(),
        },
        supports_check_mode=True,
    )
    try:
        validate_options(module.params)
        role = read_assume_role(module.params)
        with Guard(module.params["deadline"] or None) as guard:
            api = api_for(module, module.params["concurrency"], role)
            rows = associations(api, module.params, module.region or "")
    except InputError as error:
        module.fail_json(msg=input_message(error))
    except AwsError as error:
        module.fail_json(**aws_failure(error, module.region))
    if guard.cause is not None:
        module.fail_json(**interrupted_result(guard.cause))
    module.exit_json(changed=False, associations=rows)


if __name__ == "__main__":
    main()
