#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity
version_added: 1.0.0
short_description: Configure EKS Pod Identity for Kubernetes service accounts, and verify it
description:
  - The role P(workload_identity.aws.pod_identity#role) runs this module, which does all its work on the controller. Use the role,
    because it also asserts that the changes and checks succeeded.
  - The module reads the variables of the role, and succeeds even if the run fails, so that its report and artifacts are always
    available.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  entry_point:
    description: V(main) applies and verifies the workloads; V(verify) only verifies.
    type: str
    choices:
      - main
      - verify
    default: main
  fleet:
    description:
      - Whether the play has many clusters, and M(workload_identity.aws.pod_identity_fleet) shows their results. This module then
        does not show the report of its cluster, and a cluster with several hosts fails.
    type: bool
    default: false
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Configure EKS Pod Identity for a service account
  workload_identity.aws.pod_identity:
  vars:
    pod_identity_cluster_name: my-cluster
    pod_identity_workloads:
      - namespace: default
        service_account: my-service-account
        role: {name: my-role}
  register: applied
"""

RETURN = r"""
verification:
  description: The results of the verification, one member for each assertion of the role.
  returned: always
  type: dict
failure:
  description: The reason for a failure; empty on success.
  returned: always
  type: str
  sample: ""
"""
