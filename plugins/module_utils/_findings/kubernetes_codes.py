# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Codes of the Kubernetes half. Pure."""

from __future__ import annotations

from .codes import Code, Description, Descriptions, FailureText

CLUSTER: Descriptions = {
    Code.KUBERNETES_API_DIFFERS: Description(
        "The kubeconfig is that of another cluster",
        "error",
        "the Kubernetes API of the kubeconfig is not the cluster's; a change stops before it begins, unless "
        "`pod_identity_verify_cluster: false`, which makes this a warning; the checks of service accounts and Pods are "
        "`unknown`",
        "correct cluster name, account, region, kubeconfig or context; `pod_identity_kube_auth: eks`",
        "neither endpoint nor certificate authority are those of DescribeCluster",
        also=("warning",),
    ),
    Code.KUBERNETES_API_UNKNOWN: Description(
        "The kubeconfig may be that of another cluster",
        "warning",
        "nothing proves that the Kubernetes API of the kubeconfig is the cluster's; a change stops before it "
        "begins, unless `pod_identity_verify_cluster: false`; the checks of service accounts and Pods are `unknown`",
        "a kubeconfig with the cluster's certificate authority; `pod_identity_kube_auth: eks`",
        "another endpoint than that of DescribeCluster, and a connection that does not check the certificate, "
        "or trusts others than the cluster's own authority",
    ),
    Code.NAMESPACE_MISSING: Description(
        "The namespace does not exist",
        "error",
        "the namespace does not exist",
        "create it, or `create_namespace: true`",
        "it is not among the namespaces",
        failure=FailureText(
            "the namespace of the workload does not exist, and is not to be created; nothing is changed for the workload",
            "create it, or `create_namespace: true`",
        ),
    ),
    Code.NAMESPACE_GOING: Description(
        "The namespace is being deleted",
        "error",
        "the namespace is being deleted, with everything in it; nothing is made for it",
        "remove the workload, or create the namespace anew once it is gone",
        "its `deletionTimestamp`",
        failure=FailureText(
            "the namespace of the workload is being deleted: the message says since when, and what it waits for; nothing "
            "is changed for the workload",
            "remove the workload, or create the namespace anew once it is gone",
        ),
    ),
    Code.SERVICE_ACCOUNT_MISSING: Description(
        "The service account does not exist",
        "error",
        "the service account does not exist",
        "apply the workload, or its own manifests",
        "it is not among those of the namespace",
        failure=FailureText(
            "the service account does not exist, and `create_service_account` is false; nothing is changed for the workload",
            "create it first, or let it be created",
        ),
    ),
    Code.SERVICE_ACCOUNT_GOING: Description(
        "The service account is being deleted",
        "error",
        "the service account is being deleted, and waits for its finalizers",
        "remove the finalizers, apply the workload",
        "its `deletionTimestamp`",
    ),
    Code.SERVICE_ACCOUNT_DIFFERS: Description(
        "The service account has other labels or annotations",
        "warning",
        "labels or annotations that the workload asks for, or our marks, are missing or have another value",
        "apply the workload; what another field manager set needs `pod_identity_force_conflicts: true`",
        "compared one by one; others may be there as well",
    ),
    Code.IRSA_ANNOTATION: Description(
        "The service account has an annotation of IRSA",
        "warning",
        "left over from IAM roles for service accounts",
        "recreate the Pods, verify, then remove the annotation",
        "annotation `eks.amazonaws.com/role-arn`",
    ),
    Code.POD_BEFORE_ASSOCIATION: Description(
        "A Pod is older than the association",
        "error",
        "the Pod was admitted before the association was made; injection happens at admission only",
        "the command that the finding names: it fits the owner; or `pod_identity_restart_stale: true`",
        "created before the association, and without its environment or token volume",
    ),
    Code.POD_BEFORE_CHANGE: Description(
        "A Pod is older than the last change of the association",
        "warning",
        "the Pod may use credentials of the former role, target role or settings for up to six hours; where its role was "
        "deleted and created anew, AWS refuses them",
        "wait, or recreate the Pod as for `POD_BEFORE_ASSOCIATION`",
        "created before the association was last modified, or before its role was created, less than six hours ago",
    ),
    Code.POD_NOT_INJECTED: Description(
        "Nothing was injected into a Pod",
        "error",
        "nothing was injected though the association was there: admitted within its first seconds, or a "
        "webhook undid it",
        "recreate the Pod as for `POD_BEFORE_ASSOCIATION`; if it stays, look at the mutating webhooks",
        "created after the association, and without its environment or token volume; a container without its environment "
        "beside others with it",
    ),
    Code.POD_SKIPS_WEBHOOK: Description(
        "A Pod is left to itself",
        "warning",
        "the Pod says that nothing is to be injected into it",
        "remove the label from the Pod template, if it needs the role",
        "label `eks.amazonaws.com/skip-pod-identity-webhook` on the Pod, and nothing injected",
    ),
    Code.POD_HOST_PORT: Description(
        "A Pod takes the agent's port",
        "warning",
        "a container takes port 80 of its node, where the agent listens: one of both may not start, or not be reached",
        "another host port",
        "`hostPort: 80`, which Kubernetes also writes for `hostNetwork`",
    ),
    Code.POD_OWN_INTERFACE: Description(
        "A Pod has security groups of its own",
        "warning",
        "the Pod has security groups of its own: it cannot reach the agent if the VPC CNI enforces them in strict mode, "
        "which is not known here",
        "look at `POD_SECURITY_GROUP_ENFORCING_MODE` of the DaemonSet `aws-node`; the message has the command",
        "annotation `vpc.amazonaws.com/pod-eni`",
    ),
    Code.POD_CONTAINERS_SKIPPED: Description(
        "Containers of a Pod are left out",
        "warning",
        "containers are left out",
        "remove the annotation from the Pod template, if they need the role",
        "annotation `eks.amazonaws.com/skip-containers` on the Pod",
    ),
    Code.POD_OTHER_CREDENTIALS: Description(
        "A Pod has other credentials",
        "error",
        "SDKs in a container use other credentials than those of the association",
        "remove what the finding names from the container in the Pod template; name a container that is meant to have "
        "other credentials in `eks.amazonaws.com/skip-containers`",
        "`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`; `AWS_ROLE_ARN` and `AWS_WEB_IDENTITY_TOKEN_FILE`; an "
        "`AWS_CONTAINER_CREDENTIALS_FULL_URI`, `_RELATIVE_URI` or `AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE` of the template; "
        "a token volume of the template with another audience",
    ),
    Code.POD_CREDENTIALS_UNKNOWN: Description(
        "The credentials of a Pod are not known",
        "warning",
        "the manifest does not show which credentials SDKs in a container use, or SDKs differ; the check is `unknown`",
        "remove what the finding names from the container in the Pod template, or accept it",
        "`AWS_PROFILE`, `AWS_DEFAULT_PROFILE`, `AWS_SHARED_CREDENTIALS_FILE`, `AWS_CONFIG_FILE`, a volume at `.aws`; "
        "`AWS_CONTAINER_CREDENTIALS_RELATIVE_URI` or `AWS_CONTAINER_AUTHORIZATION_TOKEN` beside what EKS injects; one half of "
        "a pair, or a pair from an optional Secret; an `envFrom` whose `prefix` leaves such names open",
    ),
    Code.POD_PROXY: Description(
        "A Pod sends requests for credentials to a proxy",
        "error",
        "requests for credentials go to a proxy",
        "add `169.254.170.23` and `[fd00:ec2::23]` to `NO_PROXY`",
        "`HTTP_PROXY`, `HTTPS_PROXY` or `ALL_PROXY`, in either case, and no `NO_PROXY` with the agent's address",
    ),
    Code.POD_ON_FARGATE: Description(
        "A Pod runs on Fargate",
        "error",
        "EKS Pod Identity does not work on Fargate",
        "EC2 nodes, or IAM roles for service accounts",
        "node label `eks.amazonaws.com/compute-type: fargate`; the Pod's label "
        "`eks.amazonaws.com/fargate-profile`; without either the node's name",
    ),
    Code.POD_ON_WINDOWS: Description(
        "A Pod runs on Windows",
        "error",
        "EKS Pod Identity does not work on Windows",
        "Linux nodes, or IAM roles for service accounts",
        "node label `kubernetes.io/os: windows`, or the Pod's own `os` or node selector",
    ),
    Code.POD_ON_VIRTUAL_NODE: Description(
        "A Pod runs on a virtual node",
        "error",
        "no agent can run on a virtual node",
        "EC2 nodes",
        "node label `type: virtual-kubelet`; without labels the node's name",
    ),
    Code.AGENT_MISSING: Description(
        "The cluster has no agent",
        "error",
        "the cluster has no agent",
        "install the add-on",
        "no DaemonSet `eks-pod-identity-agent` in `kube-system`, and no Auto Mode",
    ),
    Code.AGENT_NOT_READY: Description(
        "The agent is not ready",
        "error",
        "the agent's Pods are not ready, or its DaemonSet has none; a warning when others are ready",
        "their description and log",
        "their Ready condition, the DaemonSet's status",
        also=("warning",),
    ),
    Code.AGENT_NOT_ON_NODE: Description(
        "A node has no agent",
        "error",
        "the agent does not run, or is not ready, on the Pod's node",
        "taints, node selectors, the agent's log",
        "the agent's Pods by node; nodes of Auto Mode have it built in",
    ),
    Code.KUBERNETES_NOT_READABLE: Description(
        "Something in Kubernetes could not be read",
        "error",
        "the caller is not allowed to list something, or nothing answered in time; what depends on it is `unknown`. A warning "
        "where it is not the Pods or the service accounts themselves",
        "allow it: the finding names the resource; `pod_identity_verify_pods: false` where Pods are not to be looked at",
        "the API server's answer",
        also=("warning",),
        failure=FailureText(
            "namespaces may not be listed, so it is not known whether the one of the workload exists; nothing is changed for "
            "the workload",
            "allow it: [iam-permissions.md](iam-permissions.md#kubernetes)",
        ),
    ),
}

