# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a container's environment says about where its SDK looks for credentials. Pure.

Sources: EKS User Guide, "Understand how EKS Pod Identity works" (what is injected) and "Configure Pods to
access AWS services with service accounts" (proxies); the order of the SDKs' credential providers is that
of the AWS SDKs and Tools Reference Guide, "Standardized credential providers".
"""

from __future__ import annotations

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import TypeAlias
from urllib.parse import urlsplit

CREDENTIALS_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
IPV4_ADDRESS = "169.254.170.23"
IPV6_ADDRESS = "fd00:ec2::23"
ADDRESSES = (IPV4_ADDRESS, IPV6_ADDRESS)
# Upper case first: the order in which findings name them.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

Env: TypeAlias = Mapping[str, "str | None"]


def is_injected(env: Env) -> bool:
    """Whether the credentials of EKS Pod Identity are within reach of the container's SDK."""
    return agent_address(env) != "" and env.get(TOKEN_FILE, "") != ""


def agent_address(env: Env) -> str:
    """The agent's address in the environment; "" when it is another address, or none."""
    try:
        host = urlsplit(env.get(CREDENTIALS_URI) or "").hostname or ""
    except ValueError:
        return ""
    return host if host in ADDRESSES else ""


def earlier_provider(env: Env) -> tuple[str, ...]:
    """The variables of credentials that SDKs prefer to those of a container."""
    for names in (
        ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"),
        ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE"),
    ):
        if all(env.get(name, "") != "" for name in names):
            return names
    return ()


def proxies_to_agent(env: Env) -> tuple[str, ...]:
    """The proxy variables that would send requests for credentials to the proxy.

    A NO_PROXY whose value comes from elsewhere (valueFrom) is taken to cover the agent: nothing is known.
    """
    names = tuple(name for wanted in _PROXIES for name in (wanted, wanted.lower()) if env.get(name, "") != "")
    if not names:
        return ()
    exceptions = [env[name] for name in ("NO_PROXY", "no_proxy") if name in env]
    address = agent_address(env) or IPV4_ADDRESS
    if any(text is None or covers(text, address) for text in exceptions):
        return ()
    return names


def covers(no_proxy: str, address: str) -> bool:
    """Whether a NO_PROXY names an address: itself, in brackets, with port 80, in a network, or by "*"."""
    wanted = ip_address(address)
    return any(_covers_entry(entry.strip(), wanted) for entry in no_proxy.split(","))


def _covers_entry(entry: str, wanted: IPv4Address | IPv6Address) -> bool:
    if entry == "*":
        return True
    bare = entry.removesuffix(":80") if wanted.version == 4 or entry.startswith("[") else entry
    bare = bare.removeprefix("[").removesuffix("]")
    try:
        return wanted in ip_network(bare, strict=False)
    except ValueError:
        return False
