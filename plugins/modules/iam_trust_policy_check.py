#!/usr/bin/python

# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: iam_trust_policy_check
version_added: 1.0.0
short_description: Check that EKS Pod Identity can use a role for a workload
description:
  - Evaluates the trust policy of an IAM role for the request that EKS Pod Identity sends for a workload. Returns
    whether the role is usable, the reasons, and a change that makes it usable for this workload.
  - Also returns whether IAM accepts the document when you store it (RV(storable)). If IAM rejects the document, RV(usable)
    is V(no), because the role cannot get this trust policy.
  - The trust policy must allow C(sts:AssumeRole) and C(sts:TagSession) in the same request, even if session tags are
    disabled. EKS rejects a role whose trust policy does not allow both actions.
  - The module treats unset options as unknown, not as absent. A result that depends on unknown values is V(conditional), and
    RV(conditional_on) lists the condition keys.
  - With O(trust_policy) the module needs no request to AWS and no boto3.
  - The module fails for invalid input and errors of AWS. It does not fail if the role is unusable, so assert on RV(usable).
author:
  - The workload_identity.aws authors (@workload-identity)
options:
  role_name:
    description:
      - Name of a role in IAM.
    type: str
  role_arn:
    description:
      - ARN of the role. Without O(trust_policy), the trust policy of the role is read from IAM.
      - With O(trust_policy), the module does not read IAM, and the ARN only identifies the role that the policy belongs to.
    type: str
  trust_policy:
    description:
      - The trust policy, as a dictionary, JSON text, or URL-encoded JSON text.
    type: raw
  cluster_arn:
    description:
      - ARN of the workload's EKS cluster.
    type: str
  cluster_name:
    description:
      - Name of the cluster, if its ARN is unknown.
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
      - Name of the Pod, for trust policies with a condition on the name.
    type: str
  pod_uid:
    description:
      - UID of the Pod, for trust policies with a condition on the UID.
    type: str
  account_id:
    description:
      - ID of the AWS account of the cluster and the role. Defaults to the account in O(cluster_arn) or in the role's ARN.
    type: str
  source_org_id:
    description:
      - ID of the organization of the cluster's account, such as V(o-abcd123456).
    type: str
  session_tags:
    description:
      - Whether the association has session tags, which is the default of EKS.
    type: bool
    default: true
  pod_identity_role_arn:
    description:
      - Use this option to check a target role. It is the ARN of the association's role, which assumes the target role.
      - The module then evaluates the request of a session of this role, not the request of EKS Pod Identity. With
        O(session_tags=false), this request does not need C(sts:TagSession).
    type: str
  external_id:
    description:
      - External ID of the association, as EKS reports it. Use it only with O(pod_identity_role_arn).
      - If O(session_tags=false), it defaults to C(REGION/ACCOUNT/CLUSTER/NAMESPACE/SERVICE_ACCOUNT), as in EKS.
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
    description: The required trust policy.
    link: https://docs.aws.amazon.com/eks/latest/userguide/pod-id-role.html
  - name: Policy evaluation logic
    description: How IAM evaluates policies.
    link: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
extends_documentation_fragment:
  - amazon.aws.common.modules
  - amazon.aws.region.modules
  - workload_identity.aws.requirements.aws
  - workload_identity.aws.assume_role
  - workload_identity.aws.attributes
  - workload_identity.aws.attributes.aws
  - workload_identity.aws.attributes.info
"""

EXAMPLES = r"""
- name: Check a trust policy without AWS
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

- name: Assert that the workload can use the role and IAM stores the policy
  ansible.builtin.assert:
    that:
      - verdict.usable == 'yes'
      - verdict.storable == 'yes'
    fail_msg: "{{ verdict.findings | map(attribute='message') | join(' ') }}"

- name: Find a repair of a policy
  workload_identity.aws.iam_trust_policy_check:
    trust_policy: '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "pods.eks.amazonaws.com"},
      "Action": "sts:AssumeRole"}]}'
    cluster_arn: arn:aws:eks:us-west-2:111122223333:cluster/my-cluster
    namespace: default
    service_account: my-service-account
  register: broken

- name: Show the change, and who gets access
  ansible.builtin.debug:
    msg: "{{ broken.suggestion.edit }} {{ broken.suggestion.lets_in }}"

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
    - V(yes) if the needed actions are allowed for this workload, whatever the unknown values are. V(no) if they are never allowed
      together. V(conditional) if the result depends on unknown values.
  returned: always
  type: str
  sample: "yes"
assume_role:
  description: The verdict on C(sts:AssumeRole) alone, as V(allowed), V(denied) or V(conditional).
  returned: always
  type: str
  sample: allowed
tag_session:
  description: The verdict on C(sts:TagSession) alone, as V(allowed), V(denied) or V(conditional).
  returned: always
  type: str
  sample: allowed
conditional_on:
  description: The condition keys that RV(usable) depends on. Empty unless RV(usable) is V(conditional).
  returned: always
  type: list
  elements: str
  sample:
    - aws:RequestTag/kubernetes-pod-name
