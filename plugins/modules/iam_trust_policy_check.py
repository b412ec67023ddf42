#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_trust_policy_check
version_added: 0.1.0
short_description: Check whether EKS Pod Identity can use a role, for a workload
description:
  - Evaluates the trust policy of an IAM role for the request that EKS Pod Identity makes for a workload, and says
    whether the role can be used, why not, and which small edits make it usable without letting in anybody else.
  - Says also whether IAM would store the document (RV(storable)). A document that IAM refuses lets nobody in, so
    RV(usable) is then V(no).
  - Both C(sts:AssumeRole) and C(sts:TagSession) must be allowed in the same request, also when session tags are disabled,
    because EKS refuses a role whose trust policy lacks either.
  - What is not given counts as unknown, not as absent. When the answer turns on something unknown it is V(conditional),
    and RV(conditional_on) names the condition keys.
  - With O(trust_policy) nothing is asked of AWS, and boto3 is not needed.
  - The module fails on bad input and on errors of AWS, never because of a verdict. Assert on RV(usable).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  role_name:
    description:
      - Name of the role whose trust policy is read from IAM.
    type: str
  role_arn:
    description:
      - ARN of the role. Without O(trust_policy) its trust policy is read from IAM.
      - Together with O(trust_policy) it only says which role the policy is for.
    type: str
  trust_policy:
    description:
      - The trust policy itself, as a dictionary, as JSON text, or as URL-encoded JSON text.
    type: raw
  cluster_arn:
    description:
      - ARN of the workload's EKS cluster.
    type: str
  cluster_name:
    description:
      - Name of the cluster, where its ARN is not known.
    type: str
  namespace:
    description:
      - Kubernetes namespace of the workload.
    type: str
  service_account:
    description:
      - Kubernetes service account of the workload.
    type: str
  pod_name:
    description:
      - Name of the Pod, for trust policies with a condition on it.
    type: str
  pod_uid:
    description:
      - UID of the Pod, for trust policies with a condition on it.
    type: str
  account_id:
    description:
      - ID of the account of cluster and role. Taken from O(cluster_arn) or the role's ARN when not given.
    type: str
  source_org_id:
    description:
      - ID of the organization of the cluster's account, such as V(o-abcd123456).
    type: str
  session_tags:
    description:
      - Whether the association has session tags; they are there unless an association disables them.
    type: bool
    default: true
  pod_identity_role_arn:
    description:
      - ARN of the role of an association that has the checked role as its target role.
      - The question is then whether that role's session can assume the checked role, instead of EKS Pod Identity itself.
    type: str
  external_id:
    description:
      - External ID of the association, as EKS reports it. Only with O(pod_identity_role_arn).
      - Without session tags it is worked out from cluster, namespace and service account when not given.
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: N/A
  idempotent:
    support: full
seealso:
  - module: workload_identity.aws.iam_permissions_check
  - module: workload_identity.aws.eks_pod_identity
  - name: Create IAM role with trust policy required by EKS Pod Identity
    description: The trust policy that EKS Pod Identity needs.
    link: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
  - name: Policy evaluation logic
    description: How IAM decides.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Check a trust policy without asking AWS
  workload_identity.aws.iam_trust_policy_check:
    trust_policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal:
            Service: pods.eks.amazonaws.com
          Action:
            - sts:AssumeRole
            - sts:TagSession
          Condition:
            StringEquals:
              aws:RequestTag/kubernetes-namespace: default
    cluster_arn: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
    namespace: default
    service_account: my-service-account
  register: verdict

- name: Stop when the workload cannot use the role, or IAM may not store the policy
  ansible.builtin.assert:
    that:
      - verdict.usable == 'yes'
      - verdict.storable == 'yes'
    fail_msg: "{{ verdict.findings | map(attribute='message') | join(' ') }}"

- name: See how a policy can be repaired
  workload_identity.aws.iam_trust_policy_check:
    trust_policy: '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
      "Action": "sts:AssumeRole"}]}'
  register: broken

