# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The table: what is broken by hand, and the findings that follow from it, each as often as it is there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ansible_collections.workload_identity.aws.tests.findings import breaks_aws as aws
from ansible_collections.workload_identity.aws.tests.findings import breaks_kube as kube
from ansible_collections.workload_identity.aws.tests.findings.world import World, document


@dataclass(frozen=True, slots=True)
class Scenario:
    """``made`` gives the workloads, which are brought about before ``arrange`` breaks something.

    ``also`` are findings beside the one of the cause, for the reason ``because``.
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


RIGHT = (
    Scenario("the guide's example", aws.nothing),
    Scenario("a target role", aws.nothing, made=aws.with_target),
    Scenario("eleven workloads, read in bulk", aws.nothing, made=aws.many),
    Scenario("an agent that is no add-on", aws.delete_addon),
    Scenario("a caller who may do everything", aws.caller_with("*")),
    Scenario("a new Pod would be injected", kube.probed()),
    Scenario("a runtime proof with the right role", kube.proved_as("my-role")),
    Scenario(
        "a proxy with an exception for the agent",
        kube.new_pod(
            env=kube.environment(HTTPS_PROXY="http://proxy:3128", NO_PROXY="169.254.170.23,[fd00:ec2::23]")
        ),
    ),
    Scenario("a tunnel to the cluster", kube.api_at("https://localhost:8443")),
    Scenario(
        "the cluster's endpoint, by a proxy", kube.api_at("https://abc.eks.amazonaws.com", frozenset({"00"}))
    ),
    Scenario(
        "a node of Auto Mode",
        kube.pod_on("i-0123456789abcdef0", **{"eks.amazonaws.com/compute-type": "auto"}),
    ),
)

OF_AWS = (
    Scenario("role deleted", aws.delete_role, "ROLE_MISSING"),
    Scenario("role deleted, with a target role", aws.delete_role, "ROLE_MISSING", made=aws.with_target),
    Scenario("role of another path", aws.move_role, "ROLE_MISSING"),
    Scenario(
        "session tags turned off, which trust asks for",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
    ),
    Scenario(
        "session tags turned off, without a word in the list",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(role={"name": "my-role", "trust_scope": "account"}),
    ),
    Scenario(
        "target role set, without a word in the list",
        aws.set_target,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.allowed_target,
    ),
    Scenario(
        "session policy set, without a word in the list",
        aws.set_session_policy,
        "ASSOCIATION_SETTINGS_EXTRA",
        made=aws.guide_with(disable_session_tags=True, role={"name": "my-role", "trust_scope": "account"}),
    ),
    Scenario("trust without sts:TagSession", aws.trust_without_tag_session, "TRUST_NOT_USABLE"),
    Scenario("trust of another service", aws.trust_another_service, "TRUST_NOT_USABLE"),
    Scenario("trust of one Pod only", aws.trust_one_pod, "TRUST_CONDITIONAL"),
    Scenario("trust of every cluster", aws.trust_every_cluster, "TRUST_WIDER_THAN_ASKED"),
    Scenario("trust of everyone added", aws.let_in_too({"AWS": "*"}), "TRUST_OPEN_TO_EVERYONE"),
    Scenario(
        "trust of another account added",
        aws.let_in_too({"AWS": "arn:aws:iam::999988887777:root"}),
        "TRUST_STATEMENT_FOREIGN",
    ),
    Scenario("a Deny added to the trust policy", aws.deny_too(), "ROLE_RESTRICTED"),
    Scenario(
        "a Deny for one Pod added to the trust policy",
        aws.deny_too(**{"kubernetes-pod-name": "pod-0"}),
        "ROLE_RESTRICTED",
    ),
    Scenario(
        "a Deny for another namespace added to the trust policy",
        aws.deny_too(**{"kubernetes-namespace": "batch"}),
        "ROLE_RESTRICTED",
    ),
    Scenario("policy that only denies attached", aws.attach_denying, "ROLE_RESTRICTED"),
    Scenario("policy detached", aws.detach_policy, "POLICY_NOT_ATTACHED"),
    Scenario(
        "policy detached, which the target role needs",
        aws.detach_policy,
        "POLICY_NOT_ATTACHED",
        made=aws.with_target,
    ),
    Scenario("policy deleted", aws.delete_policy, "POLICY_MISSING"),
    Scenario("policy changed", aws.change_policy, "POLICY_CONTENTS_DIFFER"),
    Scenario("policy changed, so that it denies", aws.deny_in_policy, "POLICY_CONTENTS_DIFFER"),
    Scenario("another version is the default", aws.another_default_version, "POLICY_OTHER_VERSION_DEFAULT"),
    Scenario(
        "policy of the bucket alone, as in the guide",
        aws.nothing,
        "PERMISSION_DENIED",
        made=aws.guide_with_policy(document("s3:GetObject", resource="arn:aws:s3:::my-pod-secrets-bucket")),
    ),
    Scenario(
        "a policy that denies added",
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
        "policy with a condition that nobody knows",
        aws.nothing,
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
    Scenario("association made by hand", aws.associate_by_hand, "UNLISTED_ASSOCIATIONS"),
    Scenario(
        "empty list",
        aws.unlist,
        "NOTHING_VERIFIED",
        also=("UNLISTED_ASSOCIATIONS",),
        because="One says that nothing was verified, the other what the cluster has all the same.",
    ),
    Scenario("workload removed from the list", aws.unlist, "UNLISTED_ASSOCIATIONS", made=aws.two),
    Scenario("grant without association", aws.grant_alone, "TRUST_WITHOUT_ASSOCIATION", made=aws.sharing),
    Scenario("role without workload, read in bulk", aws.grant_alone, "ROLE_LEFT", made=aws.many),
    Scenario("workload removed from a long list", aws.unlist, "UNLISTED_ASSOCIATIONS", made=aws.many),
    Scenario(
        "session tags turned off",
        aws.disable_session_tags,
        "ASSOCIATION_SETTINGS_DIFFER",
        made=aws.guide_with(disable_session_tags=False),
    ),
    Scenario(
        "session policy that takes away",
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
        "another description of the policy asked for",
        aws.ask_for_another_description,
        "POLICY_DESCRIPTION_DIFFERS",
        made=aws.guide_described,
    ),
    Scenario(
        "a description asked for, of a policy without",
        aws.ask_for_a_description,
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
    Scenario("policy of others attached", aws.attach_another, "POLICY_ATTACHED_EXTRA"),
    Scenario(
        "policy of another list on a shared role",
        aws.share_role,
        "POLICY_ATTACHED_EXTRA",
        also=("UNLISTED_ASSOCIATIONS",),
        because="the workload of the other list is in the cluster",
    ),
    Scenario("policy of an administrator attached", aws.attach_administrator, "POLICY_ATTACHED_EXTRA"),
    Scenario(
        "boundary that leaves nothing",
        aws.nothing,
        "PERMISSION_NOTHING_LEFT",
        made=aws.guide_with_useless_boundary,
    ),
    Scenario(
        "policy of the bucket alone, and nobody says what is required",
        aws.nothing,
        "PERMISSION_RESOURCE_MISMATCH",
        made=aws.guide_with(
            policies=[{"name": "my-policy", "document": document("s3:GetObject", resource=aws.BUCKET)}],
            required_permissions=[],
        ),
    ),
    Scenario(
        "policy with a misspelt action",
        aws.nothing,
        "PERMISSION_NO_SUCH_ACTION",
        made=aws.guide_with_policy(document("s3:GetObject", "s3:GetObjct")),
    ),
    Scenario(
        "no owner yet",
        aws.name_owner,
        "OWNER_NOT_SET",
        also=("ASSOCIATION_SETTINGS_DIFFER", "OWNER_NOT_SET"),
        because="Role, policy and association are three resources; others may use the first two.",
    ),
    Scenario("mark of the role removed", aws.unmark_role, "NOT_MARKED"),
    Scenario("association of an add-on", aws.own_by_addon, "ASSOCIATION_OWNED_BY_ADDON"),
    Scenario("target role deleted", aws.delete_target, "TARGET_ROLE_MISSING", made=aws.with_target),
    Scenario(
        "target role lets nobody in", aws.close_target, "TARGET_ROLE_TRUST_NOT_USABLE", made=aws.with_target
    ),
    Scenario(
        "no policy for the target role",
        aws.nothing,
        "TARGET_ROLE_NOT_ALLOWED",
        made=aws.with_target_not_allowed,
    ),
    Scenario(
        "target role of another account",
        aws.nothing,
        "TARGET_ROLE_NOT_READABLE",
        made=aws.with_foreign_target,
    ),
    Scenario("target role for everyone", aws.open_target, "TRUST_OPEN_TO_EVERYONE", made=aws.with_target),
    Scenario(
        "target role for an organization",
        aws.open_target_to_some,
        "TARGET_ROLE_CONDITIONAL",
        made=aws.with_target,
    ),
    Scenario(
        "target role from one address only",
        aws.nothing,
        "TARGET_ROLE_CONDITIONAL",
        made=aws.with_target_for_some,
    ),
    Scenario(
        "permissions asked of a target role",
        aws.nothing,
        "PERMISSION_NOT_CHECKED",
        made=aws.with_target_and_requirements,
    ),
    Scenario("add-on deleted, Pods not looked at", aws.delete_addon_unseen, "AGENT_ADDON_MISSING"),
    Scenario("add-on degraded", aws.degrade_addon, "AGENT_ADDON_DEGRADED"),
    Scenario("Auto Mode beside the add-on", aws.auto_mode, "AGENT_ADDON_WITH_AUTO_MODE"),
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
    Scenario("caller whom IAM tells nothing", aws.caller_unknown, "CALLER_PERMISSION_UNKNOWN"),
)

OF_KUBERNETES = (
    Scenario(
        "namespace never made", aws.nothing, "NAMESPACE_MISSING", made=aws.guide_with(namespace="nowhere")
    ),
    Scenario("service account deleted", kube.delete_account, "SERVICE_ACCOUNT_MISSING"),
    Scenario(
        "namespace on its way out",
        kube.delete_namespace,
        "NAMESPACE_GOING",
        made=aws.guide_with(namespace="leaving"),
    ),
    Scenario("service account on its way out", kube.delete_account_with_finalizer, "SERVICE_ACCOUNT_GOING"),
    Scenario(
        "label of the service account changed",
        kube.label_account,
        "SERVICE_ACCOUNT_DIFFERS",
        made=aws.guide_with(service_account_labels={"team": "payments"}),
    ),
    Scenario("annotation of IRSA left", kube.annotate_account, "IRSA_ANNOTATION"),
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
    Scenario("association changed under the Pod", kube.changed_under_pod, "POD_BEFORE_CHANGE"),
    Scenario("Pod not injected", kube.new_pod(injected=False), "POD_NOT_INJECTED"),
    Scenario(
        "the API of another cluster",
        kube.api_at("https://10.1.2.3", frozenset({"00"})),
        "KUBERNETES_API_DIFFERS",
    ),
    Scenario(
        "an API that is not proven to be the cluster's",
        kube.api_at("https://10.1.2.3", checks_certificate=False),
        "KUBERNETES_API_UNKNOWN",
    ),
    Scenario(
        "a Pod that is left to itself",
        kube.new_pod(injected=False, labels={"eks.amazonaws.com/skip-pod-identity-webhook": ""}),
        "POD_SKIPS_WEBHOOK",
    ),
    Scenario(
        "the agent's port taken",
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
        "an endpoint of its own in the Pod",
        kube.new_pod(env=kube.environment(AWS_CONTAINER_CREDENTIALS_FULL_URI="http://127.0.0.1:9911/")),
        "POD_OTHER_CREDENTIALS",
    ),
    Scenario(
        "variables of the Pod from a Secret",
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
    Scenario("agent deleted, and the add-on", kube.delete_agent_and_addon, "AGENT_MISSING"),
    Scenario("agent not ready", kube.agent_not_ready, "AGENT_NOT_READY"),
    Scenario(
        "agent not ready, and EKS knows it",
        kube.agent_not_ready_and_degraded,
        "AGENT_NOT_READY",
        also=("AGENT_ADDON_DEGRADED",),
        because="Kubernetes says on which node, and EKS what it has tried: it takes both to repair it.",
    ),
    Scenario("agent without Pods", kube.agent_without_pods, "AGENT_NOT_READY"),
    Scenario("agent not ready on another node", kube.agent_not_ready_elsewhere, "AGENT_NOT_READY"),
    Scenario("Pods not readable", kube.read_without_pods, "KUBERNETES_NOT_READABLE"),
    Scenario("DaemonSets not readable", kube.read_without_daemon_sets, "KUBERNETES_NOT_READABLE"),
)

OF_THE_PROOF = (
    Scenario("an API without Pods", kube.proof_impossible, "PROOF_SKIPPED"),
    Scenario("the node's role", kube.proved_as("node"), "PROOF_OTHER_ROLE"),
    Scenario("image not pulled", kube.proof_without_image, "PROOF_IMAGE"),
    Scenario("no node takes it", kube.proof_without_node, "PROOF_NOT_STARTED"),
    Scenario("unknown text", kube.proved(1, "sh: aws: not found"), "PROOF_FAILED"),
    Scenario(
        "no credentials",
        kube.proved(253, "Unable to locate credentials. You can configure credentials by running aws login."),
        "PROOF_NO_CREDENTIALS",
    ),
    Scenario(
        "agent does not answer",
        kube.proved(255, f'Connect timeout on endpoint URL: "{kube.AGENT_URI}"'),
        "PROOF_AGENT_UNREACHABLE",
    ),
    Scenario(
        "agent refuses",
        kube.proved(255, "Received non 200 response 400 from container metadata: AccessDeniedException"),
        "PROOF_REFUSED",
    ),
    Scenario(
        "IRSA tried",
        kube.proved(254, "(InvalidIdentityToken) when calling the AssumeRoleWithWebIdentity operation"),
        "PROOF_IRSA",
    ),
    Scenario(
        "old SDK",
        kube.proved(255, "Unsupported host '169.254.170.23'. Can only retrieve metadata from these hosts"),
        "PROOF_SDK_TOO_OLD",
    ),
    Scenario(
        "token with Bearer",
        kube.proved(255, "[InvalidTokenException]: Service account token cannot be parsed"),
        "PROOF_TOKEN_MALFORMED",
    ),
    Scenario(
        "session not taggable",
        kube.proved(255, "(AccessDenied) is not authorized to perform: sts:TagSession on resource"),
        "PROOF_TAG_SESSION",
    ),
    Scenario(
        "session too large",
        kube.proved(
            255, "(PackedPolicyTooLarge) Packed size of session tags consumes 104% of allotted space"
        ),
        "PROOF_TAGS_TOO_LARGE",
    ),
    Scenario(
        "AWS STS not reachable",
        kube.proved(255, 'Could not connect to the endpoint URL: "https://sts.us-west-2.amazonaws.com/"'),
        "PROOF_NO_NETWORK",
    ),
)

OF_THE_PROBE = (
    Scenario("association not known yet", kube.probed(kube.young_association), "INJECTION_NOT_YET"),
    Scenario("webhook fails", kube.probed(kube.unknown_to_webhook), "INJECTION_MISSING"),
    Scenario("webhook removed", kube.probed(kube.no_webhook), "INJECTION_NO_WEBHOOK"),
    Scenario("namespace left out", kube.probed(kube.excluded_namespace), "INJECTION_NAMESPACE_EXCLUDED"),
    Scenario("a policy marks new Pods", kube.probed(kube.marked_by_a_policy), "INJECTION_SKIPPED"),
    Scenario("a policy sets keys", kube.probed(kube.keys_by_a_policy), "INJECTION_OTHER_IDENTITY"),
    Scenario(
        "IRSA is injected instead",
        kube.probed(kube.irsa_instead),
        "INJECTION_IRSA",
        also=("IRSA_ANNOTATION",),
        because="the annotation is what has IRSA injected",
    ),
    Scenario("Pods not to be tried", kube.probed(kube.probe_not_allowed), "INJECTION_UNKNOWN"),
)

SCENARIOS = (*RIGHT, *OF_AWS, *OF_KUBERNETES, *OF_THE_PROBE, *OF_THE_PROOF)
