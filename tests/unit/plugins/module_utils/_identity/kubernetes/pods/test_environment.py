# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What an environment says of where credentials come from."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.kubernetes.pods.environment import (
    IPV4_ADDRESS,
    IPV6_ADDRESS,
    agent_address,
    covers,
    earlier_provider,
    is_injected,
    proxies_to_agent,
)
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity import (
    kube_build as build,
)
from hypothesis import given
from hypothesis import strategies as st

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
def test_what_a_no_proxy_covers(no_proxy: str, ipv4: bool, ipv6: bool) -> None:
    assert (covers(no_proxy, IPV4_ADDRESS), covers(no_proxy, IPV6_ADDRESS)) == (ipv4, ipv6)


@given(st.text(max_size=60))
def test_any_text_is_a_no_proxy(text: str) -> None:
    assert covers(text, IPV4_ADDRESS) in (True, False)
    assert covers(f"{text},{IPV4_ADDRESS}", IPV4_ADDRESS)


@given(st.integers(0, 32))
def test_each_network_around_the_agent_covers_it(length: int) -> None:
    network = IPv4Network((IPV4_ADDRESS, length), strict=False)
    assert covers(str(network), IPV4_ADDRESS)


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
def test_proxies_on_the_way_to_the_agent(env: dict[str, str | None], names: tuple[str, ...]) -> None:
    assert proxies_to_agent(env) == names


@pytest.mark.parametrize(
    ("uri", "address"),
    [
        (build.URI, IPV4_ADDRESS),
        (IPV6_URI, IPV6_ADDRESS),
        ("http://169.254.170.2/v2/credentials", ""),
        ("http://[fd00", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_address_of_the_agent(uri: str | None, address: str) -> None:
    env = {**build.INJECTED, "AWS_CONTAINER_CREDENTIALS_FULL_URI": uri}
    assert agent_address(env) == address
    assert is_injected(env) == (address != "")


def test_a_token_file_is_needed_too() -> None:
    assert not is_injected({"AWS_CONTAINER_CREDENTIALS_FULL_URI": build.URI})


@pytest.mark.parametrize(
    ("env", "names"),
    [
        (
            {"AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": None},
            ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ),
        ({"AWS_ACCESS_KEY_ID": "a"}, ()),
        ({"AWS_ROLE_ARN": "r"}, ()),
        (
            {"AWS_ROLE_ARN": "r", "AWS_WEB_IDENTITY_TOKEN_FILE": "f"},
            ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
        ),
    ],
)
def test_providers_that_come_first(env: dict[str, str | None], names: tuple[str, ...]) -> None:
    assert earlier_provider(env) == names
