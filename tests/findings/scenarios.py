# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios: faults, and the codes of the findings that each of them causes."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings import breaks_kube as kube
from ansible_collections.workload_identity.aws.tests.findings import remedies
from ansible_collections.workload_identity.aws.tests.findings.remedies import Repair
from ansible_collections.workload_identity.aws.tests.findings.world import (
    ACCOUNT_NAME,
    GUIDE,
    ROLE,
    World,
    document,
    trust,
)


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault and its findings. ``made`` returns the workloads to apply; then ``arrange`` causes the fault.

    A short ``arrange`` is a lambda; breaks_aws.py and breaks_kube.py have the others. The fault causes the finding ``code``, and
    also the findings ``also``, for the reason ``because``. ``remedy`` has the steps that follow the remedy of ``code``, or
    the reason why the test does not follow it. ``reason`` is a part of the message, for a code with several reasons.
    """

    name: str
    arrange: Callable[[World], object]
    code: str = ""
    made: Callable[[World], aws.Workloads] = aws.guide
    also: tuple[str, ...] = ()
    because: str = ""
    remedy: Repair | str = ""
    reason: str = ""

    @property
    def codes(self) -> list[str]:
        return sorted(filter(None, (self.code, *self.also)))


CORRECT_SCENARIOS = (
    Scenario("example of the guide", aws.unchanged),
    Scenario("target role", aws.unchanged, made=aws.with_target),
    Scenario("eleven workloads, read in bulk", aws.unchanged, made=aws.many),
    Scenario("agent without the add-on", aws.delete_addon),
    Scenario("probe Pod is injected", kube.with_probe()),
    Scenario("runtime proof with the role of the workload", kube.proof_as_role("my-role")),
    Scenario(
        "proxy with an exception for the agent",
        kube.new_pod(
            env=kube.environment(HTTPS_PROXY="http://proxy:3128", NO_PROXY="169.254.170.23,[fd00:ec2::23]")
        ),
    ),
    Scenario("tunnel to the cluster", kube.api_at("https://localhost:8443")),
    Scenario(
        "cluster endpoint through a proxy", kube.api_at("https://abc.eks.amazonaws.com", frozenset({"00"}))
    ),
    Scenario(
        "node of Auto Mode", kube.pod_on("i-0123456789abcdef0", **{"eks.amazonaws.com/compute-type": "auto"})
    ),
)

AWS_SCENARIOS = (
    Scenario("role deleted", aws.delete_role, "ROLE_MISSING", remedy=remedies.APPLY),
    Scenario(
        "role deleted, with a target role",
        aws.delete_role,
        "ROLE_MISSING",
        made=aws.with_target,
        remedy=remedies.APPLY,
    ),
    Scenario(
        "role with another path",
        aws.request_another_path,
        "ROLE_NAME_DIFFERS",
        remedy=Repair("Set the existing path (/), or", changes={"role": GUIDE["role"]}),
    ),
    Scenario(
        "role in other letter case",
        aws.request_another_case,
        "ROLE_NAME_DIFFERS",
        remedy=Repair("give the role another name", changes={"role": {"name": "another-role"}}),
    ),
    Scenario(
        "session tags disabled, required by the trust policy",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
        remedy=Repair("disable_session_tags: false", changes={"disable_session_tags": False}),
    ),
    Scenario(
        "session tags disabled, not in the list",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(role={"name": "my-role", "trust_scope": "account"}),
        remedy=Repair("list disable_session_tags: false", changes={"disable_session_tags": False}),
    ),
    Scenario(
        "target role set, not in the list",
        lambda world: world.update_association(
            targetRoleArn=f"arn:aws:iam::{world.account}:role/{aws.TARGET}"
        ),
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.allowed_target,
        remedy=Repair("list target_role_arn: ''", changes={"target_role_arn": ""}),
    ),
    Scenario(
        "session policy set, not in the list",
        lambda world: world.update_association(policy=json.dumps(document("s3:*", resource="*"))),
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(disable_session_tags=True, role={"name": "my-role", "trust_scope": "account"}),
        remedy=Repair(
            "list a session policy that allows everything",
            changes={"session_policy": document("s3:*", resource="*")},
        ),
    ),
    Scenario(
        "trust without sts:TagSession",
        aws.trust_without_tag_session,
        "TRUST_NOT_USABLE",
        remedy=Repair("pply the workload", remaining_codes=("TRUST_STATEMENT_FOREIGN",)),
    ),
    Scenario(
        "trust policy for another service",
        lambda world: world.set_trust(trust({"Service": "ec2.amazonaws.com"}, *aws.ASSUME)),
        "TRUST_NOT_USABLE",
        remedy=Repair("pply the workload", remaining_codes=("TRUST_STATEMENT_FOREIGN",)),
    ),
    Scenario(
        "trust policy for one Pod",
        aws.trust_one_pod,
        "TRUST_CONDITIONAL",
        also=("TRUST_STATEMENT_FOREIGN",),
        because="One finding reports that the workload may be kept out, the other that the statement allows other workloads.",
        remedy=Repair(
            "remove the conditions from the trust policy",
            apply=lambda world: world.set_trust(
                trust({"Service": "pods.eks.amazonaws.com"}, *remedies.ASSUME)
            ),
            remaining_codes=("TRUST_WIDER_THAN_ASKED", "TRUST_STATEMENT_FOREIGN"),
        ),
    ),
    Scenario(
        "trust policy for every cluster",
        lambda world: world.set_trust(trust(aws.PODS, *aws.ASSUME)),
        "TRUST_WIDER_THAN_ASKED",
        also=("TRUST_STATEMENT_FOREIGN",),
        because="One finding compares the role with its trust scope, the other names the statement that is kept.",
        remedy=Repair("with pod_identity_force: true", options={"force": True}),
    ),
    Scenario(
        "trust policy opened to everyone",
        aws.add_principal({"AWS": "*"}),
        "TRUST_OPEN_TO_EVERYONE",
        remedy=Repair(
            "Remove the statement",
            apply=remedies.edit_trust(ROLE, lambda statement: "Service" in statement["Principal"]),
        ),
    ),
    Scenario(
        "trust policy opened to another account",
        aws.add_principal({"AWS": "arn:aws:iam::999988887777:root"}),
        "TRUST_STATEMENT_FOREIGN",
        remedy=Repair(
            "Remove those statements from the trust policy",
            apply=remedies.edit_trust(ROLE, lambda statement: "Service" in statement["Principal"]),
        ),
    ),
    Scenario(
        "Deny added to the trust policy", aws.add_deny(), "ROLE_RESTRICTED", remedy=remedies.EDIT_OUT_DENY
    ),
    Scenario(
        "Deny for one Pod added to the trust policy",
        aws.add_deny(**{"kubernetes-pod-name": "pod-0"}),
        "ROLE_RESTRICTED",
        remedy=remedies.EDIT_OUT_DENY,
    ),
    Scenario(
        "Deny for another namespace added to the trust policy",
        aws.add_deny(**{"kubernetes-namespace": "batch"}),
        "ROLE_RESTRICTED",
        remedy=remedies.EDIT_OUT_DENY,
    ),
    Scenario("denying policy attached", aws.attach_denying, "ROLE_RESTRICTED", remedy=remedies.COMMAND),
    Scenario("policy detached", aws.detach_policy, "POLICY_NOT_ATTACHED", remedy=remedies.APPLY),
    Scenario(
        "policy detached, required for the target role",
        aws.detach_policy,
        "POLICY_NOT_ATTACHED",
        made=aws.with_target,
        remedy=remedies.APPLY,
    ),
    Scenario("policy deleted", aws.delete_policy, "POLICY_MISSING", remedy=remedies.APPLY),
    Scenario(
        "policy changed",
        aws.change_policy,
        "POLICY_CONTENTS_DIFFER",
        remedy=remedies.APPLY,
        reason="the default version v2",
    ),
    Scenario(
        "policy changed to deny",
        aws.deny_in_policy,
        "POLICY_CONTENTS_DIFFER",
        remedy=remedies.APPLY,
        reason="the default version v2",
    ),
    Scenario(
        "another default version",
        aws.another_default_version,
        "POLICY_CONTENTS_DIFFER",
        remedy=remedies.COMMAND,
        reason="the configured document is version v1",
    ),
    Scenario(
        "policy for the bucket only, as in the guide",
        aws.unchanged,
        "PERMISSION_DENIED",
        made=aws.guide_with_policy(document("s3:GetObject", resource="arn:aws:s3:::my-pod-secrets-bucket")),
        remedy=Repair(
            "Allow the action in one of the workload's policies", changes={"policies": GUIDE["policies"]}
        ),
    ),
    Scenario(
        "role without policies",
        aws.unchanged,
        "ROLE_WITHOUT_POLICIES",
        made=aws.guide_with(policies=[], required_permissions=[]),
        remedy=Repair("List the policies that the workload needs", changes={"policies": GUIDE["policies"]}),
    ),
    Scenario(
        "denying policy added",
        aws.add_denying_policy,
        "PERMISSION_DENIED",
        also=("ROLE_RESTRICTED",),
        because="One finding is about the permission that the Pod lacks, the other about the restriction of the role.",
        remedy=Repair("remove Statement 1 of inline policy deny", apply=remedies.remove_inline),
    ),
    Scenario(
        "permissions boundary set",
        aws.bound_role,
        "PERMISSION_TAKEN_AWAY",
        also=("ROLE_RESTRICTED",),
        because="One finding is about the permission that the Pod lacks, the other about the restriction of the role.",
        remedy=Repair(
            "Allow the action in arn:aws:iam::",
            apply=remedies.allow_in_boundary,
            remaining_codes=("ROLE_RESTRICTED",),
        ),
        reason="is not allowed to perform s3:GetObject",
    ),
    Scenario(
        "policy with a condition on an unknown key",
        aws.unchanged,
        "PERMISSION_CONDITIONAL",
        made=aws.guide_with_policy(
            document("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
        ),
        remedy=Repair(
            "Set values for the keys in the context of the required permission",
            changes={
                "required_permissions": [
                    {**GUIDE["required_permissions"][0], "context": {"aws:SourceVpc": "vpc-1"}}
                ]
            },
        ),
    ),
    Scenario("association deleted", aws.delete_association, "ASSOCIATION_MISSING", remedy=remedies.APPLY),
    Scenario(
        "association to another role",
        lambda world: world.update_association(
            roleArn=world.make_role("another", trust(aws.PODS, *aws.ASSUME))
        ),
        "ASSOCIATION_OTHER_ROLE",
        remedy=remedies.APPLY,
        reason="names role",
    ),
    Scenario(
        "association to another target role",
        aws.associate_another_target,
        "ASSOCIATION_OTHER_ROLE",
        made=aws.with_target,
        remedy=remedies.APPLY,
        reason="has the target role",
    ),
    Scenario(
        "unlisted association",
        aws.associate_by_hand,
        "UNLISTED_ASSOCIATIONS",
        remedy=Repair("or delete them", apply=remedies.delete_unlisted),
    ),
    Scenario(
        "empty list",
        aws.unlist,
        "NOTHING_VERIFIED",
        also=("UNLISTED_ASSOCIATIONS",),
        because="One finding reports that no workload was verified, the other the associations of the cluster.",
        remedy="an empty list may be intended",
    ),
    Scenario(
        "workload removed from the list",
        aws.unlist,
        "UNLISTED_ASSOCIATIONS",
        made=aws.two,
        remedy=remedies.NEEDS_PURGE,
    ),
    Scenario(
        "grant without association",
        aws.grant_alone,
        "TRUST_WITHOUT_ASSOCIATION",
        made=aws.sharing,
        remedy=remedies.NEEDS_PURGE,
    ),
    Scenario(
        "workload removed from a long list",
        aws.unlist,
        "UNLISTED_ASSOCIATIONS",
        made=aws.many,
        remedy=remedies.NEEDS_PURGE,
    ),
    Scenario(
        "session tags disabled",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_with(disable_session_tags=False),
        remedy=remedies.APPLY,
    ),
    Scenario(
        "session policy with fewer permissions",
        lambda world: world.update_association(
            policy=json.dumps(document("s3:ListBucket")), disableSessionTags=True
        ),
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_with(
            disable_session_tags=True,
            session_policy=document("s3:GetObject"),
            role={"name": "my-role", "trust_scope": "account"},
        ),
        remedy=remedies.APPLY,
    ),
    Scenario(
        "boundary removed",
        lambda world: world.iam.delete_role_permissions_boundary(RoleName=ROLE),
        "ROLE_SETTINGS_DIFFER",
        made=aws.guide_with_boundary,
        remedy=remedies.APPLY,
    ),
    Scenario(
        "tag of the role changed",
        lambda world: world.iam.tag_role(RoleName=ROLE, Tags=[{"Key": "team", "Value": "others"}]),
        "ROLE_SETTINGS_DIFFER",
        made=aws.guide_tagged,
        remedy=remedies.APPLY,
    ),
    Scenario(
        "description changed",
        lambda world: world.iam.update_role(RoleName=ROLE, Description="changed by hand"),
        "ROLE_SETTINGS_DIFFER",
        remedy=remedies.APPLY,
    ),
    Scenario(
        "tag of the policy changed",
        lambda world: world.iam.tag_policy(
            PolicyArn=world.policy_arn, Tags=[{"Key": "team", "Value": "others"}]
        ),
        "POLICY_SETTINGS_DIFFER",
        made=aws.guide_tagged,
        remedy=remedies.APPLY,
    ),
    Scenario(
        "different policy description requested",
        aws.request_another_description,
        "POLICY_DESCRIPTION_DIFFERS",
        made=aws.guide_described,
        remedy=Repair(
            "Set the existing description (Reads secrets), or",
            changes={"policies": [{**GUIDE["policies"][0], "description": "Reads secrets"}]},
        ),
    ),
    Scenario(
        "policy description requested, none stored",
        aws.request_description,
        "POLICY_DESCRIPTION_DIFFERS",
        remedy=Repair("Leave the description out, or", changes={"policies": GUIDE["policies"]}),
    ),
    Scenario(
        "tag of the association removed",
        aws.untag_association,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_tagged,
        remedy=remedies.APPLY,
    ),
    Scenario("inline policy added", aws.add_inline_policy, "ROLE_INLINE_POLICY", remedy=remedies.COMMAND),
    Scenario(
        "inline policy of an administrator added",
        aws.add_admin_policy,
        "POLICY_ADMINISTERS",
        remedy=remedies.COMMAND,
    ),
    Scenario(
        "unlisted policy attached",
        aws.attach_another,
        "POLICY_ATTACHED_EXTRA",
        remedy=Repair("set pod_identity_purge_policies: true", options={"purge_policies": True}),
    ),
    Scenario(
        "policy of another list on a shared role",
        aws.share_role,
        "POLICY_ATTACHED_EXTRA",
        also=("UNLISTED_ASSOCIATIONS",),
        because="the workload of the other list is in the cluster",
        remedy="the policy belongs to another list",
    ),
    Scenario(
        "policy of an administrator attached",
        lambda world: world.iam.attach_role_policy(
            RoleName=ROLE, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess"
        ),
        "POLICY_ADMINISTERS",
        remedy=remedies.COMMAND,
    ),
    Scenario(
        "customer managed policy of an administrator attached",
        aws.attach_admin,
        "POLICY_ADMINISTERS",
        remedy=remedies.COMMAND,
    ),
    Scenario(
        "AdministratorAccess listed",
        aws.unchanged,
        "POLICY_ADMINISTERS",
        made=aws.guide_with(policies=[{"arn": "arn:aws:iam::aws:policy/AdministratorAccess"}]),
        remedy="the list asks for the policy",
        reason="the listed policy arn:aws:iam::aws:policy/AdministratorAccess",
    ),
    Scenario(
        "document of an administrator listed",
        aws.unchanged,
        "POLICY_ADMINISTERS",
        made=aws.guide_with_policy(document("*", resource="*")),
        remedy="the list asks for the policy",
        reason="the listed policy",
    ),
    Scenario(
        "boundary without a granted action",
        aws.unchanged,
        "PERMISSION_TAKEN_AWAY",
        made=aws.guide_with_unrelated_boundary,
        remedy=Repair("In permissions boundary", apply=remedies.allow_in_boundary),
        reason="has no effective permissions",
    ),
    Scenario(
        "policy for the bucket only, without required permissions",
        aws.unchanged,
        "PERMISSION_RESOURCE_MISMATCH",
        made=aws.guide_with(
            policies=[{"name": "my-policy", "document": document("s3:GetObject", resource=aws.BUCKET)}],
            required_permissions=[],
        ),
        remedy=Repair("Name the objects", changes={"policies": GUIDE["policies"]}),
    ),
    Scenario(
        "policy with a misspelt action",
        aws.unchanged,
        "PERMISSION_NO_SUCH_ACTION",
        made=aws.guide_with_policy(document("s3:GetObject", "s3:GetObjct")),
        remedy=Repair("Correct the name", changes={"policies": GUIDE["policies"]}),
    ),
    Scenario(
        "managed-by tag of the role removed",
        lambda world: world.iam.untag_role(RoleName=ROLE, TagKeys=["workload-identity/managed-by"]),
        "NOT_OWNED",
        remedy=Repair("with pod_identity_adopt: true", options={"adopt": True}),
        reason="without this collection's tag",
    ),
    Scenario(
        "association of an add-on",
        aws.own_by_addon,
        "ASSOCIATION_OWNED_BY_ADDON",
        remedy=remedies.NEEDS_OWNER,
    ),
    Scenario(
        "target role deleted",
        lambda world: world.iam.delete_role(RoleName=aws.TARGET),
        "TARGET_ROLE_MISSING",
        made=aws.with_target,
        remedy=Repair("or create the role", apply=remedies.set_trust("target", ROLE)),
    ),
    Scenario(
        "target role with unusable trust policy",
        lambda world: world.set_trust(
            trust({"AWS": "arn:aws:iam::444455556666:root"}, *aws.ASSUME), aws.TARGET
        ),
        "TARGET_ROLE_NOT_ALLOWED",
        made=aws.with_target,
        remedy=Repair(
            "sts:AssumeRole and sts:TagSession in the trust policy of the target role",
            apply=remedies.set_trust("target", ROLE),
        ),
        reason="does not allow role",
    ),
    Scenario(
        "target role without a policy to assume it",
        aws.unchanged,
        "TARGET_ROLE_NOT_ALLOWED",
        made=aws.with_target_not_allowed,
        remedy=remedies.NEEDS_OWNER,
        reason="is not allowed to perform sts:AssumeRole and sts:TagSession",
    ),
    Scenario(
        "target role of another account",
        aws.unchanged,
        "TARGET_ROLE_UNKNOWN",
        made=aws.with_foreign_target,
        remedy=remedies.NEEDS_OWNER,
        reason="could not be checked",
    ),
    Scenario(
        "target role open to everyone",
        lambda world: world.set_trust(trust({"AWS": "*"}, *aws.ASSUME), aws.TARGET),
        "TRUST_OPEN_TO_EVERYONE",
        made=aws.with_target,
        remedy=Repair("Specify the caller", apply=remedies.set_trust("target", ROLE)),
    ),
    Scenario(
        "target role limited to an organization",
        aws.open_target_to_organization,
        "TARGET_ROLE_UNKNOWN",
        made=aws.with_target,
        remedy=Repair("or remove the conditions", apply=remedies.set_trust("target", ROLE)),
        reason="depends on unknown values of aws:PrincipalOrgID",
    ),
    Scenario(
        "target role limited to one address",
        aws.unchanged,
        "TARGET_ROLE_UNKNOWN",
        made=aws.with_conditional_target_policy,
        remedy=remedies.NEEDS_OWNER,
        reason="depends on unknown values of aws:SourceIp",
    ),
    Scenario(
        "required permissions of a target role",
        aws.unchanged,
        "PERMISSION_NOT_CHECKED",
        made=aws.with_target_and_requirements,
        remedy=remedies.NEEDS_OWNER,
    ),
    Scenario(
        "add-on deleted, without Pod checks",
        aws.delete_addon_without_pod_checks,
        "AGENT_MISSING",
        remedy=Repair(
            "apply the workloads with pod_identity_agent: present", apply=lambda world: world.install_agent()
        ),
        reason="has neither the EKS add-on eks-pod-identity-agent nor EKS Auto Mode",
    ),
    Scenario(
        "add-on degraded",
        aws.degrade_addon,
        "AGENT_NOT_READY",
        remedy=remedies.NEEDS_OWNER,
        reason="is DEGRADED",
    ),
    Scenario(
        "Auto Mode with the add-on",
        lambda world: world.patch_cluster(computeConfig={"enabled": True}),
        "AGENT_ADDON_WITH_AUTO_MODE",
        remedy=remedies.COMMAND,
    ),
    Scenario(
        "old platform version",
        lambda world: world.patch_cluster(version="1.24", platformVersion="eks.1"),
        "CLUSTER_PLATFORM_TOO_OLD",
        remedy=remedies.NEEDS_OWNER,
    ),
    Scenario("role not readable", aws.refuse("iam:GetRole"), "NOT_READABLE", remedy=remedies.ALLOW_READS),
    Scenario(
        "attachments not readable",
        aws.refuse("iam:ListAttachedRolePolicies"),
        "NOT_READABLE",
        remedy=remedies.ALLOW_READS,
    ),
    Scenario(
        "inline policies not readable",
        aws.refuse("iam:ListRolePolicies"),
        "NOT_READABLE",
        remedy=remedies.ALLOW_READS,
    ),
    Scenario("policy not readable", aws.refuse("iam:GetPolicy"), "NOT_READABLE", remedy=remedies.ALLOW_READS),
    Scenario(
        "policy version not readable",
        aws.refuse("iam:GetPolicyVersion"),
        "NOT_READABLE",
        remedy=remedies.ALLOW_READS,
    ),
    Scenario(
        "associations not readable",
        aws.refuse("eks:ListPodIdentityAssociations"),
        "NOT_READABLE",
        remedy=remedies.ALLOW_READS,
    ),
    Scenario(
        "association not readable",
        aws.refuse("eks:DescribePodIdentityAssociation"),
        "NOT_READABLE",
        remedy=remedies.ALLOW_READS,
    ),
    Scenario(
        "add-on not readable", aws.refuse("eks:DescribeAddon"), "NOT_READABLE", remedy=remedies.ALLOW_READS
    ),
    Scenario(
        "no bulk reads",
        aws.refuse("iam:GetAccountAuthorizationDetails"),
        "BULK_READ_DENIED",
        made=aws.many,
        remedy=Repair("Allow the caller iam:GetAccountAuthorizationDetails", apply=remedies.permit),
    ),
)

KUBERNETES_SCENARIOS = (
    Scenario(
        "namespace missing",
        aws.unchanged,
        "NAMESPACE_MISSING",
        made=aws.guide_with(namespace="nowhere"),
        remedy=remedies.NEEDS_CLUSTER,
    ),
    Scenario(
        "service account deleted",
        kube.delete_account,
        "SERVICE_ACCOUNT_MISSING",
        remedy=Repair("or create it with the workload's own manifests", apply=remedies.make_account),
    ),
    Scenario(
        "namespace terminating",
        kube.delete_namespace,
        "BEING_DELETED",
        made=aws.guide_with(namespace="leaving"),
        remedy=remedies.NEEDS_CLUSTER,
        reason="namespace leaving is being deleted",
    ),
    Scenario(
        "service account terminating",
        kube.delete_account_with_finalizer,
        "BEING_DELETED",
        remedy=remedies.NEEDS_CLUSTER,
        reason="until its finalizers are removed",
    ),
    Scenario(
        "label of the service account changed",
        lambda world: world.kube.request(
            "PATCH", f"{kube.ACCOUNTS}/{ACCOUNT_NAME}", {"metadata": {"labels": {"team": "others"}}}
        ),
        "SERVICE_ACCOUNT_DIFFERS",
        made=aws.guide_with(service_account_labels={"team": "payments"}),
        remedy=remedies.NEEDS_CLUSTER,
    ),
    Scenario("IRSA annotation present", kube.annotate_account, "IRSA_ANNOTATION", remedy=remedies.COMMAND),
    Scenario(
        "Pod older than the association",
        kube.pod_before_association,
        "POD_BEFORE_ASSOCIATION",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "Pod of a paused Deployment",
        kube.pod_of_paused_deployment,
        "POD_BEFORE_ASSOCIATION",
        remedy=Repair(
            "Resume it before you restart it", has_command=True, remaining_codes=("POD_BEFORE_ASSOCIATION",)
        ),
    ),
    Scenario(
        "Pod of a StatefulSet with OnDelete",
        kube.owned_pod_before_association("StatefulSet", "web-0", updateStrategy={"type": "OnDelete"}),
        "POD_BEFORE_ASSOCIATION",
        remedy=Repair("Delete web-0: kubectl", has_command=True),
    ),
    Scenario(
        "Pod of a DaemonSet with OnDelete",
        kube.owned_pod_before_association("DaemonSet", "web-x2x4z", updateStrategy={"type": "OnDelete"}),
        "POD_BEFORE_ASSOCIATION",
        remedy=Repair("Delete web-x2x4z: kubectl", has_command=True),
    ),
    Scenario(
        "Pod below the partition of its StatefulSet",
        kube.owned_pod_before_association(
            "StatefulSet",
            "web-0",
            updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        ),
        "POD_BEFORE_ASSOCIATION",
        remedy=Repair("ordinal below 1 (partition 1)", has_command=True),
    ),
    Scenario(
        "association newer than the Pod", kube.changed_under_pod, "POD_BEFORE_CHANGE", remedy=remedies.NEW_POD
    ),
    Scenario("Pod not injected", kube.new_pod(injected=False), "POD_NOT_INJECTED", remedy=remedies.NEW_POD),
    Scenario(
        "API server of another cluster",
        kube.api_at("https://10.1.2.3", frozenset({"00"})),
        "KUBERNETES_API_DIFFERS",
        remedy=remedies.NEEDS_INSPECTION,
    ),
    Scenario(
        "API server of unknown cluster",
        kube.api_at("https://10.1.2.3", checks_certificate=False),
        "KUBERNETES_API_UNKNOWN",
        remedy=remedies.NEEDS_INSPECTION,
    ),
    Scenario(
        "Pod excluded from the webhook",
        kube.new_pod(injected=False, labels={"eks.amazonaws.com/skip-pod-identity-webhook": ""}),
        "POD_SKIPPED",
        remedy=remedies.NEW_POD,
        reason="because of the label eks.amazonaws.com/skip-pod-identity-webhook",
    ),
    Scenario(
        "host port of the agent in use",
        kube.new_pod(
            more=[{"name": "web", "image": "web", "ports": [{"containerPort": 80, "hostPort": 80}]}]
        ),
        "POD_HOST_PORT",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "security groups for Pods",
        kube.new_pod(annotations={"vpc.amazonaws.com/pod-eni": '[{"eniId":"eni-1"}]'}),
        "POD_OWN_INTERFACE",
        remedy=remedies.NEEDS_CLUSTER,
    ),
    Scenario(
        "container skipped",
        kube.new_pod(
            more=[{"name": "sidecar", "image": "sidecar"}],
            annotations={"eks.amazonaws.com/skip-containers": "sidecar"},
        ),
        "POD_SKIPPED",
        remedy=remedies.NEW_POD,
        reason="container sidecar excluded by the annotation eks.amazonaws.com/skip-containers",
    ),
    Scenario(
        "access keys in the Pod",
        kube.new_pod(env=kube.environment(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="example")),
        "POD_OTHER_CREDENTIALS",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "custom credentials endpoint in the Pod",
        kube.new_pod(env=kube.environment(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9911/")),
        "POD_OTHER_CREDENTIALS",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "Pod variables from a Secret",
        kube.new_pod(more=[{"name": "web", "image": "web", "envFrom": [{"secretRef": {"name": "web-env"}}]}]),
        "POD_CREDENTIALS_UNKNOWN",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "proxy",
        kube.new_pod(env=kube.environment(HTTPS_PROXY="http://proxy:3128")),
        "POD_PROXY",
        remedy=remedies.NEW_POD,
    ),
    Scenario(
        "Fargate",
        kube.pod_on("fargate-ip-10-0-1-7", **{"eks.amazonaws.com/compute-type": "fargate"}),
        "POD_ON_UNSUPPORTED_NODE",
        remedy=remedies.NEEDS_CLUSTER,
        reason="on AWS Fargate",
    ),
    Scenario(
        "Windows",
        kube.pod_on("ip-10-0-1-8", **{"kubernetes.io/os": "windows"}),
        "POD_ON_UNSUPPORTED_NODE",
        remedy=remedies.NEEDS_CLUSTER,
        reason="on Windows",
    ),
    Scenario(
        "node without the agent",
        kube.pod_on("ip-10-0-1-9"),
        "AGENT_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="on a node where the EKS Pod Identity Agent does not run",
    ),
    Scenario(
        "agent deleted in the cluster",
        kube.delete_agent,
        "AGENT_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="no DaemonSet eks-pod-identity-agent",
    ),
    Scenario(
        "agent and add-on deleted",
        kube.delete_agent_and_addon,
        "AGENT_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="no DaemonSet eks-pod-identity-agent",
    ),
    Scenario(
        "agent not ready",
        kube.agent_not_ready,
        "AGENT_NOT_READY",
        remedy=remedies.NEEDS_CLUSTER,
        reason="no Pod of the EKS Pod Identity Agent is ready",
    ),
    Scenario(
        "agent not ready, add-on degraded",
        kube.agent_not_ready_and_degraded,
        "AGENT_NOT_READY",
        also=("AGENT_NOT_READY",),
        because="Kubernetes reports the node, and EKS the cause",
        remedy=remedies.NEEDS_CLUSTER,
    ),
    Scenario(
        "agent without Pods",
        kube.agent_without_pods,
        "AGENT_NOT_READY",
        remedy=remedies.NEEDS_CLUSTER,
        reason="has 0 of 1 desired Pods",
    ),
    Scenario(
        "agent not ready on another node",
        kube.agent_not_ready_elsewhere,
        "AGENT_NOT_READY",
        remedy=remedies.NEEDS_CLUSTER,
        reason="is not ready on 1 of its 2 nodes",
    ),
    Scenario(
        "Pods not readable", kube.read_without_pods, "KUBERNETES_NOT_READABLE", remedy=remedies.NEEDS_CLUSTER
    ),
    Scenario(
        "DaemonSets not readable",
        kube.read_without_daemon_sets,
        "KUBERNETES_NOT_READABLE",
        remedy=remedies.NEEDS_CLUSTER,
    ),
)

PROOF_SCENARIOS = (
    Scenario(
        "runtime proof impossible",
        lambda world: world.prove(),
        "PROOF_SKIPPED",
        remedy=remedies.NEEDS_CLUSTER,
    ),
    Scenario(
        "role of the node",
        kube.proof_as_role("node"),
        "PROOF_OTHER_ROLE",
        remedy=remedies.NEEDS_INSPECTION,
        reason="not as role",
    ),
    Scenario(
        "image pull failed",
        lambda world: world.prove(
            {"waiting": {"reason": "ImagePullBackOff", "message": 'Back-off pulling image "aws-cli"'}}
        ),
        "PROOF_NOT_RUN",
        remedy=remedies.NEEDS_CLUSTER,
        reason="ImagePullBackOff",
    ),
    Scenario(
        "Pod not scheduled",
        kube.proof_without_node,
        "PROOF_NOT_RUN",
        remedy=remedies.NEEDS_CLUSTER,
        reason="0/1 nodes are available",
    ),
    Scenario(
        "unknown output",
        kube.proof(1, "sh: aws: not found"),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="failed with exit code 1",
    ),
    Scenario(
        "no credentials",
        kube.proof(253, "Unable to locate credentials. You can configure credentials by running aws login."),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="it found no credentials",
    ),
    Scenario(
        "agent unreachable",
        kube.proof(255, f'Connect timeout on endpoint URL: "{kube.AGENT_URI}"'),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="did not respond on its node",
    ),
    Scenario(
        "agent rejects the request",
        kube.proof(255, "Received non 200 response 400 from container metadata: AccessDeniedException"),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="the agent or AWS denied it the role's credentials",
    ),
    Scenario(
        "IRSA attempted",
        kube.proof(254, "(InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation"),
        "PROOF_OTHER_ROLE",
        remedy=remedies.NEEDS_INSPECTION,
        reason="it tried IAM roles for service accounts instead",
    ),
    Scenario(
        "old SDK",
        kube.proof(255, "Unsupported host '169.254.170.23'. Can only retrieve metadata from these hosts"),
        "PROOF_NOT_RUN",
        remedy=remedies.NEEDS_INSPECTION,
        reason="its SDK is too old",
    ),
    Scenario(
        "token with Bearer",
        kube.proof(255, "[InvalidTokenException]: Service account token cannot be parsed"),
        "PROOF_NOT_RUN",
        remedy=remedies.NEEDS_INSPECTION,
        reason="the agent could not read the token",
    ),
    Scenario(
        "session tags not allowed",
        kube.proof(255, "(AccessDenied) is not authorized to perform: sts:TagSession on resource"),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="not allowed to tag the session",
    ),
    Scenario(
        "session tags too large",
        kube.proof(255, "(PackedPolicyTooLarge) Packed size of session tags consumes 104% of allotted space"),
        "PROOF_FAILED",
        remedy=remedies.NEEDS_INSPECTION,
        reason="session tags and session policy together are too large",
    ),
    Scenario(
        "AWS STS unreachable",
        kube.proof(255, 'Could not connect to the endpoint URL: "https://sts.us-west-2.amazonaws.com/"'),
        "PROOF_NOT_RUN",
        remedy=remedies.NEEDS_INSPECTION,
        reason="it could not reach AWS STS",
    ),
)

PROBE_SCENARIOS = (
    Scenario(
        "association not yet propagated",
        kube.with_probe(kube.young_association),
        "INJECTION_NOT_YET",
        remedy=remedies.NEEDS_INSPECTION,
    ),
    Scenario(
        "webhook fails",
        kube.with_probe(kube.unknown_to_webhook),
        "INJECTION_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="although the association is not new",
    ),
    Scenario(
        "webhook removed",
        kube.with_probe(lambda world: world.kube.request("DELETE", kube.WEBHOOK)),
        "INJECTION_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="although the association is not new",
    ),
    Scenario(
        "namespace excluded",
        kube.with_probe(kube.excluded_namespace),
        "INJECTION_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="although the association is not new",
    ),
    Scenario(
        "admission policy adds the skip label",
        kube.with_probe(kube.policy_adds_skip_label),
        "INJECTION_MISSING",
        remedy=remedies.NEEDS_CLUSTER,
        reason="gets the label eks.amazonaws.com/skip-pod-identity-webhook",
    ),
    Scenario(
        "admission policy adds access keys",
        kube.with_probe(kube.policy_adds_access_keys),
        "INJECTION_OTHER_IDENTITY",
        remedy=remedies.NEEDS_CLUSTER,
        reason="gets AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
    ),
    Scenario(
        "IRSA injected instead",
        kube.with_probe(kube.irsa_instead),
        "INJECTION_OTHER_IDENTITY",
        also=("IRSA_ANNOTATION",),
        because="the annotation causes the injection",
        remedy=remedies.NEEDS_CLUSTER,
        reason="by IRSA instead of EKS Pod Identity",
    ),
    Scenario(
        "dry run not allowed",
        kube.with_probe(kube.probe_not_allowed),
        "INJECTION_UNKNOWN",
        remedy=remedies.NEEDS_CLUSTER,
    ),
)

SCENARIOS = (*CORRECT_SCENARIOS, *AWS_SCENARIOS, *KUBERNETES_SCENARIOS, *PROBE_SCENARIOS, *PROOF_SCENARIOS)