- name: Show what would be changed, and whom that lets in beside the workload
  ansible.builtin.debug:
    msg: "{{ broken.suggestions | map(attribute='edits') | zip(broken.suggestions | map(attribute='also_lets_in')) }}"

- name: Check a role of the account
  workload_identity.aws.iam_trust_policy_check:
    role_name: my-role
    cluster_arn: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
    namespace: default
    service_account: my-service-account

- name: Check that a target role can be assumed by the role of an association
  workload_identity.aws.iam_trust_policy_check:
    trust_policy:
      Version: "2012-10-17"
      Statement:
        - Effect: Allow
          Principal:
            AWS: arn:aws:iam::111122223333:role/my-role
          Action:
            - sts:AssumeRole
            - sts:TagSession
    role_arn: arn:aws:iam::444455556666:role/my-target-role
    pod_identity_role_arn: arn:aws:iam::111122223333:role/my-role
"""

RETURN = r"""
usable:
  description:
    - V(yes) when both actions are allowed for this workload whatever the unknown is, V(no) when they never are together,
      V(conditional) when that turns on something unknown.
  returned: always
  type: str
  sample: "yes"
assume_role:
  description: The same for C(sts:AssumeRole) alone, as V(allowed), V(denied) or V(conditional).
  returned: always
  type: str
  sample: allowed
tag_session:
  description: The same for C(sts:TagSession) alone, as V(allowed), V(denied) or V(conditional).
  returned: always
  type: str
  sample: allowed
conditional_on:
  description: The condition keys on which RV(usable) turns. Empty unless it is V(conditional).
  returned: always
  type: list
  elements: str
  sample:
    - aws:RequestTag/kubernetes-pod-name
allowed_when:
  description:
    - With V(conditional), values of the unknown condition keys with which both actions are allowed. A key that is null is
      absent.
    - Null when the answer is definite, and when no such values were found within the work that a verdict may cost.
  returned: always
  type: dict
  sample:
    aws:RequestTag/kubernetes-pod-name: web-1
denied_when:
  description: The same for values with which it is denied.
  returned: always
  type: dict
  sample:
    aws:RequestTag/kubernetes-pod-name: x
undecided:
  description:
    - Whether it is V(conditional) for lack of a proof. One of the two outcomes was not found, nor was it excluded within
      the work that a verdict may cost.
  returned: always
  type: bool
  sample: false
findings:
  description: What is wrong with the policy, and what is worth knowing about it.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: A stable code, such as V(TRUST_NO_TAG_SESSION).
      type: str
      sample: TRUST_NO_TAG_SESSION
    severity:
      description: V(error) for what makes the role unusable or opens it to everyone, V(warning) for what should be looked at,
        V(info) for the rest.
      type: str
      sample: error
    statement:
      description: The statement that it is about; empty when it is about the whole policy.
      type: str
      sample: Statement 1 (Sid 'AllowEksAuthToAssumeRoleForPodIdentity')
    message:
      description: What was found.
      type: str
      sample: No statement allows pods.eks.amazonaws.com sts:TagSession; EKS refuses a role whose trust policy lacks it.
    remedy:
      description: What to do about it.
      type: str
      sample: Add sts:TagSession to the actions of Statement 1.
storable:
  description:
    - V(yes) when IAM stores the document, which is certain of one that was read from IAM; V(no) when it certainly refuses
      it; V(unknown) when the documentation of AWS leaves that open, or when it turns on something that is not known, such as
      whether a role exists that the document names.
  returned: always
  type: str
  sample: "yes"
storable_reasons:
  description: Why RV(storable) is V(no), or what it turns on when it is V(unknown).
  returned: always
  type: list
  elements: dict
  contains:
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
      sample: NotPrincipal is not allowed in the trust policy of a role
    remedy:
      description: What to do about it.
      type: str
      sample: Name the callers in Principal.
