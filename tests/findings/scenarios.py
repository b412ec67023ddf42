# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The scenarios: a fault, and the codes of the findings that it causes, with repetitions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings import breaks_kube as kube
from ansible_collections.workload_identity.aws.tests.findings.world import World, document


@dataclass(frozen=True, slots=True)
class Scenario:
    """A fault and its findings. ``made`` returns the workloads to apply before ``arrange`` breaks a resource.

    ``also`` are findings in addition to ``code``, for the reason ``because``.
    """

    name: str
    arrange: Callable[[World], None]
    code: str = ""
    made: Callable[[World], aws.Workloads] = aws.guide
    also: tuple[str, ...] = ()
    because: str = ""

    @property
    def codes(self) -> list[str]:
        return sorted(filter(None, (self.code, *self.also)))


CORRECT_SCENARIOS = (
    Scenario("example of the guide", aws.unchanged),
    Scenario("target role", aws.unchanged, made=aws.with_target),
    Scenario("eleven workloads, read in bulk", aws.unchanged, made=aws.many),
    Scenario("agent without the add-on", aws.delete_addon),
    Scenario("caller with all permissions", aws.caller_with("*")),
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
        "node of Auto Mode",
        kube.pod_on("i-0123456789abcdef0", **{"eks.amazonaws.com/compute-type": "auto"}),
    ),
)

