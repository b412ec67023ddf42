#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: eks_pod_identity_fleet
version_added: 0.1.0
short_description: Give the service accounts of several clusters of one account their IAM roles
description:
  - Does for several clusters of one AWS account what M(workload_identity.aws.eks_pod_identity) does for one. IAM is one for all
    of them, so it is read once, there is one plan, and a role that clusters share is written once, with what all of them need.
    EKS is asked in the region of each cluster.
  - A cluster that cannot be used (it is missing, not active, out of reach, or its input is refused) fails alone, with all its
    workloads named. The others are done. Meanwhile nothing is taken away that its workloads may need.
  - What was made by this collection for clusters that are not listed stays.
  - The playbook P(workload_identity.aws.pod_identity#role) of a fleet, C(workload_identity.aws.fleet), uses it for the hosts of
    an inventory, each of them a cluster, and does the Kubernetes side, too.
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  clusters:
    description:
      - The clusters. All of them belong to the account of the credentials.
    type: list
    elements: dict
    required: true
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      account_id:
        description:
          - ID of the AWS account in which the cluster is expected, in quotation marks. Where the credentials belong to another
            one, the cluster fails with V(ACCOUNT_DIFFERS) before EKS is asked, and is left as it is.
        type: str
      region:
        description: Region of the cluster; when not given, that of the module.
        type: str
      workloads:
        description:
          - The workloads of the cluster, as in O(workload_identity.aws.eks_pod_identity#module:workloads). What workloads share
            is defined alike, also across clusters.
        type: list
        elements: dict
      workloads_from:
        description:
          - Files with workloads, as in O(workload_identity.aws.eks_pod_identity#module:workloads_from).
        type: list
        elements: path
      parsed_input:
        description:
          - What the action plugin hands over in the place of O(clusters[].workloads) and O(clusters[].workloads_from). It is not
            meant for plays.
        type: dict
        suboptions:
          path:
            description: A file that M(workload_identity.aws.pod_identity_preflight) or the action plugin has written.
            type: path
            required: true
          sha256:
            description: The SHA-256 of its content. The module refuses any other content.
            type: str
            required: true
      kubernetes_api:
        description:
          - As O(workload_identity.aws.eks_pod_identity#module:kubernetes_api). It is not meant for plays.
        type: dict
        suboptions:
          url:
            description: URL of the API server; empty when it is not known.
            type: str
            required: true
          authorities:
            description: The SHA-256 of each certificate authority that the connection trusts.
            type: list
            elements: str
            default: []
          checks_certificate:
            description: Whether the connection checks the certificate of the server.
            type: bool
            default: true
          required:
            description: Whether a change stops unless it is the API of the cluster.
            type: bool
            default: true
      breakage:
        description:
          - As O(workload_identity.aws.eks_pod_identity#module:breakage). It is not meant for plays.
        type: list
        elements: dict
        default: []
  stopped:
    description:
      - Further clusters of the account that are meant to be among O(clusters), but of whose workloads nothing is known, because
        their input or their Kubernetes API cannot be read. Nothing is taken away that they may use, also with O(force=true);
        RV(kept) names it.
    type: list
    elements: dict
    default: []
    suboptions:
      cluster_name:
        description: Name of the EKS cluster.
        type: str
        required: true
      region:
        description: Region of the cluster; when not given, that of the module.
        type: str
  verify_only:
    description:
      - Whether to change nothing and to verify, as M(workload_identity.aws.eks_pod_identity_info) does.
    type: bool
    default: false
  owner:
    description:
      - Whose workloads these are, as O(workload_identity.aws.eks_pod_identity#module:owner).
    type: str
  continue_on_error:
    description:
      - Whether the module ends well when clusters or single workloads failed, so that the caller can go on with the others.
        RV(clusters) says which failed and RV(msg) tells it in words.
    type: bool
    default: false
  verify:
    description:
      - Whether to read everything again afterwards and verify it. The outcome is in RV(clusters[].verification); a finding does
        not make the module fail.
    type: bool
    default: false
  check_caller:
    description:
      - With O(verify_only=true), whether to ask IAM if the caller is allowed to apply the workloads.
    type: bool
    default: false
  deadline:
    description:
      - How long the whole run may take, in seconds. What is not done then is in RV(clusters[].failures), with the code
        V(DEADLINE).
    type: int
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
notes:
  - There is no purge here. What it may remove, and how much, is a question to the list of one cluster; purge with
    M(workload_identity.aws.eks_pod_identity), cluster by cluster.
seealso:
  - module: workload_identity.aws.eks_pod_identity
  - module: workload_identity.aws.eks_pod_identity_info
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.run
  - workload_identity.aws.progress
  - workload_identity.aws.attributes
"""

EXAMPLES = r"""
- name: Give the service accounts of clusters of one account their roles
  workload_identity.aws.eks_pod_identity_fleet:
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: reports
            role:
              name: reports

- name: Verify them, and change nothing
  workload_identity.aws.eks_pod_identity_fleet:
    verify_only: true
    clusters:
      - cluster_name: my-cluster
        region: us-west-2
        workloads:
          - namespace: default
            service_account: reports
            role:
              name: reports
"""

RETURN = r"""
clusters:
  description:
    - What there is of each cluster, in the order given. Beside what is listed here it has what
      M(workload_identity.aws.eks_pod_identity) returns, or with O(verify_only=true) what
      M(workload_identity.aws.eks_pod_identity_info) returns. What clusters share is in the rows of each.
  returned: always
  type: list
  elements: dict
  contains:
    cluster_name:
      description: Name of the cluster.
      type: str
      sample: blue
    region:
      description: Region of the cluster.
      type: str
      sample: eu-central-1
    failed:
      description: Whether the cluster could not be used, or workloads of it failed.
      type: bool
      sample: false
    left_out:
      description:
        - Whether the cluster could not be used. Then there are RV(clusters[].error_code) and RV(clusters[].names), and of what
          M(workload_identity.aws.eks_pod_identity) returns RV(clusters[].failures) alone.
      returned: when it could not be used
      type: bool
      sample: true
    names:
      description: The workloads of a cluster that could not be used, as namespace/service-account.
      returned: when it could not be used
      type: list
      elements: str
      sample:
        - default/reports
    error_code:
      description: Why it could not be used, by the error code of AWS or a code of this collection.
      returned: when it could not be used
      type: str
      sample: ResourceNotFoundException
    remedy:
      description: What to do about it.
      returned: when it could not be used
      type: str
    msg:
      description: What failed, on which workloads, why, and what to do.
      returned: when something failed
      type: str
    verification:
      description: The outcome of the verification, as M(workload_identity.aws.eks_pod_identity_info) returns it.
      returned: with O(verify=true) and O(state=present)
      type: dict
    failures:
      description: What could not be done, as M(workload_identity.aws.eks_pod_identity) returns it.
      returned: without O(verify_only=true); of a cluster that could not be used, too, among them what waits for it elsewhere
      type: list
      elements: dict
summary:
  description: Counts.
  returned: always
  type: dict
  contains:
    clusters:
      description: How many clusters were listed.
      type: int
      sample: 2
    failed:
      description: How many of them failed.
      type: int
      sample: 0
    changed:
      description: How many of them changed.
      type: int
      sample: 2
    workloads:
      description: How many workloads they have together.
      type: int
      sample: 2
    changes:
      description: How many changes were made, or in check mode would be made. What clusters share counts once.
      type: int
      sample: 3
kept:
  description:
    - What was to lose something, or to be removed as unused, and stays as it is because a cluster of O(stopped) may use it. In a
      removal the finding V(ROLE_STILL_USED) says it of each role.
  returned: with O(stopped), without O(verify_only=true)
  type: list
  elements: str
  sample:
    - trust policy reports
msg:
  description: What failed, cluster by cluster.
  returned: when something failed
  type: str
account_id:
  description: The AWS account of the clusters.
  returned: always
  type: str
  sample: "111122223333"
caller_arn:
  description: ARN of the principal whose credentials were used.
  returned: always
  type: str
  sample: arn:aws:sts::111122223333:assumed-role/deployer/session
"""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi, api_for
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.interrupt import answering, pause
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.finding import Finding
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import (
    named_result,
    with_option_names,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    assume_role_spec,
    read_assume_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.fleet import (
    ClusterInput,
    Member,
    Stopped,
    members_of,
    stopped_keys,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    account_id_of,
    kubernetes_api_spec,
    parsed_input_spec,
    run_options,
    run_spec,
    validate_options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.parsed_input import (
    parsed_argument,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    parse_api_server,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
    aws_failure,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.rows import parse_finding
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.purge import (
    find_left_behind,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.unlisted import (
    find_empty_list,
    find_unlisted,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.caller import check_caller
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.observe import Observer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.ending import (
    Guard,
    ended_reading,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.fleet import (
    Fleet,
    assemble,
    part_of,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.fleet_result import (
    Row,
    changed_rows,
    fleet_message,
    kept_for_stopped,
    summary_of,
    verified_rows,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.perform import (
    Order,
    perform,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.progress import progress_to
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    diff_of,
    notes_of_new_associations,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.waiting import WaitPolicy
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import (
    consider_age,
    verify,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.documents import (
    lint_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)


def asked_of(row: Mapping[str, Any]) -> ClusterInput:
    """What a row of ``clusters`` asks for, or InputError."""
    parsed = parsed_argument(row["parsed_input"])
    return ClusterInput(
        parsed,
        row["region"] or "",
        parse_api_server(row["kubernetes_api"]) if row["kubernetes_api"] else None,
        tuple(parse_finding(finding, parsed.cluster_name) for finding in row["breakage"]),
        account_id_of(row),
    )


@answering()
def main() -> None:
    module = AwsModule(
        argument_spec={
            "clusters": {
                "type": "list",
                "elements": "dict",
                "required": True,
                "options": {
                    "cluster_name": {"type": "str", "required": True},
                    "account_id": {"type": "str"},
                    "region": {"type": "str"},
                    "workloads": {"type": "list", "elements": "dict"},
                    "workloads_from": {"type": "list", "elements": "path"},
                    "parsed_input": parsed_input_spec(),
                    "kubernetes_api": kubernetes_api_spec(),
                    "breakage": {"type": "list", "elements": "dict", "default": []},
                },
            },
            "stopped": {
                "type": "list",
                "elements": "dict",
                "default": [],
                "options": {
                    "cluster_name": {"type": "str", "required": True},
                    "region": {"type": "str"},
                },
            },
            **run_spec(),
            "verify_only": {"type": "bool", "default": False},
            "owner": {"type": "str"},
            "continue_on_error": {"type": "bool", "default": False},
            "verify": {"type": "bool", "default": False},
            "check_caller": {"type": "bool", "default": False},
            "deadline": {"type": "int"},
            **assume_role_spec(),
        },
        supports_check_mode=True,
    )
    params = module.params
    prefix = params["option_prefix"]
    try:
        validate_options(params)
        region = module.region or ""
        asked = [asked_of(row) for row in params["clusters"]]
        stopped = [Stopped(row["cluster_name"], row["region"] or "") for row in params["stopped"]]
        members = members_of(asked, region, stopped)
        api = api_for(module, params["concurrency"], read_assume_role(params, prefix))
        if params["verify_only"]:
            result = verify_fleet(module, api, members)
        else:
            result = change(module, api, members, stopped_keys(asked, region, stopped))
    except InputError as error:
        module.fail_json(msg=with_option_names(input_message(error), prefix))
    except AwsError as error:
        module.fail_json(**aws_failure(error, module.region, prefix))
    result["clusters"] = [named_result(row, prefix) for row in result["clusters"]]
    if "msg" in result and not params["continue_on_error"]:
        module.fail_json(**named_result(result, prefix))
    module.exit_json(**named_result(result, prefix))


def change(
    module: AwsModule, api: BotoApi, members: Sequence[Member], stopped: Sequence[str]
) -> dict[str, Any]:
    params = module.params
    state = params["state"]
    width = params["concurrency"]
    options = run_options(params, params["owner"])
    fleet = assemble(api, members, options, state, width, stopped=stopped)
    engine = Engine(
        api,
        fleet.clusters,
        width,
        WaitPolicy(params["propagation_timeout"], time.monotonic, pause),
        progress_to(params["progress_file"]),
        unread=fleet.left_out,
    )
    order = Order(state, module.check_mode, params["verify"], None, params["deadline"] or None)
    performed = perform(engine, fleet.desired, order)
    run = performed.run
    changes = run.plan.changes if module.check_mode else tuple(done.change for done in run.done)
    further = {
        member.key: [
            *fleet.doubts_of(member.key, performed.verified is not None),
            *notes_of_new_associations(run, member.breakage),
            *(find_empty_list(member.workloads, among_others=True) if state == "present" else []),
            *(
                lint_workloads(member.workloads, load_catalogue()).findings
                if performed.verified is None and state == "present"
                else []
            ),
        ]
        for member in members
    }
    rows = changed_rows(fleet, members, performed, module.check_mode, further)
    result = _result(fleet, members, rows, len(changes))
    result["diff"] = [diff_of(change, fleet.account.account_id) for change in changes]
    if stopped:
        result["kept"] = kept_for_stopped(performed.run)
    if performed.guard.trace and module._verbosity >= 3:
        result["exception"] = performed.guard.trace
    return result


def verify_fleet(module: AwsModule, api: BotoApi, members: Sequence[Member]) -> dict[str, Any]:
    params = module.params
    width = params["concurrency"]
    with Guard(params["deadline"] or None) as guard:
        # A removal is not verified; and to verify, the Kubernetes API need not be the cluster's.
        options = Options(trust_scope=params["trust_scope"], owner=params["owner"])
        fleet = assemble(api, members, options, "present", width, False)
        progress = progress_to(params["progress_file"])
        observer = Observer(api, fleet.clusters, width, progress, "verify", fleet.left_out)
        observed = observer.observe(fleet.desired, planning=False, unlisted=True)
        proof = read_for_verification(api, fleet.desired, observed, width)
        lints = lint_workloads(fleet.desired.workloads, load_catalogue())
        verified = consider_age(verify(fleet.desired, observed, proof, lints), observed)
        callers: dict[str, list[Finding]] = {}
        if params["check_caller"]:
            for key, cluster in fleet.clusters.members.items():
                callers[key] = check_caller(api, part_of(fleet.desired, key), cluster, 4)
    if guard.cause is not None:
        module.fail_json(**ended_reading(guard.cause, params["option_prefix"]))
    unlisted = [
        *find_unlisted(fleet.desired, observed),
        *find_left_behind(fleet.desired, observed, ()),
    ]
    further = {
        member.key: [
            *fleet.doubts_of(member.key, verified=True),
            *callers.get(member.key, ()),
            *find_empty_list(member.workloads, among_others=True),
            *(finding for finding in unlisted if finding.place == member.key),
        ]
        for member in members
    }
    rows = verified_rows(fleet, members, verified, observed, further)
    return _result(fleet, members, rows, 0)


def _result(fleet: Fleet, members: Sequence[Member], rows: Sequence[Row], changes: int) -> dict[str, Any]:
    message = fleet_message(rows)
    return {
        "changed": any(bool(row["changed"]) for row in rows),
        "clusters": list(rows),
        "summary": summary_of(rows, members, changes),
        "account_id": fleet.account.account_id,
        "caller_arn": fleet.account.caller_arn,
        **({"msg": message} if message else {}),
    }


if __name__ == "__main__":
    main()
