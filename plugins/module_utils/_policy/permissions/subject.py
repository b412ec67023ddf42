# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a module's options say of a workload, checked before anything is judged by it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..evaluation.request import Subject

_CLUSTER = re.compile(r"arn:[a-z0-9-]+:eks:[a-z0-9-]+:[0-9]{12}:cluster/[A-Za-z0-9][A-Za-z0-9_-]*\Z")
_ROLE = re.compile(r"arn:[a-z0-9-]+:iam::[0-9]{12}:role/[\x21-\x7e]+\Z")
_ACCOUNT = re.compile(r"[0-9]{12}\Z")
_FORMS = (
    ("cluster_arn", _CLUSTER, "arn:aws:eks:us-west-2:111122223333:cluster/my-cluster"),
    ("role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("pod_identity_role_arn", _ROLE, "arn:aws:iam::111122223333:role/my-role"),
    ("cluster_name", re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}\Z"), "my-cluster"),
    ("account_id", _ACCOUNT, "111122223333"),
    ("source_org_id", re.compile(r"o-[a-z0-9]{4,64}\Z"), "o-abcd123456"),
)


class FactError(ValueError):
    """An option that cannot be what it says it is; the text names it and shows the right form."""


def parse_subject(params: Mapping[str, object]) -> Subject:
    """The subject of a module's options. An empty text counts as not given.

    :raises FactError: for a value of the wrong form, or two that contradict each other.
    """
    given = {key: value for key, value in params.items() if value not in (None, "")}
    for name, form, example in _FORMS:
        if name in given and not form.match(str(given[name])):
            raise FactError(f"{name} {given[name]!r} has the wrong form; it is like {example}.")
    cluster, account = given.get("cluster_arn"), given.get("account_id")
    if cluster and account and str(cluster).split(":")[4] != account:
        raise FactError(f"account_id {account} is not the account of cluster_arn {cluster}.")
    named = given.get("cluster_name")
    if cluster and named and str(cluster).rpartition("/")[2] != named:
        raise FactError(f"cluster_name {named} is not the name of cluster_arn {cluster}.")
    texts = {
        name: str(given[name]) if name in given else None
        for name in (
            "cluster_arn",
            "namespace",
            "service_account",
            "account_id",
            "source_org_id",
            "role_arn",
            "pod_name",
            "pod_uid",
        )
    }
    tags = bool(params.get("session_tags", True))
    return Subject(session_tags=tags, cluster=str(named) if named else None, **texts)
