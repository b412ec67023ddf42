#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_input
version_added: 0.1.0
short_description: Check and parse the input of the role pod_identity
description:
  - The first step of the role P(workload_identity.aws.pod_identity#role). It checks everything that can be checked without
    AWS and Kubernetes, and fails with all that is wrong.
  - What it has parsed is in a file on the controller, which exists until Ansible ends. Both halves of the role act on that
    file, and refuse it when its content is no longer what it was.
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
  create_service_accounts:
    description: Whether missing service accounts are made, for workloads that do not say it themselves.
    type: bool
    default: true
  create_namespaces:
    description: Whether missing namespaces are made, for workloads that do not say it themselves.
    type: bool
    default: false
  purge:
    description: As O(workload_identity.aws.eks_pod_identity#module:purge).
    type: bool
    default: false
  purge_namespaces:
    description: As O(workload_identity.aws.eks_pod_identity#module:purge_namespaces).
    type: list
    elements: str
    default: []
  concurrency:
    description: As O(workload_identity.aws.eks_pod_identity#module:concurrency).
    type: int
  propagation_timeout:
    description: As O(workload_identity.aws.eks_pod_identity#module:propagation_timeout).
    type: int
  purge_limit:
    description: As O(workload_identity.aws.eks_pod_identity#module:purge_limit).
    type: int
    default: 10
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
parsed_input:
  description:
    - The file with the parsed input, for the option O(workload_identity.aws.eks_pod_identity#module:parsed_input).
  returned: success
  type: dict
  contains:
    path:
      description: Where the file is, on the controller.
      type: str
      sample: /root/.ansible/tmp/ansible-local-1/pod-identity-input-0000.json
    sha256:
      description: The SHA-256 of its content.
      type: str
      sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
workloads:
  description: How many workloads there are.
  returned: success
  type: int
  sample: 1
namespaces:
  description: The namespaces of the workloads.
  returned: success
  type: list
  elements: str
  sample:
    - default
"""
