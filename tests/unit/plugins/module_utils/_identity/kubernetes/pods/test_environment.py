# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test which credentials a container uses, and the reasons why it does not get credentials from the EKS Pod Identity Agent."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.environment import (
    IPV4_ADDRESS,
    IPV6_ADDRESS,
    agent_address,
    covers,
    find_source,
    is_injected,
    proxies_to_agent,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.pods import (
    parse_pod,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)

IPV6_URI = "http://[fd00:ec2::23]/v1/credentials"
PROXY = {"HTTP_PROXY": "http://proxy:3128"}


@pytest.mark.parametrize(
    ("no_proxy", "ipv4", "ipv6"),
    [
        ("", False, False),
        ("169.254.170.23", True, False),
        (" 169.254.170.23 ,localhost", True, False),
        ("localhost,169.254.170.23:80", True, False),
        ("169.254.170.23:8080", False, False),
        ("169.254.0.0/16", True, False),
        ("169.254.170.2", False, False),
        ("169.254.170.230", False, False),
        ("169.254.170.*", False, False),
        ("[fd00:ec2::23]", False, True),
        ("fd00:ec2::23", False, True),
        ("[fd00:ec2::23]:80", False, True),
        ("fd00:ec2:0:0::23", False, True),
        ("fd00:ec2::/32", False, True),
        ("169.254.170.23,[fd00:ec2::23]", True, True),
        ("*", True, True),
        ("*.example.org,10.0.0.0/8,.svc", False, False),
        ("0.0.0.0/0", True, False),
        ("169.254.170.23/99", False, False),
    ],
)
def test_no_proxy_coverage(no_proxy: str, ipv4: bool, ipv6: bool) -> None:
    assert (covers(no_proxy, IPV4_ADDRESS), covers(no_proxy, IPV6_ADDRESS)) == (ipv4, ipv6)


