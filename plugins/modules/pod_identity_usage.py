#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_usage
version_added: 1.0.0
short_description: Report the used permissions of the service accounts of a cluster, and suggest policies
description:
  - The playbook C(workload_identity.aws.usage) runs this module.
  - Reads CloudTrail events and joins them with the service accounts of a cluster. Reports the used, unused and denied permissions
    of each service account, and suggests a policy with a proof that it allows all observed calls.
  - The module does not change AWS or Kubernetes, and never applies a suggested policy.
  - The module has no options. It reads the variables C(pod_identity_usage_from), C(pod_identity_usage_days) and others, which
    C(docs/usage.md) lists, and the variables of the role C(workload_identity.aws.pod_identity) for the cluster and credentials.
  - The module is an action plugin and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options: {}
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
extends_documentation_fragment:
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Report the used permissions of a cluster
  workload_identity.aws.pod_identity_usage:
  vars:
    pod_identity_cluster_name: my-cluster
    pod_identity_usage_from: AWSLogs
"""

RETURN = r"""
usage:
  description:
    - For each service account, the used, denied and granted permissions, and a suggested policy with its proof.
    - Also the analysed period, the events that belong to no service account, and the records and files that could not be read.
  returned: when the events were read
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
