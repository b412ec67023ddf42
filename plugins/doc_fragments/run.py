# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    """The options of a run of the engine, whether for one cluster or for several."""

    DOCUMENTATION = r"""
options:
  state:
    description:
      - V(present) creates and updates what the workloads need.
      - V(absent) removes associations, attachments, roles and policies of the workloads, as far as they were made by
        this collection and are not used elsewhere.
    type: str
    choices:
      - present
      - absent
    default: present
  trust_scope:
    description:
      - Who may use the roles that are made, for roles that do not say it themselves.
      - V(workload) is exactly the service accounts that are listed with the role, V(namespace) every service account of
        their namespaces, V(cluster) everything in the cluster, V(account) every cluster of the account.
      - V(none) is the statement of the EKS User Guide without any condition.
      - When not set, it is V(workload), or V(account) for a workload without session tags.
    type: str
    choices:
      - workload
      - namespace
      - cluster
      - account
      - none
  trust_policy_size_limit:
    description:
      - The longest trust policy that the account allows, in characters without white space (the IAM quota "Role trust
        policy length"). A role that needs more is refused before anything is changed.
    type: int
    default: 2048
  tags:
    description:
      - Tags for everything that is made. Tags of a single role, policy or workload win over these.
    type: dict
    default: {}
    aliases:
      - resource_tags
  purge_tags:
    description:
      - Whether to remove tags that are not asked for from policies, roles and associations.
    type: bool
    default: false
  purge_policies:
    description:
      - Whether to detach, from the roles that were made by this collection, every policy that is not asked for.
      - Policies that were made by this collection are detached in any case when they are no longer asked for.
      - Neither is done to a role that workloads outside the run use, as the policies may be theirs. Where that cannot be seen,
        as with V(account) and V(none) of O(trust_scope), it takes O(force=true), too.
      - A policy that was not made by this collection and only denies restricts the role, and stays (V(ROLE_RESTRICTED)).
    type: bool
    default: false
  adopt:
    description:
      - Whether to take over roles and policies of the wanted names, and associations, that exist already but were not
        made by this collection, or that belong to another O(owner). They are then changed as asked, tagged as ours, and
        removed by O(state=absent).
    type: bool
    default: false
  force:
    description:
      - Whether to change or delete associations that an EKS add-on owns, and with O(state=absent) to delete
        associations that were not made by this collection, and roles of ours whose trust policy is not tied to the
        cluster, so that other clusters may use them.
      - Also whether to change the document of a policy that roles, users or groups outside the run have attached, or as their
        permissions boundary (V(POLICY_USED_ELSEWHERE)).
      - Also whether a trust policy that is given as a whole takes away a C(Deny) that somebody added (V(ROLE_RESTRICTED)).
      - With O(state=present) also whether to narrow trust policies, and to change permissions boundaries, session durations and tags,
        of roles that workloads outside the run may use. Those that are seen to use a role keep being let in.
    type: bool
    default: false
  propagation_timeout:
    description:
      - How long to wait, in seconds, until EKS knows a role that this very run made or changed.
      - Also how long to read again until AWS shows what this run changed. What is not visible then is a finding,
        V(NOT_YET_VISIBLE), and counts as unknown.
    type: int
    default: 60
  concurrency:
    description:
      - How many requests may be under way at once.
    type: int
    default: 16
"""
