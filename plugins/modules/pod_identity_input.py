#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_input
version_added: 0.1.0
short_description: Check the input of the role pod_identity, and find its files
description:
  - The first step of the role P(workload_identity.aws.pod_identity#role). It checks everything that can be checked without
    AWS and Kubernetes, and fails with all that is wrong.
  - It gives the workloads as the Kubernetes half needs them, and the absolute paths of files for
    M(workload_identity.aws.eks_pod_identity), so that both halves act on the same list.
  - Its errors name the options with the prefix C(pod_identity_), as the variables of the role have them.
  - It is an action and runs on the controller.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  cluster_name:
    description: Name of the EKS cluster.
    type: str
    required: true
  workloads:
    description: As O(workload_identity.aws.eks_pod_identity#module:workloads).
    type: raw
  workloads_from:
    description: As O(workload_identity.aws.eks_pod_identity#module:workloads_from).
    type: raw
  state:
    description: As O(workload_identity.aws.eks_pod_identity#module:state).
    type: str
    choices:
      - present
      - absent
    default: present
  tags:
    description: As O(workload_identity.aws.eks_pod_identity#module:tags).
    type: dict
    default: {}
  owner:
    description: As O(workload_identity.aws.eks_pod_identity#module:owner).
    type: str
  concurrency:
    description: As O(workload_identity.aws.eks_pod_identity#module:concurrency).
    type: int
  propagation_timeout:
    description: As O(workload_identity.aws.eks_pod_identity#module:propagation_timeout).
    type: int
  purge_limit:
    description: As O(workload_identity.aws.eks_pod_identity#module:purge_limit).
    type: int
extends_documentation_fragment:
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Check a list of workloads
  workload_identity.aws.pod_identity_input:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
"""

RETURN = r"""
workloads:
  description: What the Kubernetes half needs of each workload.
  returned: success
  type: list
  elements: dict
namespaces:
  description: The namespaces of the workloads.
  returned: success
  type: list
  elements: str
  sample:
    - default
paths:
  description: Absolute paths of the files and folders that were given.
  returned: when O(workloads_from) is given
  type: list
  elements: str
"""
