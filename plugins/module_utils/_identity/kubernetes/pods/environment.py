# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Find out from the manifest of a container which credentials its AWS SDKs use. Pure.

EKS Pod Identity injects the variables of the container credential provider, which requests credentials from the agent. Every
SDK prefers access keys to a web identity (IRSA), and a web identity to the container provider. SDKs differ in other variables:

- of AWS_CONTAINER_CREDENTIALS_RELATIVE_URI and _FULL_URI, botocore prefers the first, Go and JavaScript the second;
- of AWS_CONTAINER_AUTHORIZATION_TOKEN and _TOKEN_FILE, botocore prefers the second, JavaScript the first;
- with AWS_PROFILE, JavaScript ignores access keys.

The webhook of EKS (amazon-eks-pod-identity-webhook) skips a container that already has one of the two variables that the
webhook injects.

Sources: EKS User Guide, "Understand how EKS Pod Identity works" (injected variables) and "Configure Pods to access AWS services
with service accounts" (proxies); AWS SDKs and Tools Reference Guide, "Standardized credential providers".
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from typing import Literal, TypeAlias
from urllib.parse import urlsplit

from .pods import Container

CREDENTIALS_URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
RELATIVE_URI = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"
TOKEN_FILE = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"
TOKEN = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
IPV4_ADDRESS = "169.254.170.23"
IPV6_ADDRESS = "fd00:ec2::23"
# The proxy variables, in the order in which findings name them. Each variable is followed by its lower-case form.
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

_ACCESS_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY")
_WEB_IDENTITY = ("AWS_ROLE_ARN", "AWS_WEB_IDENTITY_TOKEN_FILE")
_IRSA_DIRECTORY = "/var/run/secrets/eks.amazonaws.com/serviceaccount/"
_PROFILES = ("AWS_PROFILE", "AWS_DEFAULT_PROFILE")
_FILES = ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE")
# Each of these variables needs a second one, as AWS_ACCESS_KEY_ID needs AWS_SECRET_ACCESS_KEY. If the second one is missing,
# some SDKs use other credentials, and other SDKs fail.
_PARTS = ("AWS_ACCESS_KEY_ID", "AWS_ACCESS_KEY", "AWS_WEB_IDENTITY_TOKEN_FILE")
# Variables by which a Secret or ConfigMap in envFrom can change the credentials. AWS_ROLE_ARN is not among them, because SDKs
# ignore it without a token file.
_DECISIVE = (RELATIVE_URI, TOKEN, *_PROFILES, *_FILES, *_PARTS)

# Environment variables. None is a value that is not in the manifest (valueFrom).
Env: TypeAlias = Mapping[str, "str | None"]


@dataclass(frozen=True, slots=True)
class CredentialSource:
    """The source of the credentials that the SDKs in a container use.

    ``kind`` is "agent" for the role of the association, and "none" if no variables were injected. It is "irsa" if the webhook
    of EKS injected IRSA instead, "other" for other credentials, and "unknown" if the manifest does not show the source.
    ``description`` continues "container app with …", and ``removal`` completes "remove … from container app". They do not
    contain values of variables, which may be secret, except the ARN of a role. ``names`` are the names of the variables that
    determine the source.
    """

    kind: Literal["agent", "none", "irsa", "other", "unknown"]
    description: str = ""
    removal: str = ""
    names: tuple[str, ...] = ()


def find_source(container: Container, tokens: Mapping[str, frozenset[str]]) -> CredentialSource:
    """Return the source of credentials of a container. ``tokens`` is as in ``Pod``."""
    env = container.env
    names = preferred_provider(env)
    if names and not _set_names(env, _PROFILES) and container.optional.isdisjoint(names):
        text, role, injected = " and ".join(names), "", False
        if names == _WEB_IDENTITY:
            role = f" ({env['AWS_ROLE_ARN']})" if env["AWS_ROLE_ARN"] else ""
            by_webhook = (env["AWS_WEB_IDENTITY_TOKEN_FILE"] or "").startswith(_IRSA_DIRECTORY)
            injected = by_webhook and CREDENTIALS_URI not in env and TOKEN_FILE not in env
        description = f"{text}{role}, which SDKs prefer"
        return CredentialSource("irsa" if injected else "other", description, text, names)
    source = _container_source(container, tokens)
    if source.kind != "agent":
        return source
    return next(_find_ambiguities(container), source)


