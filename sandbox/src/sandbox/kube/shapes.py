# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The types of the fields of each kind, for the check of request bodies.

The top-level fields of each kind in KINDS and the fields of metadata are complete, so that unknown fields are detected. At
deeper levels, only the fields listed here are checked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Struct:
    """The type of a JSON object: the name of the Go struct, for messages, and the types of its fields."""

    name: str
    fields: Mapping[str, Shape]


@dataclass(frozen=True, slots=True)
class ListOf:
    """The type of a list, with the type of its items."""

    item: Shape


# A scalar type is the name of the Go type. Values of the type "any" are not checked.
Shape = str | Struct | ListOf
STRINGS = "map[string]string"


def _named(name: str, **fields: Shape) -> Struct:
    return Struct(name, {"name": "string", **fields})


_LIST_OF_STRINGS = ListOf("string")
OBJECT_META = Struct(
    "ObjectMeta",
    {
        "annotations": STRINGS,
        "creationTimestamp": "string",
        "deletionGracePeriodSeconds": "int64",
        "deletionTimestamp": "string",
        "finalizers": _LIST_OF_STRINGS,
        "generateName": "string",
        "generation": "int64",
        "labels": STRINGS,
        "managedFields": ListOf(Struct("ManagedFieldsEntry", {"manager": "string"})),
        "name": "string",
        "namespace": "string",
        "ownerReferences": ListOf(_named("OwnerReference", kind="string", uid="string")),
        "resourceVersion": "string",
        "selfLink": "string",
        "uid": "string",
    },
)
_CONTAINER = _named(
    "Container",
    args=_LIST_OF_STRINGS,
    command=_LIST_OF_STRINGS,
    env=ListOf(_named("EnvVar", value="string", valueFrom=Struct("EnvVarSource", {}))),
    image="string",
    imagePullPolicy="string",
    ports=ListOf(_named("ContainerPort", containerPort="int32", protocol="string")),
    resources=Struct("ResourceRequirements", {}),
    volumeMounts=ListOf(_named("VolumeMount", mountPath="string", readOnly="bool")),
)
_POD_SPEC = Struct(
    "PodSpec",
    {
        "automountServiceAccountToken": "bool",
        "containers": ListOf(_CONTAINER),
        "hostNetwork": "bool",
        "imagePullSecrets": ListOf(_named("LocalObjectReference")),
        "initContainers": ListOf(_CONTAINER),
        "nodeName": "string",
        "nodeSelector": STRINGS,
        "restartPolicy": "string",
        "serviceAccount": "string",
        "serviceAccountName": "string",
        "tolerations": ListOf(Struct("Toleration", {"key": "string"})),
        "volumes": ListOf(_named("Volume")),
    },
)
_TEMPLATE = Struct("PodTemplateSpec", {"metadata": OBJECT_META, "spec": _POD_SPEC})
_SELECTOR = Struct(
    "LabelSelector",
    {"matchExpressions": ListOf(Struct("LabelSelectorRequirement", {})), "matchLabels": STRINGS},
)


def _workload(kind: str, **fields: Shape) -> Struct:
    spec = {"selector": _SELECTOR, "template": _TEMPLATE, **fields}
    return _kind(kind, spec=Struct(f"{kind}Spec", spec), status="any")


def _kind(kind: str, **fields: Shape) -> Struct:
    return Struct(kind, {"metadata": OBJECT_META, **fields})


_RULES = ListOf(
    Struct(
        "PolicyRule",
        {
            "apiGroups": _LIST_OF_STRINGS,
            "nonResourceURLs": _LIST_OF_STRINGS,
            "resourceNames": _LIST_OF_STRINGS,
            "resources": _LIST_OF_STRINGS,
            "verbs": _LIST_OF_STRINGS,
        },
    )
)
_SUBJECTS = ListOf(_named("Subject", apiGroup="string", kind="string", namespace="string"))
_ROLE_REFERENCE = _named("RoleRef", apiGroup="string", kind="string")
_STRATEGY = Struct("RolloutStrategy", {"type": "string"})

KINDS: Mapping[str, Struct] = {
    "ClusterRole": _kind("ClusterRole", aggregationRule="any", rules=_RULES),
    "ClusterRoleBinding": _kind("ClusterRoleBinding", roleRef=_ROLE_REFERENCE, subjects=_SUBJECTS),
    "ConfigMap": _kind("ConfigMap", binaryData=STRINGS, data=STRINGS, immutable="bool"),
    "CronJob": _kind(
        "CronJob",
        spec=Struct(
            "CronJobSpec",
            {
                "jobTemplate": _kind("JobTemplateSpec", spec=Struct("JobSpec", {"template": _TEMPLATE})),
                "schedule": "string",
                "suspend": "bool",
            },
        ),
        status="any",
    ),
    "DaemonSet": _workload("DaemonSet", updateStrategy=_STRATEGY),
    "Deployment": _workload("Deployment", replicas="int32", strategy=_STRATEGY),
    "Job": _workload("Job", backoffLimit="int32", completions="int32", parallelism="int32"),
    "MutatingWebhookConfiguration": _kind("MutatingWebhookConfiguration", webhooks=ListOf(_named("Webhook"))),
    "Namespace": _kind(
        "Namespace", spec=Struct("NamespaceSpec", {"finalizers": _LIST_OF_STRINGS}), status="any"
    ),
    "Node": _kind("Node", spec=Struct("NodeSpec", {"unschedulable": "bool"}), status="any"),
    "Pod": _kind("Pod", spec=_POD_SPEC, status="any"),
    "ReplicaSet": _workload("ReplicaSet", replicas="int32"),
    "Role": _kind("Role", rules=_RULES),
    "RoleBinding": _kind("RoleBinding", roleRef=_ROLE_REFERENCE, subjects=_SUBJECTS),
    "Secret": _kind("Secret", data=STRINGS, immutable="bool", stringData=STRINGS, type="string"),
    "ServiceAccount": _kind(
        "ServiceAccount",
        automountServiceAccountToken="bool",
        imagePullSecrets=ListOf(_named("LocalObjectReference")),
        secrets=ListOf(_named("ObjectReference", namespace="string", uid="string")),
    ),
    "StatefulSet": _workload("StatefulSet", replicas="int32", updateStrategy=_STRATEGY),
    "ValidatingAdmissionPolicy": _kind("ValidatingAdmissionPolicy", spec="any", status="any"),
    "ValidatingAdmissionPolicyBinding": _kind("ValidatingAdmissionPolicyBinding", spec="any"),
}