findings:
  description: Findings on the policy.
  returned: always
  type: list
  elements: dict
  contains:
    code:
      description: The code of the finding, which does not change between versions of the collection.
      type: str
      sample: TRUST_ACTION_NOT_ALLOWED
    severity:
      description: V(error) if the role is unusable or open to everyone, V(warning) for a finding to check, V(info) for
        a finding that needs no action.
      type: str
      sample: error
    statement:
      description: The statement; empty for the whole policy.
      type: str
      sample: Statement 1 (Sid 'AllowEksAuthToAssumeRoleForPodIdentity')
    message:
      description: A sentence that describes the finding.
      type: str
      sample: No statement allows pods.eks.amazonaws.com sts:TagSession; EKS rejects a role without it in the trust policy, even
        if session tags are disabled.
    remedy:
      description: The action that resolves the problem.
      type: str
      sample: Add sts:TagSession to the actions of Statement 1 (Sid 'AllowEksAuthToAssumeRoleForPodIdentity').
storable:
  description:
    - V(yes) if IAM accepts the document when you store it, or if the document was read from IAM. V(no) if IAM certainly
      rejects the document. V(unknown) if the documentation of AWS does not determine the result, or if the result depends on
      unknown facts, such as the existence of a role in the document.
  returned: always
  type: str
  sample: "yes"
storable_reasons:
  description: The reasons if RV(storable) is V(no) or V(unknown).
  returned: always
  type: list
  elements: dict
  contains:
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
      sample: NotPrincipal is not allowed in the trust policy of a role
    remedy:
      description: The action that resolves the problem.
      type: str
      sample: List the callers in Principal. To exclude callers from a Deny, use a condition such as StringNotEquals on
        aws:PrincipalServiceName.
suggestion:
  description:
    - A change of the trust policy with which the workload can use the role. The module has evaluated the changed policy.
    - Null if RV(usable) is not V(no), or if no single change helps. For example, several Deny statements match, the options do
      not name the workload, or IAM certainly rejects the changed policy.
  returned: always
  type: dict
  contains:
    edit:
      description:
        - "The change: a statement to add, or a Deny statement to replace with statements that exclude this workload."
      type: str
      sample: Add the statement AllowEksAuthToAssumeRoleForPodIdentity.
    lets_in:
      description: The requests that the change allows in addition to the present policy.
      type: str
      sample: "Only this workload: requests of pods.eks.amazonaws.com with aws:RequestTag/kubernetes-namespace default."
    statement:
      description: The added statement; null if the change only excludes the workload from a Deny.
      type: dict
    trust_policy:
      description: The whole trust policy with the change.
      type: dict
    storable:
      description: Whether IAM stores this policy, as V(yes) or V(unknown). See RV(storable).
      type: str
      sample: "yes"
    storable_reasons:
      description: The reasons for V(unknown), in the form of RV(storable_reasons).
      type: list
      elements: dict
      sample: []
trust_policy:
  description: The checked trust policy in its original order. A single value is returned as a list with one element.
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

from ..module_utils._aws.client import api_for
from ..module_utils._aws.sdk import AwsModule
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
from ..module_utils._identity.read.roles import (
    RoleNotFound,
    find_role,
)
from ..module_utils._policy.language.document import (
    PolicyError,
)
from ..module_utils._policy.permissions.permissions import (
    FactError,
    parse_subject,
)
from ..module_utils._policy.trust.check import (
    TrustCheck,
    check_policy,
)


def judge(params: dict[str, Any], document: object, role_arn: str | None) -> TrustCheck:
    """Check a trust policy for the workload in the options.

    :arg role_arn: the ARN of the role that the trust policy belongs to, or None if it is unknown.
    """
    source = params["pod_identity_role_arn"]
    return check_policy(
        document,
        parse_subject({**params, "role_arn": source or role_arn}),
        chained=source is not None,
        target_role_arn=role_arn,
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
    if all(value is None for value in (document, role_arn, params["role_name"])):
        module.fail_json(msg="role_name, role_arn and trust_policy are null. Set one of them.")
    try:
        parse_subject(params)
        assumed = read_assume_role(params)
        if document is None:
            module.require_sdk()
            role_id = params["role_name"] or role_arn
            role = find_role(api_for(module, role=assumed), role_id, module.region)
            document, role_arn = dict(role.trust), role.arn
        checked = judge(params, document, role_arn)
    except InputError as error:
        module.fail_json(msg=input_message(error))
    except (FactError, RoleNotFound) as error:
        module.fail_json(msg=visible(str(error)))
    except PolicyError as error:
        module.fail_json(
            msg=visible(f"IAM would reject the trust policy: {error}. Correct the trust policy.")
        )
    except AwsError as error:
        module.fail_json(
            msg=with_option_names(f"Reading the role failed: {sentence(str(error))} {error.remedy}", ""),
            error_code=error.code,
            remedy=with_option_names(error.remedy, ""),
            region=module.region,
        )
    module.exit_json(changed=False, **checked.as_dict())


if __name__ == "__main__":
    main()