def _container_source(container: Container, tokens: Mapping[str, frozenset[str]]) -> CredentialSource:
    """Return the source of credentials, considering only the container provider and the token that it sends to the agent."""
    env = container.env
    names = tuple(name for name in (RELATIVE_URI, CREDENTIALS_URI, TOKEN_FILE) if name in env)
    if not names:
        return CredentialSource("none")
    for name in (CREDENTIALS_URI, TOKEN_FILE):
        if (value := env.get(name, "")) is None or "$(" in value:
            return CredentialSource("unknown", f"{name}, whose value is not in the manifest", name, names)
    text, path = " and ".join(names), env.get(TOKEN_FILE) or ""
    above = [mount for mount in container.mounts if path == mount.path or path.startswith(f"{mount.path}/")]
    if not agent_address(env):
        description = f"{text}, but without the URI of the EKS Pod Identity Agent"
        return CredentialSource("other", description, text, names)
    if not path:
        return CredentialSource("other", f"{text}, but without a path in {TOKEN_FILE}", text, names)
    if not above:
        return CredentialSource("other", f"{text}, and no volume at the path of {TOKEN_FILE}", text, names)
    mount = max(above, key=lambda mount: len(mount.path))
    inner = "/".join(filter(None, (mount.sub_path, path.removeprefix(mount.path).strip("/"))))
    if mount.sub_path is not None and inner in tokens.get(mount.volume, ()):
        return CredentialSource("agent")
    removal = f"volume {mount.volume} and its mount"
    return CredentialSource("unknown", f"another token from volume {mount.volume}", removal, names)


def _find_ambiguities(container: Container) -> Iterator[CredentialSource]:
    """Yield the sources that some SDKs prefer, or may prefer, to the agent."""
    env = container.env
    deciding = tuple(name for name in (RELATIVE_URI, TOKEN) if name in env)
    deciding += _set_names(env, (*_PROFILES, *_FILES, *_PARTS))
    if deciding:
        others = _set_names(env, (*_ACCESS_KEYS, *_WEB_IDENTITY, "AWS_SECRET_KEY"))
        names = tuple(dict.fromkeys((*deciding, *others)))
        text = " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
        yield CredentialSource("unknown", f"{text}, which some SDKs use instead", text, names)
    for mount in container.mounts:
        if "/.aws/" in f"{mount.path}/":
            place = f"volume at {mount.path}"
            yield CredentialSource(
                "unknown", f"a {place}, whose files the check does not read", f"the {place}"
            )
    # Variables in ``env`` of the container override variables of envFrom.
    sources = [
        name
        for name, prefix in container.env_from
        if any(variable.startswith(prefix) and variable not in env for variable in _DECISIVE)
    ]
    if sources:
        text = ", ".join(dict.fromkeys(sources))
        removal = f"any credential variables of {text}, such as AWS_ACCESS_KEY_ID and AWS_PROFILE,"
        yield CredentialSource(
            "unknown", f"envFrom {text}, which may set variables that SDKs prefer", removal
        )


def _set_names(env: Env, names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of the variables that are set and not empty."""
    return tuple(name for name in names if env.get(name, "") != "")


def is_injected(env: Env) -> bool:
    """Return whether a container has the variables that the webhook of EKS injects, with the address of the agent."""
    return agent_address(env) != "" and env.get(TOKEN_FILE, "") != ""


def agent_address(env: Env) -> str:
    """Return the IP address of the agent in the URI of the container provider, or "" if it is not a URI of the agent."""
    try:
        url = urlsplit(env.get(CREDENTIALS_URI) or "")
        host, port = url.hostname or "", url.port or 80
    except ValueError:
        return ""
    return host if host in (IPV4_ADDRESS, IPV6_ADDRESS) and port == 80 and url.scheme == "http" else ""


def preferred_provider(env: Env) -> tuple[str, ...]:
    """Return the names of the variables that every SDK prefers to the container provider.

    These are the two variables of the access keys or, without them, the two of the web identity. Return an empty tuple if
    neither pair is complete.
    """
    return next((names for names in (_ACCESS_KEYS, _WEB_IDENTITY) if _set_names(env, names) == names), ())


def uses_irsa(env: Env) -> bool:
    """Return whether SDKs use a web identity (IRSA): its variables are set, and there are no access keys, which have priority."""
    return preferred_provider(env) == _WEB_IDENTITY


def proxies_to_agent(env: Env) -> tuple[str, ...]:
    """Return the names of the proxy variables by which SDKs may send requests for credentials to a proxy, not to the agent.

    A NO_PROXY whose value is unknown (valueFrom) is assumed to contain the address of the agent.
    """
    exceptions = [env[name] for name in ("NO_PROXY", "no_proxy") if name in env]
    address = agent_address(env) or IPV4_ADDRESS
    if any(text is None or covers(text, address) for text in exceptions):
        return ()
    return _set_names(env, [name for proxy in _PROXIES for name in (proxy, proxy.lower())])


def covers(no_proxy: str, address: str) -> bool:
    """Return whether a NO_PROXY excludes an IP address from the proxy.

    An entry matches if it is the address (also in brackets or with port 80), a network that contains the address, or "*".
    """
    target = ip_address(address)
    for entry in map(str.strip, no_proxy.split(",")):
        bare = entry.removesuffix(":80") if target.version == 4 or entry.startswith("[") else entry
        with contextlib.suppress(ValueError):
            if entry == "*" or target in ip_network(bare.removeprefix("[").removesuffix("]"), strict=False):
                return True
    return False
