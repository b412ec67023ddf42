# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of eks_pod_identity that control how changes are made, for one cluster or several."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) creates and updates the resources of the workloads.
      - V(absent) removes managed associations, attachments, roles and policies of the workloads, unless something
        else uses them.
    type: str
    choices:
      - present
      - absent
    default: present
  agent:
    description:
      - V(present) installs the EKS add-on eks-pod-identity-agent, which the Pods of the workloads need on their nodes, or
        updates it to O(agent_version), and waits until it is active. It has no effect with O(state=absent).
      - V(absent) removes it, with O(state=absent) only. It is kept while the cluster has associations.
      - V(ignore) does not read or change it. EKS Auto Mode includes an agent on its nodes.
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
      - V(workload) means exactly the service accounts listed with the role, V(namespace) every service account of
        their namespaces, V(cluster) every workload in the cluster, V(account) every cluster of the account.
      - V(none) is the statement of the EKS User Guide without any condition.
      - Defaults to V(workload), or V(account) for a workload without session tags.
    type: str
    choices:
      - workload
      - namespace
      - cluster
      - account
      - none
  trust_policy_size_limit:
    description:
      - Quota of the account for trust policies, in characters without white space ("Role trust policy length" of
        IAM). A role that exceeds it is rejected before any change.
    type: int
    default: 2048
  tags:
    description:
      - Tags of all managed resources. Tags of a single role, policy or workload override these.
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
      - Unlisted managed policies are always detached.
      - The policies of a role are kept if workloads that are not in this run use the role. If the module cannot
        determine these workloads, as with V(account) and V(none) of O(trust_scope), detaching also needs O(force=true).
      - An unmanaged policy that only denies restricts the role, and is kept (V(ROLE_RESTRICTED)).
    type: bool
    default: false
  adopt:
    description:
      - Whether to manage existing roles, policies and associations of the listed workloads that this collection did not
        create, or that have another O(owner).
      - They are then changed and tagged as managed, and O(state=absent) deletes them.
    type: bool
    default: false
  force:
    description:
      - Whether to change or delete associations of EKS add-ons, and with O(state=absent) to delete unmanaged
        associations, and managed roles that other clusters may use because their trust policy is not limited to the
        cluster.
      - Also whether to change the document of a policy that is attached to roles, users or groups outside the run, or is
        their permissions boundary (V(POLICY_USED_ELSEWHERE)).
      - Also whether to remove a C(Deny) statement from the trust policy of a role if C(role.trust_policy) does not have
        it (V(ROLE_RESTRICTED)).
      - With O(state=present) also whether to change roles that workloads outside the run may use, namely to narrow the
        trust policy, and to change permissions boundary, session duration and tags. Known users of a role keep access.
    type: bool
    default: false
  propagation_timeout:
    description:
      - Seconds to wait until EKS sees a role that this run created or changed.
      - Also the time to repeat reads until they show the changes of this run. A change that is not visible then is a
        finding, V(NOT_YET_VISIBLE), and the check that needs it has the result V(unknown).
    type: int
    default: 60
  concurrency:
    description:
      - Maximum number of concurrent requests.
    type: int
    default: 16
"""
