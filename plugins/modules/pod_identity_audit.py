#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_audit
version_added: 1.0.0
short_description: Run a step of the report on the access of service accounts to AWS
description:
  - The playbook C(workload_identity.aws.audit) runs this module on the controller, and C(docs/audit.md) describes it. Use the
    playbook.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  step:
    description:
      - V(read) reads the cluster of the host. The playbook registers its result as C(pod_identity_audit_part).
      - V(roles) reads the roles of the account. The first host of each account and caller reads them for the other hosts. The
        playbook registers its result as C(pod_identity_audit_roles).
      - V(report) writes the report of the clusters of all hosts. Run it once, after all hosts have read their clusters and roles.
    type: str
    choices: [read, roles, report]
    required: true
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Read the clusters
  workload_identity.aws.pod_identity_audit:
    step: read
  register: pod_identity_audit_part
"""

RETURN = r"""
failure:
  description: The reason for a failure; empty on success.
  returned: for the step V(report)
  type: str
  sample: ""
"""
