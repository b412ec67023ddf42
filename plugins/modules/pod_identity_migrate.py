#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_migrate
version_added: 1.0.0
short_description: Migrate the service accounts of a cluster from IRSA to EKS Pod Identity, or back
description:
  - The playbook C(workload_identity.aws.migrate) runs this module.
  - Finds the service accounts that use IAM roles for service accounts (IRSA), creates their pod identity associations, restarts
    their Pods and, with the step V(finish), removes the annotations and the trust policy statements of
    IRSA.
  - The module has no options. It reads the variables C(pod_identity_migration_step) and others, which C(docs/migration.md) lists, and the variables of the role C(workload_identity.aws.pod_identity).
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options: {}
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
- name: Migrate the service accounts of a cluster
  workload_identity.aws.pod_identity_migrate:
  vars:
    pod_identity_cluster_name: my-cluster
"""

RETURN = r"""
migration:
  description:
    - The cluster, and the service accounts with their stages, obstacles and Pods.
    - Also the changes, failures and findings of the run, and the reason if the run failed.
  returned: when the inventory was read
  type: dict
failure:
  description: The reason for a failure; empty on success.
  returned: always
  type: str
msg:
  description: The lines of the report if the module does not print them.
  returned: when the stdout callback prints JSON
  type: raw
"""
