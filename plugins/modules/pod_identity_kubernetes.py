#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: pod_identity_kubernetes
version_added: 0.1.0
short_description: Internal - do the Kubernetes half of the role pod_identity
description:
  - It belongs to the role P(workload_identity.aws.pod_identity#role), is not meant for plays of your own, and may change with
    any release.
  - The step of the role P(workload_identity.aws.pod_identity#role) that follows the AWS half. It applies service accounts
    (server-side, as field manager C(workload-identity)) or removes them, with M(kubernetes.core.k8s), looks at the Pods of
    verified workloads, and on request restarts the owners of stale Pods and runs the runtime proof.
  - What Kubernetes refuses, or does not let the caller read, does not make it fail. It is in the result, for
    M(workload_identity.aws.pod_identity_report).
  - It takes the names of variables rather than their values, which spares Ansible the templating of thousands of rows.
  - It is an action and runs on the controller; it reads as M(workload_identity.aws.pod_identity_preflight) does.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  cluster_name:
    description: Name of the EKS cluster.
    type: str
    required: true
  preflight:
    description: Name of the variable with the result of M(workload_identity.aws.pod_identity_preflight).
    type: str
    required: true
  result:
    description:
      - Name of the variable with the result of M(workload_identity.aws.eks_pod_identity) or
        M(workload_identity.aws.eks_pod_identity_info).
    type: str
    required: true
  force_conflicts:
    description:
      - Whether to take over labels and annotations of service accounts that another field manager owns with another value.
    type: bool
    default: false
  verify_pods:
    description: Whether to look at the Pods of the workloads, and where it matters at the agent, nodes and ReplicaSets.
    type: bool
    default: true
  verify_injection:
    description:
      - Whether to try, by creating a Pod with a dry run, if a Pod that starts now would get the role. With V(auto) on API
        servers of EKS, and of more than 50 workloads a sample of 50; with V(all) for all workloads, on any API server.
    type: str
    choices:
      - auto
      - all
      - none
    default: auto
  injection_timeout:
    description: How long to wait, in seconds, until the cluster knows a young association.
    type: int
    default: 60
  restart_stale:
    description: Whether to restart the owners of Pods that were admitted before their association.
    type: bool
    default: false
  restart_timeout:
    description: How long to wait, in seconds, until those Pods are gone.
    type: int
    default: 300
  restart_settle:
    description: The age, in seconds, that an association must have before a restart, where the dry run shows nothing.
    type: int
    default: 15
  runtime_proof:
    description: Whether to run a short-lived Job under each service account that asks AWS who it is.
    type: bool
    default: false
  proof_image:
    description: An image with C(sh) and C(aws). Required with O(runtime_proof=true).
    type: str
  proof_timeout:
    description: How long, in seconds, the Jobs may take.
    type: int
    default: 120
  proof_resources:
    description: Requests and limits of the Job's container. When empty, small ones.
    type: dict
    default: {}
  proof_pod_spec:
    description: Fields of the spec of the Job's Pod to add or replace.
    type: dict
    default: {}
  probe_labels:
    description: Labels of the Pod of the dry run, and of the Job and its Pod.
    type: dict
    default: {}
  probe_annotations:
    description: Annotations of the Pod of the dry run, and of the Job and its Pod.
    type: dict
    default: {}
  proof_run:
    description: What tells the Jobs of this run from others. When not given, it is random.
    type: str
  proof_impossible:
    description:
      - Why no Pod can run in the cluster, so that the proof is skipped; empty when they can. When not given, the version
        of the API server decides.
    type: str
  region:
    description: AWS region of the cluster. It and the other options of AWS are those with which the preflight made its token.
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
  kubeconfig:
    description: The kubeconfig file, where the preflight took no token. When not given, kubernetes.core looks for one.
    type: raw
  context:
    description: The context within the kubeconfig file.
    type: str
requirements:
  - python >= 3.10
  - kubernetes >= 24.2.0
attributes:
  check_mode:
    description: Can run in C(check_mode) and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in C(check_mode)), when in diff mode.
    support: full
  idempotent:
    description:
      - When run twice in a row outside check mode, with the same arguments, the second invocation indicates no change.
    support: full
"""

EXAMPLES = r"""
- name: Check the input and read the service accounts
  workload_identity.aws.pod_identity_preflight:
    cluster_name: my-cluster
    workloads: &workloads
      - namespace: default
        service_account: my-service-account
        role:
          name: my-role
  register: preflight

- name: Apply the requested state in AWS
  workload_identity.aws.eks_pod_identity:
    cluster_name: my-cluster
    workloads: *workloads
    verify: true
    continue_on_error: true
  register: converged

- name: Apply ServiceAccounts and verify Pods
  workload_identity.aws.pod_identity_kubernetes:
    cluster_name: my-cluster
    preflight: preflight
    result: converged
  register: applied
"""

RETURN = r"""
changes:
  description: A line for each object that was applied or removed.
  returned: always
  type: list
  elements: str
  sample:
    - apply ServiceAccount default/my-service-account
failures:
  description: What Kubernetes refused, in the form of RV(workload_identity.aws.eks_pod_identity#module:failures).
  returned: always
  type: list
  elements: dict
error:
  description: Why the service accounts could not be applied at all; empty when they could.
  returned: always
  type: str
workloads:
  description: The checks of each verified workload, in the form of RV(workload_identity.aws.eks_pod_identity_info#module:workloads).
  returned: always
  type: list
  elements: dict
findings:
  description: What is wrong, in the form of RV(workload_identity.aws.eks_pod_identity_info#module:findings).
  returned: always
  type: list
  elements: dict
judges_agent:
  description: Whether the cluster itself showed if there is an EKS Pod Identity Agent.
  returned: always
  type: bool
restarted:
  description: The owners of stale Pods that were restarted.
  returned: always
  type: list
  elements: str
  sample:
    - Deployment default/my-deployment
not_restarted:
  description: Stale Pods that no restart reaches, as nothing restartable owns them.
  returned: always
  type: list
  elements: str
proof_jobs:
  description: How many Jobs the runtime proof ran, and removed again.
  returned: always
  type: int
"""
