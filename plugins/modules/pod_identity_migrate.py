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
  - The playbook C(workload_identity.aws.migrate) runs this module on the controller, and C(docs/migration.md) describes it. Use the
    playbook.
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
failure:
  description: The reason for a failure; empty on success.
  returned: always
  type: str
  sample: ""
"""