suggestions:
  description:
    - Edits of the trust policy, each of which makes it usable for this workload, the narrowest first. Each was evaluated as
      usable, and none is one that IAM certainly refuses.
    - Empty unless RV(usable=no), and when no edit helps.
  returned: always
  type: list
  elements: dict
  contains:
    trust_policy:
      description: The whole policy with the edit.
      type: dict
    edits:
      description: What is changed, in sentences.
      type: list
      elements: str
      sample:
        - Add a statement for this workload alone.
    also_lets_in:
      description:
        - Who else can use the role with this policy that could not before. Empty when that is proven to be nobody.
      type: list
      elements: str
      sample: []
    storable:
      description: The same as RV(storable), for this policy.
      type: str
      sample: "yes"
    storable_reasons:
      description: The same as RV(storable_reasons), for this policy.
      type: list
      elements: dict
      sample: []
    findings:
      description: What is worth knowing about this policy, with the keys of RV(findings).
      type: list
      elements: dict
      sample: []
suggested_trust_policy:
  description: The policy of the first of RV(suggestions); null when there are none.
  returned: always
  type: dict
trust_policy:
  description: The trust policy that was checked, with every single value as a list, in the author's order.
  returned: always
  type: dict
  sample:
    Version: "2012-10-17"
    Statement:
      - Effect: Allow
        Principal:
          Service:
            - pods.eks.amazonaws.com
        Action:
          - sts:AssumeRole
          - sts:TagSession
"""

from typing import Any

from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import api_for
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.sdk import AwsModule, require_sdk
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
    find_role,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.language.document import (
    PolicyError,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.permissions import (
    FactError,
    parse_subject,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.check import (
    TrustCheck,
    check_policy,
)


def judge(params: dict[str, Any], document: object, role_arn: str | None) -> TrustCheck:
    """What is said of a trust policy; ``role_arn`` is the role that has it, where known."""
    source = params["pod_identity_role_arn"]
    return check_policy(
        document,
        parse_subject({**params, "role_arn": source or role_arn}),
        chained=source is not None,
        target_role_arn=role_arn if source is not None else None,
        external_id=params["external_id"],
        stored=params["trust_policy"] is None,
    )


def main() -> None:
    module = AwsModule(
        argument_spec={
            "role_name": {"type": "str"},
            "role_arn": {"type": "str"},
            "trust_policy": {"type": "raw"},
            "cluster_arn": {"type": "str"},
            "cluster_name": {"type": "str"},
            "namespace": {"type": "str"},
            "service_account": {"type": "str"},
            "pod_name": {"type": "str"},
            "pod_uid": {"type": "str"},
            "account_id": {"type": "str"},
            "source_org_id": {"type": "str"},
            "session_tags": {"type": "bool", "default": True},
            "pod_identity_role_arn": {"type": "str"},
            "external_id": {"type": "str"},
            **assume_role_spec(),
        },
        required_one_of=[("role_name", "role_arn", "trust_policy")],
        mutually_exclusive=[("role_name", "role_arn"), ("role_name", "trust_policy")],
        required_by={"external_id": ("pod_identity_role_arn",)},
        supports_check_mode=True,
        check_boto3=False,
    )
    params = module.params
    document, role_arn = params["trust_policy"], params["role_arn"]
    try:
        parse_subject(params)
        assumed = read_assume_role(params)
        if document is None:
            require_sdk(module)
            asked = params["role_name"] or role_arn
            role = find_role(api_for(module, 1, assumed), asked, module.region)
            document, role_arn = role.trust_policy, role.arn
        checked = judge(params, document, role_arn)
    except InputError as error:
        module.fail_json(msg=input_message(error))
    except (FactError, RoleNotFound) as error:
        module.fail_json(msg=visible(str(error)))
    except PolicyError as error:
        module.fail_json(
            msg=visible(f"The trust policy is not one that IAM accepts: {error}. Correct it there.")
        )
    except AwsError as error:
        module.fail_json(
            msg=with_option_names(f"Reading the role failed: {error} {error.remedy}", ""),
            error_code=error.code,
            remedy=with_option_names(error.remedy, ""),
            region=module.region,
        )
    module.exit_json(changed=False, **checked.as_dict())


if __name__ == "__main__":
    main()
