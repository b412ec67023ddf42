# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The options of a workload. tools/make_forms.py generates the options of the role and the JSON Schema from them."""

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  workloads:
    description:
      - The workloads, one mapping for each service account. Unknown keys are rejected.
      - Workloads that name the same role or policy share it and must define it identically.
    type: list
    elements: dict
    suboptions:
      namespace:
        description:
          - The Kubernetes namespace; at most 63 lower-case letters, digits and V(-). In the role
            P(workload_identity.aws.pod_identity#role) it may be a pattern with V(*), such as V(team-*).
        type: str
        required: true
      service_account:
        description:
          - The Kubernetes service account; at most 253 lower-case letters, digits, V(-) and V(.). In the role
            P(workload_identity.aws.pod_identity#role) it may be a pattern with V(*).
        type: str
        required: true
      namespace_selector:
        description:
          - A label selector of namespaces, such as V(tenant=yes), which limits the pattern in C(namespace).
          - Only the role P(workload_identity.aws.pod_identity#role) accepts this key.
        type: str
      service_account_selector:
        description:
          - A label selector of service accounts, such as V(tier=web), which limits the pattern in
            C(service_account).
          - Only the role P(workload_identity.aws.pod_identity#role) accepts this key.
        type: str
      role:
        description:
          - The IAM role. Set C(name) for a role that the collection manages, or C(arn) for an existing role. You can omit
            it only to remove workloads.
        type: dict
        suboptions:
          name:
            description:
              - The name of a role to create; at most 64 letters, digits and V(+=,.@_-). IAM does not allow names that
                differ only in letter case.
            type: str
          arn:
            description:
              - The ARN of an existing role in the cluster's account. The listed policies must be attached to it already. Without
                C(extend_trust) the trust policy of the role is not changed, so it must allow the workload. Of the other options of
                the role, only C(extend_trust) and C(trust_scope) can be set.
            type: str
          path:
            description: The IAM path of the role. Starts and ends with V(/). Defaults to V(/). IAM cannot change it later.
            type: str
          description:
            description: The description of the role, at most 1,000 characters; an empty string clears it. Unchanged if omitted.
            type: str
          permissions_boundary:
            description: The ARN of the permissions boundary, which is a policy of the account or of AWS. An empty string
              removes the boundary. Unchanged if omitted.
            type: str
          max_session_duration:
            description: The maximum session duration in seconds, from 3600 to 43200. Unchanged if omitted.
            type: int
          tags:
            description: Tags of the role. They override common tags with the same keys.
            type: dict
          trust_scope:
            description:
              - The workloads that the trust policy allows.
              - V(workload) means only the service accounts listed with the role, V(namespace) every service account of their
                namespaces.
              - V(cluster) means every workload in the cluster, V(account) every workload in every cluster of the account.
              - V(anyone_in_account) has the same effect as V(account). Its statement is the one of the EKS User Guide, without
                conditions.
            type: str
            choices:
              - workload
              - namespace
              - cluster
              - account
              - anyone_in_account
          trust_policy:
            description: The whole trust policy, as a mapping or JSON text, instead of C(trust_scope).
            type: raw
          extend_trust:
            description:
              - With C(arn), whether to add a statement for the workload to the trust policy of the role if the trust policy
                does not allow the workload.
            type: bool
      policies:
        description:
          - Permissions policies to attach to the role. If you remove a policy from the list, the next run detaches it,
            provided that the collection manages both the role and the policy.
        type: list
        elements: dict
        suboptions:
          name:
            description: The name of a policy to create; at most 128 letters, digits and V(+=,.@_-).
            type: str
          document:
            description:
              - The policy, as a mapping or JSON text. If the meaning of the document changes, the document becomes the new
                default version. If the policy already has five versions, the oldest non-default version is deleted first.
            type: raw
          document_file:
            description:
              - A file with the policy as JSON or YAML, instead of C(document). This option is allowed only in a file of
                C(workloads_from). The path is relative to that file.
            type: str
          preset:
            description:
              - A permissions policy that the collection contains, such as V(external-dns), instead of C(document). The
                lookup P(workload_identity.aws.pod_identity_presets#lookup) lists all presets with their parameters.
              - Some presets have several policies. C(name) defaults to the name of the role and the name of the preset.
            type: str
          with:
            description:
              - The parameters of the preset, as a mapping.
              - Every preset also has the parameters C(partition), C(dns_suffix), C(account_id), C(region) and
                C(cluster_name). Their defaults are the values of the run.
            type: dict
          path:
            description: The IAM path of the policy. Starts and ends with V(/). Defaults to V(/).
            type: str
          description:
            description: The description of the policy. It is set at creation; IAM cannot change it later.
            type: str
          tags:
            description: Tags of the policy. They override common tags with the same keys.
            type: dict
          arn:
            description: The ARN of an existing policy of the account or of AWS. No other option is allowed with it.
            type: str
      target_role_arn:
        description:
          - ARN of a second role, possibly in another account, that EKS assumes with the credentials of C(role). An empty
            string removes the target role. Unchanged if omitted.
        type: str
      disable_session_tags:
        description:
          - Whether to turn off the session tags that EKS adds. Without session tags, a trust policy cannot distinguish
            workloads. Unchanged if omitted.
        type: bool
      session_policy:
        description:
          - A policy, as a mapping or JSON text, that limits the session. It needs C(disable_session_tags=true). With an
            empty string, the workload fails if its association has a session policy, because EKS cannot remove it. Unchanged if
            omitted.
        type: raw
      tags:
        description: Tags of the association. They override common tags with the same keys.
        type: dict
      required_permissions:
        description: Permissions that the Pod needs. The verification checks whether the role has them.
        type: list
        elements: dict
        suboptions:
          action:
            description: The action, such as V(s3:GetObject).
            type: str
            required: true
          resource:
            description: ARN of the resource. Defaults to V(*).
            type: str
          context:
            description: Condition keys of the request and their values.
            type: dict
      create_service_account:
        description: Whether to create a missing service account. Only the role uses this key. The modules ignore it.
        type: bool
      create_namespace:
        description: Whether to create a missing namespace. Only the role uses this key. The modules ignore it.
        type: bool
      service_account_labels:
        description: Labels of the service account. Only the role uses this key. The modules ignore it.
        type: dict
      service_account_annotations:
        description: Annotations of the service account. Only the role uses this key. The modules ignore it.
        type: dict
"""
