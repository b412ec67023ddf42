# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Read pod identity associations."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ..._aws.client import Api, answers_by_page
from ..model.observed import ObservedAssociation
from .decode import decode_association
from .looks import unless_missing_twice


def list_associations(
    api: Api, cluster_name: str, namespace: str = "", service_account: str = ""
) -> Iterable[dict[str, Any]]:
    """Summaries of all pages, as EKS returns them, page by page. Source: eks ListPodIdentityAssociations."""
    parameters = {"clusterName": cluster_name}
    if namespace:
        parameters["namespace"] = namespace
    if service_account:
        parameters["serviceAccount"] = service_account
    return api.pages("eks", "ListPodIdentityAssociations", parameters, "associations")


def first_associations(api: Api, cluster_name: str) -> tuple[list[dict[str, Any]], bool]:
    """Return the summaries of the first page, and whether EKS has more."""
    request = {"clusterName": cluster_name}
    page = next(answers_by_page(api, "eks", "ListPodIdentityAssociations", request))
    return list(page["associations"]), bool(page.get("nextToken"))


def describe_association(
    api: Api, cluster_name: str, association_id: str, cluster: str = ""
) -> ObservedAssociation | None:
    """One association; None when it has been deleted since it was listed. ``cluster`` is what keys of workloads call
    its cluster, where that is not its name."""
    request = {"clusterName": cluster_name, "associationId": association_id}
    answer = unless_missing_twice(lambda: api.call("eks", "DescribePodIdentityAssociation", request))
    return decode_association(answer["association"], cluster) if answer is not None else None
