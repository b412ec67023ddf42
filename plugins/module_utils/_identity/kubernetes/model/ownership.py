# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The marks in Kubernetes that say whose an object is, and the owners of its fields. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from .objects import Object, mapping_of, member, objects_of, text_of, texts_of

# The field manager of this collection. Under another name its own fields would belong to someone else.
FIELD_MANAGER = "workload-identity"
# Parts of a cluster that write to service accounts by themselves, such as the controller of token secrets.
_CLUSTER_MANAGERS = ("kube-apiserver", "kube-controller-manager")
# On the Jobs and Pods of the runtime proof.
PROOF_LABEL = "workload-identity/proof"
MANAGED_BY_LABEL = "app.kubernetes.io/managed-by"
MANAGED_BY_LABEL_VALUE = "workload_identity.aws"
MANAGED_BY_LABELS = {MANAGED_BY_LABEL: MANAGED_BY_LABEL_VALUE}
OWNER_LABEL = "workload-identity/owner"


def is_managed(labels: Mapping[str, str]) -> bool:
    return labels.get(MANAGED_BY_LABEL) == MANAGED_BY_LABEL_VALUE


def other_owner(labels: Mapping[str, str], owner: str | None) -> str:
    """Who else of those who use this collection has an object; "" when nobody has, or ``owner`` does."""
    label = labels.get(OWNER_LABEL, "")
    return label if is_managed(labels) and label != (owner or "") else ""


def fields_by_manager(item: Object) -> dict[str, list[str]]:
    """Return the fields that each field manager owns, such as "label team" or "imagePullSecrets"."""
    fields: dict[str, list[str]] = {}
    for entry in objects_of(member(item, "metadata").get("managedFields")):
        names = fields.setdefault(text_of(entry.get("manager")), [])
        names += [name for name in _field_names(mapping_of(entry.get("fieldsV1"))) if name not in names]
    return {manager: names for manager, names in fields.items() if names}


def other_managers(item: Object) -> dict[str, list[str]]:
    """Return the fields of every other field manager, except the cluster itself."""
    return {
        manager: names
        for manager, names in fields_by_manager(item).items()
        if manager != FIELD_MANAGER and manager not in _CLUSTER_MANAGERS
    }


def release_of(item: Object) -> Object | None:
    """Return the manifest whose server-side apply gives up our labels and annotations; None without any.

    The marks stay on a service account of ours, so that the next teardown still knows it. The UID prevents the apply
    from creating a service account that was deleted in the meantime.
    """
    metadata = member(item, "metadata")
    labels = texts_of(metadata.get("labels"))
    marks = {name: labels[name] for name in (MANAGED_BY_LABEL, OWNER_LABEL) if name in labels}
    if not is_managed(labels):
        marks = {}
    owned = fields_by_manager(item).get(FIELD_MANAGER, [])
    if set(owned) <= {f"label {name}" for name in marks}:
        return None
    identity = {name: text_of(metadata.get(name)) for name in ("namespace", "name", "uid")}
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {**identity, **({"labels": marks} if marks else {})},
    }


def _field_names(tree: Object) -> Iterator[str]:
    """Read FieldsV1 notation: "f:" begins the name of a field, and "." stands for the map itself."""
    metadata = member(tree, "f:metadata")
    for kind in ("label", "annotation"):
        yield from (f"{kind} {name}" for name in _steps(member(metadata, f"f:{kind}s")))
    yield from (name for name in _steps(metadata) if name not in ("labels", "annotations"))
    yield from (name for name in _steps(tree) if name != "metadata")


def _steps(tree: Object) -> list[str]:
    return [step[2:] for step in tree if step.startswith("f:")]