INJECTION: Descriptions = {
    Code.INJECTION_NOT_YET: Description(
        "The cluster does not know the association yet",
        "error",
        "nothing is injected, and the association is young: each API server learns of it by itself, within seconds",
        "verify again in a minute, before Pods start; `pod_identity_injection_timeout`",
    ),
    Code.INJECTION_MISSING: Description(
        "Nothing is injected into new Pods",
        "error",
        "nothing is injected, though the association is old enough: EKS's webhook fails, or another one undoes its work",
        "look at the mutating webhooks",
    ),
    Code.INJECTION_NO_WEBHOOK: Description(
        "EKS's webhook is not there",
        "error",
        "nothing is injected, and the cluster has no mutating webhook `pod-identity-webhook`",
        "find out who removed it; EKS makes it",
    ),
    Code.INJECTION_NAMESPACE_EXCLUDED: Description(
        "EKS's webhook leaves the namespace out",
        "error",
        "nothing is injected, and the webhook's `namespaceSelector` does not select the namespace",
        "change the labels of the namespace",
    ),
    Code.INJECTION_SKIPPED: Description(
        "New Pods are marked to be left out",
        "error",
        "the Pod comes back with the label `eks.amazonaws.com/skip-pod-identity-webhook`, or the annotation "
        "`eks.amazonaws.com/skip-containers`, which another webhook or policy added",
        "except the namespace from it",
    ),
    Code.INJECTION_IRSA: Description(
        "New Pods get IRSA",
        "error",
        "IRSA is injected instead of EKS Pod Identity, or beside it: the cluster does not know the association, or a "
        "webhook of IRSA is there as well",
        "remove the annotation of IRSA",
    ),
    Code.INJECTION_OTHER_IDENTITY: Description(
        "New Pods get another identity",
        "error",
        "the Pod comes back under another service account, with keys that SDKs prefer, or with a token for another "
        "audience",
        "find the webhook or policy that does it",
    ),
    Code.INJECTION_UNKNOWN: Description(
        "It could not be tried what new Pods get",
        "warning",
        "the API server refuses the dry run: permission, quota, Pod Security Standard, admission webhook or policy, which the "
        "finding names; the check is `unknown`. An error where it was too busy until the time was up, failed, or did not "
        "answer",
        "what the finding says of its reason; `pod_identity_verify_injection: none` where it is not to be tried",
        also=("error",),
    ),
}

