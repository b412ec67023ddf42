# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What workloads are, for the modules; tools/make_forms.py makes the options of the role and the JSON Schema of it."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  workloads:
    description:
      - The workloads, one mapping for each service account. Unknown keys are refused.
      - Workloads that name the same role or policy share it and must define it alike.
    type: list
    elements: dict
    suboptions:
      namespace:
        description: The Kubernetes namespace; at most 63 lower-case letters, digits and V(-).
        type: str
        required: true
      service_account:
        description: The Kubernetes service account; at most 253 lower-case letters, digits, V(-) and V(.).
        type: str
        required: true
      role:
        description:
          - The IAM role, made (C(name)) or used as it is (C(arn)). Needed unless something is to be removed.
        type: dict
        suboptions:
          name:
            description:
              - The name of a role that is made; at most 64 letters, digits and V(+=,.@_-). IAM allows no two names that differ in
                letter case alone.
            type: str
          arn:
            description:
              - The ARN of an existing role of the cluster's account. It is used as it is, once its trust policy has been found to
                allow the workload; only C(extend_trust) and C(trust_scope) go with it.
            type: str
          path:
            description: It starts and ends with V(/), and is V(/) when left out. IAM cannot change it later.
            type: str
          description:
            description: At most 1,000 characters; an empty string clears it. When left out, what is there stays.
            type: str
          permissions_boundary:
            description: The ARN of a managed policy; an empty string removes it. When left out, what is there stays.
            type: str
          max_session_duration:
            description: Seconds, from 3600 to 43200. When left out, what is there stays.
            type: int
          tags:
            description: Tags of the role. They win over the common ones.
            type: dict
          trust_scope:
            description:
              - Who may use the role. V(workload) is exactly the service accounts that are listed with it, V(namespace) every
                service account of their namespaces, V(cluster) everything in the cluster, V(account) every cluster of the
                account, V(none) everyone whom EKS Pod Identity serves.
            type: str
            choices:
              - workload
              - namespace
              - cluster
              - account
              - none
          trust_policy:
            description: The whole trust policy, as a mapping or JSON text, instead of C(trust_scope).
            type: raw
          extend_trust:
            description:
              - With C(arn), whether to add our statement to the trust policy of the role when it does not allow the workload.
            type: bool
      policies:
        description:
          - Permissions policies that are attached to the role. Policies that were made here are detached from a role that was
            made here when they are no longer listed.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name of a policy that is made; at most 128 letters, digits and V(+=,.@_-).
            type: str
          document:
            description:
              - The policy, as a mapping or JSON text. One that changed in meaning becomes a new default version; at the limit of
                five versions the oldest one that is not the default is deleted first.
            type: raw
          path:
            description: It starts and ends with V(/), and is V(/) when left out.
            type: str
          description:
            description: Set when the policy is made; IAM has no way to change it.
            type: str
          tags:
            description: Tags of the policy. They win over the common ones.
            type: dict
          arn:
            description: The ARN of an existing policy of the account or of AWS, alone.
            type: str
      target_role_arn:
        description:
          - A role, possibly of another account, that EKS assumes by way of the role. An empty string removes it. When left out,
            what is there stays.
        type: str
      disable_session_tags:
        description:
          - Whether to turn off the session tags that EKS adds. When left out, what is there stays. Without them a trust policy
            cannot tell workloads apart.
        type: bool
      session_policy:
        description:
          - A policy, as a mapping or JSON text, that narrows the session. It needs C(disable_session_tags=true). An empty string
            removes it, for which the association is deleted and made anew. When left out, what is there stays.
        type: raw
      tags:
        description: Tags of the association. They win over the common ones.
        type: dict
      required_permissions:
        description: What the Pod has to be allowed to do; the verification judges it.
        type: list
        elements: dict
        suboptions:
          action:
            description: Like V(s3:GetObject).
            type: str
            required: true
          resource:
            description: An ARN. When left out, V(*).
            type: str
          context:
            description: Condition keys and their values, as far as the request has them.
            type: dict
      create_service_account:
        description: Whether a missing service account is made. For the role P(workload_identity.aws.pod_identity#role).
        type: bool
      create_namespace:
        description: Whether a missing namespace is made. For the role P(workload_identity.aws.pod_identity#role).
        type: bool
      service_account_labels:
        description: Labels that it must have. For the role P(workload_identity.aws.pod_identity#role).
        type: dict
      service_account_annotations:
        description: Annotations that it must have. For the role P(workload_identity.aws.pod_identity#role).
        type: dict
"""
