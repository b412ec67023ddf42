# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of eks_pod_identity that control how it applies changes, for one cluster or several clusters."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) creates and updates the resources of the workloads.
      - V(absent) removes managed associations, attachments, roles and policies of the workloads. Roles and policies that
        others use are kept.
    type: str
    choices:
      - present
      - absent
    default: present
  agent:
    description:
      - V(present) installs the EKS add-on eks-pod-identity-agent, which the Pods of the workloads need on their nodes, or
        updates it to O(agent_version), and waits until it is active. It has no effect with O(state=absent).
      - V(absent) removes the add-on, but only with O(state=absent), and only if the cluster has no associations left.
      - V(ignore) does not change the add-on. Use it for EKS Auto Mode, whose nodes include an agent.
    type: str
    choices:
      - present
      - ignore
      - absent
    default: ignore
  agent_version:
    description:
      - The version for O(agent=present), as O(workload_identity.aws.eks_addon_pod_identity#module:addon_version), for
        example V(latest) or V(>=v1.3.7).
    type: str
  trust_scope:
    description:
      - Default trust scope of managed roles.
      - The trust scope determines the workloads that the trust policy of a role allows.
      - V(workload) means only the service accounts listed with the role, V(namespace) every service account of their
        namespaces.
      - V(cluster) means every workload in the cluster, V(account) every workload in every cluster of the account.
      - V(anyone_in_account) has the same effect as V(account). Its statement is the one of the EKS User Guide, without
        conditions.
      - Defaults to V(workload), or V(account) for a workload without session tags.
    type: str
    choices:
      - workload
      - namespace
      - cluster
      - account
      - anyone_in_account
  path:
    description:
      - Default IAM path of the roles and policies to create, such as V(/pod-identity/). Starts and ends with V(/).
    type: str
    default: /
  permissions_boundary:
    description:
      - Default permissions boundary of managed roles, as the ARN of a policy of the account or of AWS.
    type: str
  tags:
    description:
      - Tags of all managed resources. The tags of a single role, policy or workload override these tags.
    type: dict
    default: {}
    aliases:
      - resource_tags
  purge_tags:
    description:
      - Whether to remove unlisted tags from policies, roles and associations.
    type: bool
    default: false
  purge_policies:
    description:
      - Whether to detach every unlisted policy from managed roles.
      - Unlisted policies that this collection manages are always detached.
      - A role whose trust policy allows anybody but the workloads listed with it keeps its policies without O(force=true).
      - An unmanaged policy that has only C(Deny) statements is kept, because it restricts the role (V(ROLE_RESTRICTED)).
    type: bool
    default: false
  adopt:
    description:
      - Whether to manage existing roles, policies and associations of the listed workloads that this collection did not
        create, or that have another O(owner), also if others use them.
      - Adopted resources are tagged as managed. Later runs change them, and a run with O(state=absent) deletes them.
    type: bool
    default: false
  force:
    description:
      - Whether to change or delete associations of EKS add-ons.
      - With O(state=absent) also whether to delete unmanaged associations, and managed roles whose trust policy still allows
        others.
      - Also whether to change the document of a policy that others have attached or as their permissions boundary
        (V(POLICY_USED_ELSEWHERE)).
      - Also whether to remove a C(Deny) statement from the trust policy of a role if C(role.trust_policy) does not have
        that statement (V(ROLE_RESTRICTED)).
      - With O(state=present) also whether to change the permissions boundary, session duration, tags and policies of a role that
        others may use (V(ROLE_USED_ELSEWHERE)), and to remove statements from its trust policy that are wider than the list, or
        that this collection did not write.
      - Either a boolean, or a list of the workloads to which it is limited, each as C(namespace/service_account). A role or
        policy that several listed workloads share is changed only if the list names all of them. Without a purge, a workload
        that is not listed is an error.
    type: raw
    default: false
  propagation_timeout:
    description:
      - Seconds to wait until EKS accepts a role that this run created or changed. IAM changes reach EKS with a delay.
      - Also the number of seconds to repeat reads until they show the changes of this run. If a change is not visible after
        this time, the module returns the finding V(NOT_YET_VISIBLE), and checks that depend on the change have the result
        V(unknown).
    type: int
    default: 60
  concurrency:
    description:
      - Maximum number of concurrent requests.
    type: int
    default: 16
"""