AWS_SCENARIOS = (
    Scenario("role deleted", aws.delete_role, "ROLE_MISSING"),
    Scenario("role deleted, with a target role", aws.delete_role, "ROLE_MISSING", made=aws.with_target),
    Scenario("role of another path", aws.move_role, "ROLE_MISSING"),
    Scenario(
        "session tags disabled, required by the trust policy",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
    ),
    Scenario(
        "session tags disabled, not in the list",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(role={"name": "my-role", "trust_scope": "account"}),
    ),
    Scenario(
        "target role set, not in the list",
        aws.set_target,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.allowed_target,
    ),
    Scenario(
        "session policy set, not in the list",
        aws.set_session_policy,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(disable_session_tags=True, role={"name": "my-role", "trust_scope": "account"}),
    ),
    Scenario("trust without sts:TagSession", aws.trust_without_tag_session, "TRUST_NOT_USABLE"),
    Scenario("trust policy for another service", aws.trust_another_service, "TRUST_NOT_USABLE"),
    Scenario("trust policy for one Pod", aws.trust_one_pod, "TRUST_CONDITIONAL"),
    Scenario("trust policy for every cluster", aws.trust_every_cluster, "TRUST_WIDER_THAN_ASKED"),
    Scenario("trust policy opened to everyone", aws.add_principal({"AWS": "*"}), "TRUST_OPEN_TO_EVERYONE"),
    Scenario(
        "trust policy opened to another account",
        aws.add_principal({"AWS": "arn:aws:iam::999988887777:root"}),
        "TRUST_STATEMENT_FOREIGN",
    ),
    Scenario("Deny added to the trust policy", aws.add_deny(), "ROLE_RESTRICTED"),
    Scenario(
        "Deny for one Pod added to the trust policy",
        aws.add_deny(**{"kubernetes-pod-name": "pod-0"}),
        "ROLE_RESTRICTED",
    ),
    Scenario(
        "Deny for another namespace added to the trust policy",
        aws.add_deny(**{"kubernetes-namespace": "batch"}),
        "ROLE_RESTRICTED",
    ),
    Scenario("denying policy attached", aws.attach_denying, "ROLE_RESTRICTED"),
    Scenario("policy detached", aws.detach_policy, "POLICY_NOT_ATTACHED"),
    Scenario(
        "policy detached, required for the target role",
        aws.detach_policy,
        "POLICY_NOT_ATTACHED",
        made=aws.with_target,
    ),
    Scenario("policy deleted", aws.delete_policy, "POLICY_MISSING"),
    Scenario("policy changed", aws.change_policy, "POLICY_CONTENTS_DIFFER"),
    Scenario("policy changed to deny", aws.deny_in_policy, "POLICY_CONTENTS_DIFFER"),
    Scenario("another default version", aws.another_default_version, "POLICY_OTHER_VERSION_DEFAULT"),
    Scenario(
        "policy for the bucket only, as in the guide",
        aws.unchanged,
        "PERMISSION_DENIED",
        made=aws.guide_with_policy(document("s3:GetObject", resource="arn:aws:s3:::my-pod-secrets-bucket")),
    ),
    Scenario(
        "denying policy added",
        aws.add_denying_policy,
        "PERMISSION_DENIED",
        also=("ROLE_RESTRICTED",),
        because="One says what the Pod cannot do, the other that somebody restricts the role.",
    ),
    Scenario(
        "permissions boundary set",
        aws.bound_role,
        "PERMISSION_TAKEN_AWAY",
        also=("ROLE_RESTRICTED",),
        because="One says what the Pod cannot do, the other that somebody restricts the role.",
    ),
    Scenario(
        "policy with a condition on an unknown key",
        aws.unchanged,
        "PERMISSION_CONDITIONAL",
        made=aws.guide_with_policy(
            document("s3:GetObject", Condition={"StringEquals": {"aws:SourceVpc": "vpc-1"}})
        ),
    ),
    Scenario("association deleted", aws.delete_association, "ASSOCIATION_MISSING"),
    Scenario("association to another role", aws.associate_another_role, "ASSOCIATION_OTHER_ROLE"),
    Scenario(
        "association to another target role",
        aws.associate_another_target,
        "ASSOCIATION_OTHER_TARGET_ROLE",
        made=aws.with_target,
    ),
    Scenario("unlisted association", aws.associate_by_hand, "UNLISTED_ASSOCIATIONS"),
    Scenario(
        "empty list",
        aws.unlist,
        "NOTHING_VERIFIED",
        also=("UNLISTED_ASSOCIATIONS",),
        because="One finding reports that no workload was verified, the other the associations of the cluster.",
    ),
    Scenario("workload removed from the list", aws.unlist, "UNLISTED_ASSOCIATIONS", made=aws.two),
    Scenario("grant without association", aws.grant_alone, "TRUST_WITHOUT_ASSOCIATION", made=aws.sharing),
    Scenario("role without workload, read in bulk", aws.grant_alone, "ROLE_LEFT", made=aws.many),
    Scenario("workload removed from a long list", aws.unlist, "UNLISTED_ASSOCIATIONS", made=aws.many),
    Scenario(
        "session tags disabled",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_with(disable_session_tags=False),
    ),
    Scenario(
        "session policy with fewer permissions",
        aws.limit_session,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_with(
            disable_session_tags=True,
            session_policy=document("s3:GetObject"),
            role={"name": "my-role", "trust_scope": "account"},
        ),
    ),
    Scenario("boundary removed", aws.unbound_role, "ROLE_SETTINGS_DIFFER", made=aws.guide_with_boundary),
    Scenario("tag of the role changed", aws.tag_role, "ROLE_SETTINGS_DIFFER", made=aws.guide_tagged),
    Scenario("description changed", aws.describe_role, "ROLE_SETTINGS_DIFFER"),
    Scenario("tag of the policy changed", aws.tag_policy, "POLICY_SETTINGS_DIFFER", made=aws.guide_tagged),
    Scenario(
        "different policy description requested",
        aws.request_another_description,
        "POLICY_DESCRIPTION_DIFFERS",
        made=aws.guide_described,
    ),
    Scenario(
        "policy description requested, none stored",
        aws.request_description,
        "POLICY_DESCRIPTION_DIFFERS",
    ),
    Scenario(
        "tag of the association changed",
        aws.tag_association,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_tagged,
    ),
    Scenario("inline policy added", aws.add_inline_policy, "ROLE_INLINE_POLICY"),
    Scenario("inline policy of an administrator added", aws.add_admin_policy, "ROLE_INLINE_POLICY"),
    Scenario("unlisted policy attached", aws.attach_another, "POLICY_ATTACHED_EXTRA"),
    Scenario(
        "policy of another list on a shared role",
        aws.share_role,
        "POLICY_ATTACHED_EXTRA",
        also=("UNLISTED_ASSOCIATIONS",),
        because="the workload of the other list is in the cluster",
    ),
    Scenario("policy of an administrator attached", aws.attach_administrator, "POLICY_ATTACHED_EXTRA"),
    Scenario(
        "boundary without a granted action",
        aws.unchanged,
        "PERMISSION_NOTHING_LEFT",
        made=aws.guide_with_unrelated_boundary,
    ),
    Scenario(
        "policy for the bucket only, without required permissions",
        aws.unchanged,
        "PERMISSION_RESOURCE_MISMATCH",
        made=aws.guide_with(
            policies=[{"name": "my-policy", "document": document("s3:GetObject", resource=aws.BUCKET)}],
            required_permissions=[],
        ),
    ),
    Scenario(
        "policy with a misspelt action",
        aws.unchanged,
        "PERMISSION_NO_SUCH_ACTION",
        made=aws.guide_with_policy(document("s3:GetObject", "s3:GetObjct")),
    ),
    Scenario(
        "owner tag missing",
        aws.name_owner,
        "OWNER_NOT_SET",
        also=("ASSOCIATION_SETTINGS_DIFFER", "OWNER_NOT_SET"),
        because="role, policy and association are three resources, and the first two might have other users",
    ),
    Scenario("managed-by tag of the role removed", aws.unmark_role, "NOT_MARKED"),
    Scenario("association of an add-on", aws.own_by_addon, "ASSOCIATION_OWNED_BY_ADDON"),
    Scenario("target role deleted", aws.delete_target, "TARGET_ROLE_MISSING", made=aws.with_target),
    Scenario(
        "target role with unusable trust policy",
        aws.close_target,
        "TARGET_ROLE_TRUST_NOT_USABLE",
        made=aws.with_target,
    ),
    Scenario(
        "target role without a policy to assume it",
        aws.unchanged,
        "TARGET_ROLE_NOT_ALLOWED",
        made=aws.with_target_not_allowed,
    ),
    Scenario(
        "target role of another account",
        aws.unchanged,
        "TARGET_ROLE_NOT_READABLE",
        made=aws.with_foreign_target,
    ),
    Scenario("target role open to everyone", aws.open_target, "TRUST_OPEN_TO_EVERYONE", made=aws.with_target),
    Scenario(
        "target role limited to an organization",
        aws.open_target_to_organization,
        "TARGET_ROLE_CONDITIONAL",
        made=aws.with_target,
    ),
    Scenario(
        "target role limited to one address",
        aws.unchanged,
        "TARGET_ROLE_CONDITIONAL",
        made=aws.with_conditional_target_policy,
    ),
    Scenario(
        "required permissions of a target role",
        aws.unchanged,
        "PERMISSION_NOT_CHECKED",
        made=aws.with_target_and_requirements,
    ),
    Scenario(
        "add-on deleted, without Pod checks", aws.delete_addon_without_pod_checks, "AGENT_ADDON_MISSING"
    ),
    Scenario("add-on degraded", aws.degrade_addon, "AGENT_ADDON_DEGRADED"),
    Scenario("Auto Mode with the add-on", aws.auto_mode, "AGENT_ADDON_WITH_AUTO_MODE"),
    Scenario("old platform version", aws.old_platform, "CLUSTER_PLATFORM_TOO_OLD"),
    Scenario("role not readable", aws.refuse("iam:GetRole"), "NOT_READABLE"),
    Scenario("attachments not readable", aws.refuse("iam:ListAttachedRolePolicies"), "NOT_READABLE"),
    Scenario("inline policies not readable", aws.refuse("iam:ListRolePolicies"), "NOT_READABLE"),
    Scenario("policy not readable", aws.refuse("iam:GetPolicy"), "NOT_READABLE"),
    Scenario("policy version not readable", aws.refuse("iam:GetPolicyVersion"), "NOT_READABLE"),
    Scenario("associations not readable", aws.refuse("eks:ListPodIdentityAssociations"), "NOT_READABLE"),
    Scenario("association not readable", aws.refuse("eks:DescribePodIdentityAssociation"), "NOT_READABLE"),
    Scenario("add-on not readable", aws.refuse("eks:DescribeAddon"), "NOT_READABLE"),
    Scenario(
        "no bulk reads", aws.refuse("iam:GetAccountAuthorizationDetails"), "BULK_READ_DENIED", made=aws.many
    ),
    Scenario(
        "caller without iam:PassRole",
        aws.caller_with(
            "eks:*", "iam:Get*", "iam:List*", "iam:Simulate*", "iam:Create*", "iam:Update*", "iam:Attach*"
        ),
        "CALLER_PERMISSION_MISSING",
    ),
    Scenario("caller without simulation", aws.caller_unknown, "CALLER_PERMISSION_UNKNOWN"),
)

