# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""An AWS account and a cluster with the example of the EKS User Guide, and the verification of this example."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from typing import Any

import boto3
from ansible_collections.workload_identity.aws.plugins.module_utils._aws.client import BotoApi
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.accounts.account_plan import (
    Preflight,
    read_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.model.aws_result import (
    parse_aws_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.injection import (
    InjectionSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.proof.proof import (
    ProofSettings,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.run.converge import (
    KubernetesSettings,
    converge_kubernetes,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.addons import (
    AGENT_ADDON,
    AddonSpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import (
    ApiServer,
    as_verification_finding,
    judge_api_server,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Options,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import default_owner
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.plan.unlisted import (
    find_empty_list,
    find_left_behind,
    find_unlisted,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.cluster import find_cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.observe import Observer
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.read.verification_reads import (
    begin_reading_agent,
    read_for_verification,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.report import (
    ReportSettings,
    make_report,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.report.rows import Report
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.addons import agent_run
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.consistency import (
    WaitPolicy,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.engine import Engine
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.run.result import (
    module_rows,
    verified_result,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.chain import verify
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.verify.documents import (
    lint_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.permissions.catalogue import (
    load_catalogue,
)
from ansible_collections.workload_identity.aws.tests.findings.cluster import (
    NODE,
    TOKEN,
    Kube,
    KubeCluster,
    RestlessClock,
)
from botocore.config import Config
from sandbox.aws.control import AwsControl
from sandbox.aws.settings import ROOT_SECRET_ACCESS_KEY

REGION = "us-west-2"
CLUSTER = "my-cluster"
NAMESPACE, ACCOUNT_NAME = "default", "my-service-account"
ROLE, POLICY = "my-role", "my-policy"
BUCKET = "arn:aws:s3:::my-pod-secrets-bucket"
WIDTH = 4

Json = dict[str, Any]


def document(*actions: str, resource: str = f"{BUCKET}/*", effect: str = "Allow", **more: Any) -> Json:
    statement = {"Effect": effect, "Action": list(actions), "Resource": resource, **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


def trust(principal: Mapping[str, str], *actions: str, **more: Any) -> Json:
    statement = {"Effect": "Allow", "Principal": dict(principal), "Action": list(actions), **more}
    return {"Version": "2012-10-17", "Statement": [statement]}


# The policy in the guide names only the bucket. This policy names the objects in the bucket.
GUIDE: Mapping[str, Any] = {
    "namespace": NAMESPACE,
    "service_account": ACCOUNT_NAME,
    "role": {"name": ROLE, "description": "my-role-description"},
    "policies": [{"name": POLICY, "document": document("s3:GetObject")}],
    "required_permissions": [{"action": "s3:GetObject", "resource": f"{BUCKET}/my-object"}],
}


class World:
    """An AWS account and a cluster. Scenarios change the resources in it, and the options of the verification."""

    def __init__(self, endpoint: str, account: str, kube: Kube) -> None:
        self.endpoint, self.account, self.kube = endpoint, account, kube
        self.control = AwsControl(endpoint)
        self.key = (account, ROOT_SECRET_ACCESS_KEY)
        self._clients: dict[tuple[str, tuple[str, str]], Any] = {}
        self.iam, self.eks = self.client("iam"), self.client("eks")
        self.workloads: list[Json] = []
        self.kube_token = TOKEN
        self.looks_at_pods = True
        self.proves = False
        self.probes = False
        self.mutate: Callable[[Json], None] = lambda _pod: None
        self.container: Json | None = None
        self.proof_condition: Json | None = None
        self.server: ApiServer | None = None

    def client(self, service: Any) -> Any:
        """Return a client with the credentials in ``key``, of the account or of a user. The client does not retry."""
        client = self._clients.get((service, self.key))
        if client is None:
            client = boto3.client(
                service,
                endpoint_url=self.endpoint,
                region_name=REGION,
                aws_access_key_id=self.key[0],
                aws_secret_access_key=self.key[1],
                config=Config(retries={"total_max_attempts": 1, "mode": "standard"}),
            )
            self._clients[service, self.key] = client
        return client

    def arn(self, kind: str, name: str) -> str:
        return f"arn:aws:iam::{self.account}:{kind}/{name}"

    @property
    def role_arn(self) -> str:
        return self.arn("role", ROLE)

    @property
    def policy_arn(self) -> str:
        return self.arn("policy", POLICY)

    @property
    def association_id(self) -> str:
        found = self.eks.list_pod_identity_associations(
            clusterName=CLUSTER, namespace=self.workloads[0]["namespace"], serviceAccount=ACCOUNT_NAME
        )
        return str(found["associations"][0]["associationId"])

    def build(self, *workloads: Mapping[str, Any]) -> None:
        """Create the cluster with the agent, apply the workloads, and create their service accounts and the Pod."""
        self.workloads = [dict(workload) for workload in workloads]
        self.eks.create_cluster(
            name=CLUSTER,
            roleArn=self.make_role("cluster", trust({"Service": "eks.amazonaws.com"}, "sts:AssumeRole")),
            resourcesVpcConfig={"subnetIds": ["subnet-0a1b2c3d4e5f60001", "subnet-0a1b2c3d4e5f60002"]},
        )
        self.eks.create_addon(clusterName=CLUSTER, addonName="eks-pod-identity-agent")
        self.converge()
        self.kube.node()
        self.kube.agent()
        for workload in workloads:
            self.kube.account(NAMESPACE, workload["service_account"])
        self.pod()

    def converge(self, **options: bool) -> None:
        """Apply the workloads in AWS as site.yml does, and date the association of ACCOUNT_NAME an hour ago.

        :arg options: fields of ``Options`` in addition to the owner.
        """
        api = self._api()
        wait_policy = WaitPolicy(5, time.monotonic, time.sleep)
        engine = Engine(api, find_cluster(api, CLUSTER, REGION), WIDTH, wait_policy)
        desired = self._desired()
        desired = replace(desired, options=replace(desired.options, **options))
        run = engine.run(desired, "present", False)
        assert run.failures == (), run.failures
        self.date_association(datetime.now(timezone.utc) - timedelta(hours=1))

    def install_agent(self) -> None:
        """Install the add-on of the agent as site.yml does with ``pod_identity_agent: present``."""
        api = self._api()
        cluster = find_cluster(api, CLUSTER, REGION)
        wait_policy = WaitPolicy(5, time.monotonic, time.sleep)
        agent = agent_run(api, cluster, AddonSpec(AGENT_ADDON), wait_policy, check_mode=False)
        engine = Engine(api, cluster, WIDTH, wait_policy, addon=agent)
        run = engine.run(Desired((), Options(single=True)), "present", False)
        assert (len(run.done), run.failures) == (1, ())

    def date_association(self, created: datetime) -> None:
        self.patch_association(createdAt=created.timestamp(), modifiedAt=created.timestamp())

    def patch_association(self, **members: Any) -> None:
        self.control.patch_association(self.account, REGION, CLUSTER, self.association_id, **members)

    def patch_cluster(self, **members: Any) -> None:
        self.control.patch_cluster(self.account, REGION, CLUSTER, **members)

    def patch_addon(self, **members: Any) -> None:
        self.control.patch_addon(self.account, REGION, CLUSTER, "eks-pod-identity-agent", **members)

    def refuse(self, operation: str) -> None:
        """Let AWS deny all later requests for an operation."""
        self.control.set_faults([{"kind": "access_denied", "operation": operation, "account": self.account}])

    def set_trust(self, policy: Mapping[str, Any], role: str = ROLE) -> None:
        self.iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(policy))

    def make_role(self, name: str, trust_policy: Mapping[str, Any]) -> str:
        role = self.iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust_policy))
        return str(role["Role"]["Arn"])

    def set_policy(self, content: Mapping[str, Any], default: bool = True) -> None:
        self.iam.create_policy_version(
            PolicyArn=self.policy_arn, PolicyDocument=json.dumps(content), SetAsDefault=default
        )

    def update_association(self, **members: Any) -> None:
        """Change the association, and date the change an hour ago, so that the Pod is younger than the change."""
        self.eks.update_pod_identity_association(
            clusterName=CLUSTER, associationId=self.association_id, **members
        )
        self.date_change(datetime.now(timezone.utc) - timedelta(hours=1))

    def date_change(self, modified: datetime) -> None:
        self.patch_association(modifiedAt=modified.timestamp())

    def delete_pod(self) -> None:
        path = f"/api/v1/namespaces/{NAMESPACE}/pods"
        for item in self.kube.request("GET", path)["items"]:
            self.kube.request("DELETE", f"{path}/{item['metadata']['name']}", gracePeriodSeconds="0")

    def pod(
        self,
        *,
        env: Sequence[Mapping[str, str]] = (),
        injected: bool = True,
        node: str = NODE,
        more: Sequence[Json] = (),
        **metadata: Any,
    ) -> None:
        """Replace the Pod of the service account.

        With ``injected``, the EKS Pod Identity webhook adds the credentials' environment variables to the Pod.
        """
        self.delete_pod()
        self.kube.control.set_associations([(NAMESPACE, ACCOUNT_NAME)] if injected else [])
        container: Json = {"name": "app", "image": "app", "env": list(env)}
        spec: Json = {"serviceAccountName": ACCOUNT_NAME, "nodeName": node, "containers": [container, *more]}
        metadata = {"name": "my-pod", **metadata}
        status = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        self.kube.create(f"/api/v1/namespaces/{NAMESPACE}/pods", {"metadata": metadata, "spec": spec}, status)

    def prove(self, container: Json | None = None, condition: Json | None = None) -> None:
        """Enable the runtime proof. Its Pod will have this container state or this condition."""
        self.proves, self.container, self.proof_condition = True, container, condition

    def verification(self) -> Json:
        """Verify in AWS, and return the result as the module eks_pod_identity_info does."""
        return module_rows(self._verify())

    def _verify(self) -> Json:
        api = self._api()
        cluster = find_cluster(api, CLUSTER, REGION)
        desired = self._desired()
        observer = Observer(api, cluster, WIDTH)
        observed = observer.observe(desired, planning=False, unlisted=True)
        proof = read_for_verification(api, desired, observed, WIDTH, begin_reading_agent(api, cluster))
        other = judge_api_server(cluster, self.server) if self.server else None
        lints = lint_workloads(desired.workloads, load_catalogue())
        unlisted = [
            *find_empty_list(desired.workloads),
            *find_unlisted(desired, observed),
            *find_left_behind(desired, observed, ()),
        ]
        further = [*([as_verification_finding(other)] if other else []), *unlisted]
        return verified_result(verify(desired, observed, proof, lints), observed, cluster, further)

    def report(self, **options: Any) -> Report:
        """Verify in AWS and Kubernetes, and return the report as the role does. ``options`` are fields of ReportSettings."""
        aws = parse_aws_result(self._verify(), CLUSTER)
        cluster = KubeCluster(self.kube, self.kube_token, self._answer(), self.mutate)
        preflight = read_accounts(
            KubeCluster(self.kube, TOKEN, {}), self._desired().workloads, CLUSTER, "verify"
        )
        assert isinstance(preflight, Preflight), preflight
        proof = ProofSettings("r", "aws-cli", 120) if self.proves else None
        # During the run the cluster does not change, so waiting would not help.
        injection = InjectionSettings("aws-cli", timeout=0) if self.probes else None
        settings = KubernetesSettings(
            verify_pods=self.looks_at_pods,
            injection=injection,
            proof=proof,
            proof_skip_reason="" if self._answer() else None,
        )
        kube_run = converge_kubernetes(cluster, aws, preflight, settings, RestlessClock())
        return make_report(aws, kube_run.outcome, ReportSettings(**options))

    def _api(self) -> BotoApi:
        return BotoApi(self.client)

    def _desired(self) -> Desired:
        options = Options(owner=default_owner(REGION, CLUSTER))
        return Desired(parse_workloads(self.workloads, CLUSTER, "present"), options)

    def _answer(self) -> Json:
        """Return the status of the runtime proof's Pod, or {} if the proof cannot run."""
        status: Json = {}
        if self.container is not None:
            state = {"name": "proof", "image": "aws-cli", "imageID": "", "ready": False, "restartCount": 0}
            status["containerStatuses"] = [{**state, "state": self.container}]
        if self.proof_condition is not None:
            status["conditions"] = [self.proof_condition]
        return {"phase": "Pending", **status} if status else {}
