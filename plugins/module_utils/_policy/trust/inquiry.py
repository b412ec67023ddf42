# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a trust policy is asked: by which caller, for which workload, and what would let exactly it in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..evaluation.request import ACTIONS, SERVICE, Subject, pod_identity_context
from ..evaluation.rules import Request
from ..language.context import Context
from ..language.principals import Caller
from .statements import BARE_SID

# The session tags that tell a workload from every other.
IDENTIFYING = ("eks-cluster-arn", "kubernetes-namespace", "kubernetes-service-account")


@dataclass(frozen=True, slots=True)
class Remedy:
    """A statement that lets the workload in: ``principal`` with the conditions ``equals``.

    ``identity`` are those of ``equals`` that together name this workload and no other; it is empty when that is not
    possible, because something of the workload is not known or its requests carry nothing that names it. ``caller`` is
    the negated condition (operator, key, value) that leaves the caller out of a Deny. ``unsafe``: a statement without a
    condition on sts:ExternalId would let in whoever uses the caller's role, and its value is not known.
    """

    sid: str
    principal: Mapping[str, str]
    equals: Mapping[str, str]
    identity: Mapping[str, str]
    caller: tuple[str, str, str]
    unsafe: bool = False


@dataclass(frozen=True, slots=True)
class Inquiry:
    """``requests`` are what is reported: sts:AssumeRole and sts:TagSession. ``needed`` are those of them without which
    the workload cannot use the role. ``context_of`` gives the keys of the request for any subject, so that others
    can be asked about, too."""

    subject: Subject
    requests: tuple[Request, ...]
    needed: tuple[Request, ...]
    context_of: Callable[[Subject], Context]
    remedy: Remedy

    @property
    def context(self) -> Context:
        return self.context_of(self.subject)


def pod_identity_inquiry(subject: Subject) -> Inquiry:
    """Can EKS Pod Identity use the role for this workload?"""
    tags = identifying_tags(subject)
    account = {"aws:SourceAccount": subject.account} if subject.account else {}
    caller = Caller(service=SERVICE)
    requests = tuple(Request(action, None, caller) for action in ACTIONS)
    return Inquiry(
        subject,
        requests,
        requests,
        pod_identity_context,
        Remedy(
            sid=BARE_SID,
            principal={"Service": SERVICE},
            equals={**account, **tags},
            identity=whole(tags),
            caller=("StringNotEquals", "aws:PrincipalServiceName", SERVICE),
        ),
    )


def identifying_tags(subject: Subject) -> dict[str, str]:
    """The known session tags that identify a workload, by condition key; the cluster's name where its ARN is not known."""
    if not subject.session_tags:
        return {}
    tags = subject.tags()
    cluster, *others = IDENTIFYING
    names = (cluster if tags[cluster] else "eks-cluster-name", *others)
    return {f"aws:RequestTag/{name}": value for name in names if (value := tags[name])}


def whole(tags: Mapping[str, str]) -> Mapping[str, str]:
    """The tags when none of the identifying ones is missing, else nothing. Clusters of one name are in many regions."""
    return tags if {f"aws:RequestTag/{name}" for name in IDENTIFYING} <= set(tags) else {}