KUBERNETES_SCENARIOS = (
    Scenario(
        "namespace missing", aws.unchanged, "NAMESPACE_MISSING", made=aws.guide_with(namespace="nowhere")
    ),
    Scenario("service account deleted", kube.delete_account, "SERVICE_ACCOUNT_MISSING"),
    Scenario(
        "namespace terminating",
        kube.delete_namespace,
        "NAMESPACE_GOING",
        made=aws.guide_with(namespace="leaving"),
    ),
    Scenario("service account terminating", kube.delete_account_with_finalizer, "SERVICE_ACCOUNT_GOING"),
    Scenario(
        "label of the service account changed",
        kube.label_account,
        "SERVICE_ACCOUNT_DIFFERS",
        made=aws.guide_with(service_account_labels={"team": "payments"}),
    ),
    Scenario("IRSA annotation present", kube.annotate_account, "IRSA_ANNOTATION"),
    Scenario("Pod older than the association", kube.pod_before_association, "POD_BEFORE_ASSOCIATION"),
    Scenario(
        "Pod of a paused Deployment",
        kube.pod_of_paused_deployment,
        "POD_BEFORE_ASSOCIATION",
    ),
    Scenario(
        "Pod of a StatefulSet with OnDelete",
        kube.owned_pod_before_association("StatefulSet", "web-0", updateStrategy={"type": "OnDelete"}),
        "POD_BEFORE_ASSOCIATION",
    ),
    Scenario(
        "Pod of a DaemonSet with OnDelete",
        kube.owned_pod_before_association("DaemonSet", "web-x2x4z", updateStrategy={"type": "OnDelete"}),
        "POD_BEFORE_ASSOCIATION",
    ),
    Scenario(
        "Pod below the partition of its StatefulSet",
        kube.owned_pod_before_association(
            "StatefulSet",
            "web-0",
            updateStrategy={"type": "RollingUpdate", "rollingUpdate": {"partition": 1}},
        ),
        "POD_BEFORE_ASSOCIATION",
    ),
    Scenario("association newer than the Pod", kube.changed_under_pod, "POD_BEFORE_CHANGE"),
    Scenario("Pod not injected", kube.new_pod(injected=False), "POD_NOT_INJECTED"),
    Scenario(
        "API server of another cluster",
        kube.api_at("https://10.1.2.3", frozenset({"00"})),
        "KUBERNETES_API_DIFFERS",
    ),
    Scenario(
        "API server of unknown cluster",
        kube.api_at("https://10.1.2.3", checks_certificate=False),
        "KUBERNETES_API_UNKNOWN",
    ),
    Scenario(
        "Pod excluded from the webhook",
        kube.new_pod(injected=False, labels={"eks.amazonaws.com/skip-pod-identity-webhook": ""}),
        "POD_SKIPS_WEBHOOK",
    ),
    Scenario(
        "host port of the agent in use",
        kube.new_pod(
            more=[{"name": "web", "image": "web", "ports": [{"containerPort": 80, "hostPort": 80}]}],
        ),
        "POD_HOST_PORT",
    ),
    Scenario(
        "security groups for Pods",
        kube.new_pod(annotations={"vpc.amazonaws.com/pod-eni": '[{"eniId":"eni-1"}]'}),
        "POD_OWN_INTERFACE",
    ),
    Scenario(
        "container skipped",
        kube.new_pod(
            more=[{"name": "sidecar", "image": "sidecar"}],
            annotations={"eks.amazonaws.com/skip-containers": "sidecar"},
        ),
        "POD_CONTAINERS_SKIPPED",
    ),
    Scenario(
        "access keys in the Pod",
        kube.new_pod(env=kube.environment(AWS_ACCESS_KEY_ID="AKIDEXAMPLE", AWS_SECRET_ACCESS_KEY="example")),
        "POD_OTHER_CREDENTIALS",
    ),
    Scenario(
        "custom credentials endpoint in the Pod",
        kube.new_pod(env=kube.environment(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9911/")),
        "POD_OTHER_CREDENTIALS",
    ),
    Scenario(
        "Pod variables from a Secret",
        kube.new_pod(
            more=[{"name": "web", "image": "web", "envFrom": [{"secretRef": {"name": "web-env"}}]}],
        ),
        "POD_CREDENTIALS_UNKNOWN",
    ),
    Scenario("proxy", kube.new_pod(env=kube.environment(HTTPS_PROXY="http://proxy:3128")), "POD_PROXY"),
    Scenario(
        "Fargate",
        kube.pod_on("fargate-ip-10-0-1-7", **{"eks.amazonaws.com/compute-type": "fargate"}),
        "POD_ON_FARGATE",
    ),
    Scenario("Windows", kube.pod_on("ip-10-0-1-8", **{"kubernetes.io/os": "windows"}), "POD_ON_WINDOWS"),
    Scenario("virtual node", kube.pod_on("virtual-kubelet-1", type="virtual-kubelet"), "POD_ON_VIRTUAL_NODE"),
    Scenario("node without the agent", kube.pod_on("ip-10-0-1-9"), "AGENT_NOT_ON_NODE"),
    Scenario("agent deleted in the cluster", kube.delete_agent, "AGENT_MISSING"),
    Scenario("agent and add-on deleted", kube.delete_agent_and_addon, "AGENT_MISSING"),
    Scenario("agent not ready", kube.agent_not_ready, "AGENT_NOT_READY"),
    Scenario(
        "agent not ready, add-on degraded",
        kube.agent_not_ready_and_degraded,
        "AGENT_NOT_READY",
        also=("AGENT_ADDON_DEGRADED",),
        because="Kubernetes reports the node, and EKS the cause",
    ),
    Scenario("agent without Pods", kube.agent_without_pods, "AGENT_NOT_READY"),
    Scenario("agent not ready on another node", kube.agent_not_ready_elsewhere, "AGENT_NOT_READY"),
    Scenario("Pods not readable", kube.read_without_pods, "KUBERNETES_NOT_READABLE"),
    Scenario("DaemonSets not readable", kube.read_without_daemon_sets, "KUBERNETES_NOT_READABLE"),
)

PROOF_SCENARIOS = (
    Scenario("runtime proof impossible", kube.proof_impossible, "PROOF_SKIPPED"),
    Scenario("role of the node", kube.proof_as_role("node"), "PROOF_OTHER_ROLE"),
    Scenario("image pull failed", kube.proof_without_image, "PROOF_IMAGE"),
    Scenario("Pod not scheduled", kube.proof_without_node, "PROOF_NOT_STARTED"),
    Scenario("unknown output", kube.proof(1, "sh: aws: not found"), "PROOF_FAILED"),
    Scenario(
        "no credentials",
        kube.proof(253, "Unable to locate credentials. You can configure credentials by running aws login."),
        "PROOF_NO_CREDENTIALS",
    ),
    Scenario(
        "agent unreachable",
        kube.proof(255, f'Connect timeout on endpoint URL: "{kube.AGENT_URI}"'),
        "PROOF_AGENT_UNREACHABLE",
    ),
    Scenario(
        "agent rejects the request",
        kube.proof(255, "Received non 200 response 400 from container metadata: AccessDeniedException"),
        "PROOF_REFUSED",
    ),
    Scenario(
        "IRSA attempted",
        kube.proof(254, "(InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation"),
        "PROOF_IRSA",
    ),
    Scenario(
        "old SDK",
        kube.proof(255, "Unsupported host '169.254.170.23'. Can only retrieve metadata from these hosts"),
        "PROOF_SDK_TOO_OLD",
    ),
    Scenario(
        "token with Bearer",
        kube.proof(255, "[InvalidTokenException]: Service account token cannot be parsed"),
        "PROOF_TOKEN_MALFORMED",
    ),
    Scenario(
        "session tags not allowed",
        kube.proof(255, "(AccessDenied) is not authorized to perform: sts:TagSession on resource"),
        "PROOF_TAG_SESSION",
    ),
    Scenario(
        "session tags too large",
        kube.proof(255, "(PackedPolicyTooLarge) Packed size of session tags consumes 104% of allotted space"),
        "PROOF_TAGS_TOO_LARGE",
    ),
    Scenario(
        "AWS STS unreachable",
        kube.proof(255, 'Could not connect to the endpoint URL: "https://sts.us-west-2.amazonaws.com/"'),
        "PROOF_NO_NETWORK",
    ),
)

PROBE_SCENARIOS = (
    Scenario("association not yet propagated", kube.with_probe(kube.young_association), "INJECTION_NOT_YET"),
    Scenario("webhook fails", kube.with_probe(kube.unknown_to_webhook), "INJECTION_MISSING"),
    Scenario("webhook removed", kube.with_probe(kube.no_webhook), "INJECTION_NO_WEBHOOK"),
    Scenario("namespace excluded", kube.with_probe(kube.excluded_namespace), "INJECTION_NAMESPACE_EXCLUDED"),
    Scenario(
        "admission policy adds the skip label",
        kube.with_probe(kube.policy_adds_skip_label),
        "INJECTION_SKIPPED",
    ),
    Scenario(
        "admission policy adds access keys",
        kube.with_probe(kube.policy_adds_access_keys),
        "INJECTION_OTHER_IDENTITY",
    ),
    Scenario(
        "IRSA injected instead",
        kube.with_probe(kube.irsa_instead),
        "INJECTION_IRSA",
        also=("IRSA_ANNOTATION",),
        because="the annotation causes the injection",
    ),
    Scenario("dry run not allowed", kube.with_probe(kube.probe_not_allowed), "INJECTION_UNKNOWN"),
)

SCENARIOS = (*CORRECT_SCENARIOS, *AWS_SCENARIOS, *KUBERNETES_SCENARIOS, *PROBE_SCENARIOS, *PROOF_SCENARIOS)
