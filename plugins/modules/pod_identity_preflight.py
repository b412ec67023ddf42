#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_preflight
version_added: 0.1.0
short_description: Internal - check the input of the role pod_identity, and plan its Kubernetes half
description:
  - It belongs to the role P(workload_identity.aws.pod_identity#role), is not meant for plays of your own, and may change with
    any release.
  - The first step of the role P(workload_identity.aws.pod_identity#role). It checks and parses the whole input, reads the
    service accounts of the cluster, and plans which service accounts and namespaces are to be applied.
  - What it has parsed is in a file on the controller, which exists until Ansible ends. Both halves of the role act on that
    file, and refuse it when its content is no longer what it was.
  - Its errors name the options with the prefix C(pod_identity_), as the variables of the role have them.
  - It fails, with all that is wrong, when the input cannot be used, when the Kubernetes API cannot be reached, and when the
    plan cannot be carried out. Nothing is changed by then, in AWS or in Kubernetes.
  - It is an action and runs on the controller. Where the connection is local and the controller has the Python package
    C(kubernetes), it reads with the client of kubernetes.core in its own process, else with M(kubernetes.core.k8s_info).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  entry_point:
    description:
      - The entry point of the role whose variables are to be read, instead of all other options. Each variable is read once,
        with the type that it has, also where it is given as text. A variable that begins with C(pod_identity_) and that the role
        does not have is refused, wherever it was set.
    type: str
    choices:
      - main
      - verify
  cluster_name:
    description: Name of the EKS cluster. Required without O(entry_point).
    type: str
  account_id:
    description: As O(workload_identity.aws.eks_pod_identity#module:account_id).
    type: str
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
  verify_only:
    description: Whether nothing is to be applied, so that nothing is planned.
    type: bool
    default: false
  adopt:
    description: Whether service accounts of another owner are taken over, or removed.
    type: bool
    default: false
  allow_breakage:
    description: Whether an association that would take credentials away from running Pods is only a warning.
    type: bool
    default: false
  verify_cluster:
    description: Whether a change is to stop unless the Kubernetes API is proven to be that of the cluster.
    type: bool
    default: true
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
  deadline:
    description: How many seconds the whole run may take, from the beginning of this task.
    type: int
  create_service_accounts:
    description: Whether to make missing service accounts, for workloads that do not say it.
    type: bool
    default: true
  create_namespaces:
    description: Whether to make missing namespaces, for workloads that do not say it.
    type: bool
    default: false
  purge:
    description: Whether to plan the removal of service accounts that were made here and are not listed.
    type: bool
    default: false
  purge_all:
    description: Whether an empty list of workloads is meant, with O(purge=true).
    type: bool
    default: false
  purge_namespaces:
    description: Only in these namespaces.
    type: list
    elements: str
    default: []
  purge_limit:
    description: At most so many, or a share like V(20%) of those that are there, or it is an error. When not given, V(10).
    type: str
  region:
    description: AWS region of the cluster.
    type: str
  profile:
    description: AWS profile with the credentials for the token.
    type: str
  endpoint_url:
    description: Another endpoint than that of AWS.
    type: str
  assume_role_arn:
    description: ARN of the role whose credentials make the token for the EKS cluster.
    type: raw
  assume_role_external_id:
    description: The external ID that the trust policy of that role asks for.
    type: raw
  assume_role_session_name:
    description: Name of its session.
    type: raw
  assume_role_duration:
    description: How long its session lasts, in seconds.
    type: raw
  kube_auth:
    description:
      - How the Kubernetes API is reached, as O(workload_identity.aws.pod_identity#role:main:pod_identity_kube_auth).
    type: str
    choices:
      - auto
      - eks
      - kubeconfig
    default: auto
  report_file:
    description: The file for the report; the preflight fails when it cannot be written.
    type: path
  junit_file:
    description: The file for the report in the XML of JUnit; the preflight fails when it cannot be written.
    type: path
  kubeconfig:
    description: The kubeconfig file. When not given, O(kube_auth) says what counts.
    type: raw
  context:
    description: The context within the kubeconfig file.
    type: str
extends_documentation_fragment:
  - workload_identity.aws.requirements.kubernetes
  - workload_identity.aws.attributes.controller
"""

EXAMPLES = r"""
- name: Check a list of workloads against a cluster
  workload_identity.aws.pod_identity_preflight:
    cluster_name: my-cluster
    workloads:
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
"""

RETURN = r"""
options:
  description:
    - The variables of the role that have a value, without C(pod_identity_) in their names, each with its type. The workloads and
      the tags are not among them.
  returned: success, with O(entry_point)
  type: dict
  sample:
    cluster_name: my-cluster
    purge: false
kubernetes:
  description: A file on the controller with the plan for M(workload_identity.aws.pod_identity_kubernetes), and its digest.
  returned: success
  type: dict
deadline:
  description:
    - When the run has to end, for M(workload_identity.aws.pod_identity_kubernetes); RV(ignore:left) is how many seconds are
      left, for the module of the AWS half. Null without O(deadline).
  returned: success
  type: dict
breakage:
  description:
    - Findings of workloads that have no place in Kubernetes, such as a namespace that is being deleted, and of those whose Pods
      would or may lose their credentials by a new association, for the option
      O(workload_identity.aws.eks_pod_identity#module:breakage). Pods and Pod templates are read only where a service account
      has the annotation of IRSA.
  returned: success
  type: list
  elements: dict
eks_target:
  description:
    - Where the API of the EKS cluster is, when a token for it is used, for M(workload_identity.aws.pod_identity_kubernetes).
      Otherwise null. There is no secret in it.
  returned: success
  type: dict
kubernetes_api:
  description:
    - Where the Kubernetes half goes, for the option O(workload_identity.aws.eks_pod_identity#module:kubernetes_api).
  returned: success
  type: dict
parsed_input:
  description:
    - The file with the parsed input, for the option O(workload_identity.aws.eks_pod_identity#module:parsed_input).
  returned: success
  type: dict
  contains:
    path:
      description: Where the file is, on the controller.
      type: str
      sample: /home/awx/.ansible/tmp/ansible-local-1/pod-identity-input-0000.json
    sha256:
      description: The SHA-256 of its content.
      type: str
      sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
"""