@pytest.mark.parametrize(
    ("env", "names"),
    [
        ({}, ()),
        ({"HTTP_PROXY": ""}, ()),
        (PROXY, ("HTTP_PROXY",)),
        ({"http_proxy": "p", "https_proxy": "p"}, ("http_proxy", "https_proxy")),
        ({"HTTP_PROXY": None}, ("HTTP_PROXY",)),
        ({**PROXY, "NO_PROXY": "localhost", "no_proxy": IPV4_ADDRESS}, ()),
        ({**PROXY, "NO_PROXY": None}, ()),
        ({**PROXY, "NO_PROXY": IPV6_ADDRESS}, ("HTTP_PROXY",)),
        (
            {**PROXY, "NO_PROXY": IPV4_ADDRESS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": IPV6_URI},
            ("HTTP_PROXY",),
        ),
        ({**PROXY, "NO_PROXY": IPV6_ADDRESS, "AWS_CONTAINER_CREDENTIALS_FULL_URI": IPV6_URI}, ()),
    ],
)
def test_proxy_variables_for_agent_requests(env: dict[str, str | None], names: tuple[str, ...]) -> None:
    assert proxies_to_agent(env) == names


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (build.URI, IPV4_ADDRESS),
        (IPV6_URI, IPV6_ADDRESS),
        ("http://169.254.170.2/v2/credentials", ""),
        ("http://169.254.170.23:8080/v1/credentials", ""),
        ("https://169.254.170.23/v1/credentials", ""),
        ("http://169.254.170.23:port/v1/credentials", ""),
        ("http://[fd00", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_agent_address(uri: str | None, address: str) -> None:
    env = {**build.INJECTED, "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}
    assert agent_address(env) == address
    assert is_injected(env) == (address != "")


URI, FILE = "AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
RELATIVE = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
KEYS = {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"}
BOTH_KEYS = "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
WEB_IDENTITY = {"AWS_ROLE_ARN": "arn:aws:iam::111122223333:role/own", "AWS_WEB_IDENTITY_TOKEN_FILE": "/own"}
IRSA_FILE = "/var/run/secrets/eks.amazonaws.com/serviceaccount/token"
NOT_THE_AGENT = "but without the URI of the EKS Pod Identity Agent"
SOME = "which some SDKs use instead"
FROM_SECRET = {"secretRef": {"name": "keys"}}
FROM_MAP = {"configMapRef": {"name": "app"}}
MAY_SET = "which may set variables that SDKs prefer"


def secret_key(*names: str, optional: bool = False) -> list[dict[str, Any]]:
    reference = {"name": "keys", "key": "k", **({"optional": True} if optional else {})}
    return [{"name": name, "valueFrom": {"secretKeyRef": reference}} for name in names]


def injected_container(*entries: dict[str, Any], **env: str) -> dict[str, Any]:
    """Return a container with the variables that the webhook injects, and with further ``env`` and ``entries``."""
    container = build.container(env={**build.INJECTED, **env})
    return {**container, "env": [*container["env"], *entries]}


def plain_container(**env: str) -> dict[str, Any]:
    return build.container(env=env)


def token_at(path: str, mount: dict[str, Any]) -> dict[str, Any]:
    return build.container(env={URI: build.URI, FILE: path}, volumeMounts=[mount])


@pytest.mark.parametrize(
    ("container", "kind", "description"),
    [
        (injected_container(), "agent", ""),
        (injected_container(AWS_ROLE_ARN="r"), "agent", ""),
        (injected_container(AWS_SECRET_ACCESS_KEY="b", AWS_PROFILE=""), "agent", ""),
        (plain_container(), "none", ""),
        (plain_container(AWS_REGION="eu-west-1"), "none", ""),
        # Containers with access keys, as plain values or from a Secret
        (injected_container(**KEYS), "other", f"{BOTH_KEYS}, which SDKs prefer"),
        (injected_container(*secret_key(*KEYS)), "other", f"{BOTH_KEYS}, which SDKs prefer"),
        (plain_container(**KEYS), "other", f"{BOTH_KEYS}, which SDKs prefer"),
        (injected_container(*secret_key(*KEYS, optional=True)), "unknown", f"{BOTH_KEYS}, {SOME}"),
        (injected_container(AWS_ACCESS_KEY_ID="a"), "unknown", f"AWS_ACCESS_KEY_ID, {SOME}"),
        (
            injected_container(AWS_ACCESS_KEY="a", AWS_SECRET_KEY="b"),
            "unknown",
            f"AWS_ACCESS_KEY and AWS_SECRET_KEY, {SOME}",
        ),
        # Containers with a web identity
        (
            injected_container(**WEB_IDENTITY),
            "other",
            "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE (arn:aws:iam::111122223333:role/own), which SDKs prefer",
        ),
        (
            plain_container(**{**WEB_IDENTITY, "AWS_WEB_IDENTITY_TOKEN_FILE": IRSA_FILE}),
            "irsa",
            "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE (arn:aws:iam::111122223333:role/own), which SDKs prefer",
        ),
        (
            injected_container(*secret_key("AWS_ROLE_ARN"), AWS_WEB_IDENTITY_TOKEN_FILE=IRSA_FILE),
            "other",
            "AWS_ROLE_ARN and AWS_WEB_IDENTITY_TOKEN_FILE, which SDKs prefer",
        ),
        (
            injected_container(AWS_WEB_IDENTITY_TOKEN_FILE="/own"),
            "unknown",
            f"AWS_WEB_IDENTITY_TOKEN_FILE, {SOME}",
        ),
        # Containers with profiles and configuration files
        (injected_container(AWS_PROFILE="p"), "unknown", f"AWS_PROFILE, {SOME}"),
        (
            injected_container(AWS_PROFILE="p", AWS_SHARED_CREDENTIALS_FILE="/f"),
            "unknown",
            f"AWS_PROFILE and AWS_SHARED_CREDENTIALS_FILE, {SOME}",
        ),
        (injected_container(AWS_CONFIG_FILE="/f"), "unknown", f"AWS_CONFIG_FILE, {SOME}"),
        (
            injected_container(AWS_PROFILE="p", **KEYS),
            "unknown",
            f"AWS_PROFILE, AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, {SOME}",
        ),
        (
            build.container(volumeMounts=[build.MOUNT, {"name": "aws", "mountPath": "/home/app/.aws/"}]),
            "unknown",
            "a volume at /home/app/.aws, whose files the check does not read",
        ),
        (build.container(volumeMounts=[build.MOUNT, {"name": "a", "mountPath": "/x/.awsome"}]), "agent", ""),
        # Containers with another credential provider than the agent
        (plain_container(**{URI: "http://127.0.0.1:9911/"}), "other", f"{URI}, {NOT_THE_AGENT}"),
        (plain_container(**{URI: ""}), "other", f"{URI}, {NOT_THE_AGENT}"),
        (plain_container(**{FILE: build.TOKEN}), "other", f"{FILE}, {NOT_THE_AGENT}"),
        (plain_container(**{URI: build.URI}), "other", f"{URI}, but without a path in {FILE}"),
        (
            plain_container(**{URI: build.URI, FILE: ""}),
            "other",
            f"{URI} and {FILE}, but without a path in {FILE}",
        ),
        (plain_container(**{RELATIVE: "/v2/x"}), "other", f"{RELATIVE}, {NOT_THE_AGENT}"),
        (injected_container(**{RELATIVE: "/v2/x"}), "unknown", f"{RELATIVE}, {SOME}"),
        (injected_container(**{RELATIVE: ""}), "unknown", f"{RELATIVE}, {SOME}"),
        (
            injected_container(AWS_CONTAINER_AUTHORIZATION_TOKEN="t"),
            "unknown",
            f"AWS_CONTAINER_AUTHORIZATION_TOKEN, {SOME}",
        ),
        (
            injected_container(**{URI: "http://$(HOST)/v1/credentials"}),
            "unknown",
            f"{URI}, whose value is not in the manifest",
        ),
        (injected_container(*secret_key(FILE)), "unknown", f"{FILE}, whose value is not in the manifest"),
        # Containers whose token or token volume differs from the injected one
        (build.container(volumeMounts=[]), "other", f"{URI} and {FILE}, and no volume at the path of {FILE}"),
        (
            token_at("/own/token", {"name": "sts", "mountPath": "/own"}),
            "unknown",
            "another token from volume sts",
        ),
        (
            token_at("/own/token", {"name": "sts", "mountPath": "/own/token", "subPath": "token"}),
            "unknown",
            "another token from volume sts",
        ),
        (
            token_at("/own/eks-pod-identity-token", {"name": "eks-pod-identity-token", "mountPath": "/own"}),
            "agent",
            "",
        ),
        (
            token_at("/own/else", {"name": "sts", "mountPath": "/own"}),
            "unknown",
            "another token from volume sts",
        ),
        (
            token_at("/own/token", {"name": "files", "mountPath": "/own"}),
            "unknown",
            "another token from volume files",
        ),
        (
            token_at("/own/token", {"name": "sts", "mountPath": "/own", "subPathExpr": "$(POD)"}),
            "unknown",
            "another token from volume sts",
        ),
        # Containers with variables from an envFrom
        (build.container(envFrom=[FROM_SECRET]), "unknown", f"envFrom Secret keys, {MAY_SET}"),
        (
            build.container(envFrom=[FROM_SECRET, FROM_MAP, {**FROM_MAP, "prefix": "AWS_"}]),
            "unknown",
            f"envFrom Secret keys, ConfigMap app, {MAY_SET}",
        ),
        (build.container(envFrom=[{**FROM_MAP, "prefix": "APP_"}]), "agent", ""),
        (
            build.container(envFrom=[{**FROM_MAP, "prefix": "AWS_CONTAINER_"}]),
            "unknown",
            f"envFrom ConfigMap app, {MAY_SET}",
        ),
        ({**injected_container(**KEYS), "envFrom": [FROM_MAP]}, "other", f"{BOTH_KEYS}, which SDKs prefer"),
        ({**plain_container(), "envFrom": [FROM_MAP]}, "none", ""),
    ],
)
def test_source_of_credentials(container: dict[str, Any], kind: str, description: str) -> None:
    volumes = [build.token_volume(), {**build.token_volume("sts.amazonaws.com"), "name": "sts"}]
    volumes[1]["projected"]["sources"][0]["serviceAccountToken"]["path"] = "token"
    item = build.pod(containers=[container], volumes=[*volumes, {"name": "files", "emptyDir": {}}])
    pod = parse_pod(item, build.CLUSTER)
    source = find_source(pod.containers[0], pod.tokens)
    assert (source.kind, source.description) == (kind, description)