PROOF: Descriptions = {
    Code.PROOF_OTHER_ROLE: Description(
        "The proof ran as another role",
        "error",
        "another identity: the node's role, or the former role",
        "run again after some seconds; the agent sees a changed role after up to six hours",
    ),
    Code.PROOF_NO_CREDENTIALS: Description(
        "The proof found no credentials",
        "error",
        "no credentials found",
        "run again after some seconds; look at the mutating webhooks",
    ),
    Code.PROOF_AGENT_UNREACHABLE: Description(
        "The proof did not reach the agent",
        "error",
        "the agent's address does not answer",
        "the agent on that node",
    ),
    Code.PROOF_REFUSED: Description(
        "The proof was refused",
        "error",
        "the agent or AWS refused",
        "the agent's log, the role's trust policy",
    ),
    Code.PROOF_IRSA: Description(
        "The proof used IRSA",
        "error",
        "the SDK tried IAM roles for service accounts",
        "remove the annotation and the variables",
    ),
    Code.PROOF_SDK_TOO_OLD: Description(
        "The proof's SDK is too old",
        "error",
        "the SDK refuses the agent's address",
        "a newer image",
    ),
    Code.PROOF_TOKEN_MALFORMED: Description(
        "The proof's token is malformed",
        "error",
        "the agent cannot read the token",
        'send it without "Bearer"',
    ),
    Code.PROOF_TAG_SESSION: Description(
        "The proof was not allowed to tag its session",
        "error",
        "`sts:TagSession` is not allowed",
        "allow it beside `sts:AssumeRole` on both sides",
    ),
    Code.PROOF_TAGS_TOO_LARGE: Description(
        "Session tags and session policy are too large",
        "error",
        "session tags and session policy are too large",
        "`disable_session_tags: true`, or a shorter session policy",
    ),
    Code.PROOF_NO_NETWORK: Description(
        "The proof did not reach AWS STS",
        "error",
        "AWS STS cannot be reached",
        "network policy, VPC endpoint, NAT, DNS",
    ),
    Code.PROOF_IMAGE: Description(
        "The proof's image cannot be pulled",
        "error",
        "the image cannot be pulled",
        "`pod_identity_proof_image`",
    ),
    Code.PROOF_NOT_STARTED: Description(
        "The proof did not start",
        "error",
        "no Pod, no node, or no result in time",
        "events of the namespace; `pod_identity_proof_pod_spec`, `pod_identity_proof_timeout`",
    ),
    Code.PROOF_FAILED: Description(
        "The proof failed",
        "error",
        "a text that is not known",
        "the message has it",
    ),
    Code.PROOF_SKIPPED: Description(
        "The proof was not made",
        "info",
        "this API runs no Pods",
        "a cluster with nodes",
    ),
}
