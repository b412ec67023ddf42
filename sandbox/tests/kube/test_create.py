# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""Test create requests: the fields that the server sets, defaults and validation."""

from __future__ import annotations

from typing import Any

import pytest

ACCOUNTS = "/api/v1/namespaces/default/serviceaccounts"
SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.',"
    " and must start and end with an alphanumeric character (e.g. 'example.com', regex used for"
    r" validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)
LABEL = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must"
    " start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for"
    " validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')"
)
LABEL_VALUE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.',"
    " and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or"
    " '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
)
LABEL_KEY = (
    "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with"
    " an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for"
    " validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
)


def account(name: str, **meta: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, **meta}}


def test_create_returns_201_and_system_fields(kube: Any) -> None:
    code, obj = kube("POST", ACCOUNTS, account("my-service-account"))
    assert code == 201
    meta = obj["metadata"]
    assert (obj["kind"], obj["apiVersion"]) == ("ServiceAccount", "v1")
    assert meta["namespace"] == "default"
    assert meta["creationTimestamp"] == "2026-01-02T03:04:05Z"
    assert meta["uid"].startswith("uid-")
    assert meta["resourceVersion"].isdigit()
    assert "generation" not in meta
    assert kube("GET", f"{ACCOUNTS}/my-service-account") == (200, obj)


def test_deployment_has_generation_and_defaults(kube: Any) -> None:
    spec = {
        "selector": {"matchLabels": {"app": "a"}},
        "template": {
            "metadata": {"labels": {"app": "a"}},
            "spec": {"containers": [{"name": "c", "image": "nginx"}]},
        },
    }
    path = "/apis/apps/v1/namespaces/default/deployments"
    code, obj = kube("POST", path, {"metadata": {"name": "web"}, "spec": spec})
    assert (code, obj["metadata"]["generation"]) == (201, 1)
    assert obj["spec"]["replicas"] == 1
    assert obj["spec"]["strategy"]["type"] == "RollingUpdate"
    container = obj["spec"]["template"]["spec"]["containers"][0]
    assert container["imagePullPolicy"] == "Always"


def test_generate_name_appends_five_characters(kube: Any) -> None:
    names = {
        kube("POST", ACCOUNTS, {"metadata": {"generateName": "ci-"}})[1]["metadata"]["name"] for _ in range(5)
    }
    assert len(names) == 5
    assert {len(name) for name in names} == {len("ci-") + 5}


@pytest.mark.parametrize("namespace", ["default", "kube-node-lease", "kube-public", "kube-system"])
def test_new_cluster_has_system_namespaces(kube: Any, namespace: str) -> None:
    code, obj = kube("GET", f"/api/v1/namespaces/{namespace}")
    assert (code, obj["status"]) == (200, {"phase": "Active"})
    assert kube("GET", f"/api/v1/namespaces/{namespace}/serviceaccounts/default")[0] == 200


def test_new_namespace_has_service_account_and_root_ca(kube: Any) -> None:
    code, obj = kube("POST", "/api/v1/namespaces", account("team"))
    assert code == 201
    assert obj["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}
    assert obj["spec"] == {"finalizers": ["kubernetes"]}
    assert kube("GET", "/api/v1/namespaces/team/serviceaccounts/default")[0] == 200
    assert kube("GET", "/api/v1/namespaces/team/configmaps/kube-root-ca.crt")[0] == 200


def test_dry_run_returns_object_without_storing_it(kube: Any) -> None:
    initial_version = kube.store.version
    code, obj = kube("POST", ACCOUNTS, account("a"), query={"dryRun": "All"})
    assert (code, obj["metadata"]["name"]) == (201, "a")
    assert "resourceVersion" not in obj["metadata"]
    assert kube("GET", f"{ACCOUNTS}/a")[0] == 404
    assert kube.store.version == initial_version


def test_secret_encodes_string_data(kube: Any) -> None:
    body = {"metadata": {"name": "s"}, "stringData": {"key": "value"}}
    _, obj = kube("POST", "/api/v1/namespaces/default/secrets", body)
    assert (obj["data"], obj["type"]) == ({"key": "dmFsdWU="}, "Opaque")
    assert "stringData" not in obj


def test_job_has_selector_for_its_pods(kube: Any) -> None:
    pod = {"restartPolicy": "Never", "containers": [{"name": "c", "image": "busybox:1"}]}
    body = {"metadata": {"name": "j"}, "spec": {"template": {"spec": pod}}}
    _, obj = kube("POST", "/apis/batch/v1/namespaces/default/jobs", body)
    uid = obj["metadata"]["uid"]
    assert obj["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert obj["spec"]["template"]["metadata"]["labels"]["job-name"] == "j"
    assert obj["spec"]["template"]["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize(
    ("path", "body", "code", "reason", "message"),
    [
        pytest.param(
            ACCOUNTS,
            account("default"),
            409,
            "AlreadyExists",
            'serviceaccounts "default" already exists',
            id="exists",
        ),
        pytest.param(
            "/api/v1/namespaces/nowhere/serviceaccounts",
            account("a"),
            404,
            "NotFound",
            'namespaces "nowhere" not found',
            id="no-namespace",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", namespace="other"),
            400,
            "BadRequest",
            "the namespace of the provided object does not match the namespace sent on the request",
            id="other-namespace",
        ),
        pytest.param(
            ACCOUNTS,
            account("Bad_Name"),
            422,
            "Invalid",
            f'ServiceAccount "Bad_Name" is invalid: metadata.name: Invalid value: "Bad_Name": {SUBDOMAIN}',
            id="bad-name",
        ),
        pytest.param(
            ACCOUNTS,
            account("a" * 254),
            422,
            "Invalid",
            f'ServiceAccount "{"a" * 254}" is invalid: metadata.name: Invalid value: "{"a" * 254}":'
            " must be no more than 253 characters",
            id="long-name",
        ),
        pytest.param(
            ACCOUNTS,
            {"metadata": {}},
            422,
            "Invalid",
            'ServiceAccount "" is invalid: metadata.name: Required value: name or generateName is required',
            id="no-name",
        ),
        pytest.param(
            "/api/v1/namespaces",
            account("Team"),
            422,
            "Invalid",
            f'Namespace "Team" is invalid: metadata.name: Invalid value: "Team": {LABEL}',
            id="bad-namespace",
        ),
        pytest.param(
            "/api/v1/namespaces",
            account("a.b"),
            422,
            "Invalid",
            'Namespace "a.b" is invalid: metadata.name: Invalid value: "a.b": must not contain dots',
            id="dotted-namespace",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", labels={"app": "no spaces"}),
            422,
            "Invalid",
            f'ServiceAccount "a" is invalid: metadata.labels: Invalid value: "no spaces": {LABEL_VALUE}',
            id="bad-label-value",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", labels={"no spaces": "x"}),
            422,
            "Invalid",
            f'ServiceAccount "a" is invalid: metadata.labels: Invalid value: "no spaces": {LABEL_KEY}',
            id="bad-label-key",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", labels={"x": "-", "y": "y" * 64}),
            422,
            "Invalid",
            f'ServiceAccount "a" is invalid: [metadata.labels: Invalid value: "-": {LABEL_VALUE},'
            f' metadata.labels: Invalid value: "{"y" * 64}": must be no more than 63 characters]',
            id="two-bad-labels",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", labels={"app": 5}),
            400,
            "BadRequest",
            'ServiceAccount in version "v1" cannot be handled as a ServiceAccount: json: cannot unmarshal'
            " number into Go struct field ObjectMeta.metadata.labels of type string",
            id="number-as-label",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", annotations={"on": True}),
            400,
            "BadRequest",
            'ServiceAccount in version "v1" cannot be handled as a ServiceAccount: json: cannot unmarshal'
            " bool into Go struct field ObjectMeta.metadata.annotations of type string",
            id="boolean-as-annotation",
        ),
        pytest.param(
            "/api/v1/namespaces/default/secrets",
            {"metadata": {"name": "s"}, "data": {"k": "abc$"}},
            400,
            "BadRequest",
            'Secret in version "v1" cannot be handled as a Secret: illegal base64 data at input byte 3',
            id="bad-base64",
        ),
        pytest.param(
            ACCOUNTS,
            {"kind": "Pod", "apiVersion": "v1", "metadata": {"name": "a"}},
            400,
            "BadRequest",
            'ServiceAccount in version "v1" cannot be handled as a ServiceAccount: the object provided is'
            " v1, Kind=Pod, expected v1, Kind=ServiceAccount",
            id="other-kind",
        ),
        pytest.param(
            ACCOUNTS,
            account("a", resourceVersion="7"),
            500,
            "InternalError",
            "resourceVersion should not be set on objects to be created",
            id="with-resource-version",
        ),
        pytest.param(
            "/api/v1/namespaces/default/pods",
            {"metadata": {"name": "p"}, "spec": {}},
            422,
            "Invalid",
            'Pod "p" is invalid: spec.containers: Required value',
            id="pod-without-containers",
        ),
        pytest.param(
            "/apis/batch/v1/namespaces/default/jobs",
            {
                "metadata": {"name": "j"},
                "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}},
            },
            422,
            "Invalid",
            'Job.batch "j" is invalid: spec.template.spec.restartPolicy: Required value:'
            ' valid values: "OnFailure", "Never"',
            id="job-without-restart-policy",
        ),
        pytest.param(
            "/apis/batch/v1/namespaces/default/cronjobs",
            {
                "metadata": {"name": "c"},
                "spec": {
                    "schedule": "@hourly",
                    "jobTemplate": {
                        "spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i"}]}}}
                    },
                },
            },
            422,
            "Invalid",
            'CronJob.batch "c" is invalid: spec.jobTemplate.spec.template.spec.restartPolicy: Required value:'
            ' valid values: "OnFailure", "Never"',
            id="cron-job-without-restart-policy",
        ),
        pytest.param(
            "/apis/apps/v1/namespaces/default/daemonsets",
            {
                "metadata": {"name": "d"},
                "spec": {
                    "selector": {"matchLabels": {"app": "x"}},
                    "template": {
                        "metadata": {"labels": {"app": "y"}},
                        "spec": {"containers": [{"name": "c", "image": "i"}]},
                    },
                },
            },
            422,
            "Invalid",
            'DaemonSet.apps "d" is invalid: spec.template.metadata.labels: Invalid value: {"app":"y"}:'
            " `selector` does not match template `labels`",
            id="selector-of-another",
        ),
    ],
)
def test_invalid_objects_are_rejected(
    kube: Any, path: str, body: Any, code: int, reason: str, message: str
) -> None:
    status_code, status = kube("POST", path, body)
    assert (status_code, status["reason"], status["message"]) == (code, reason, message)
    assert (status["kind"], status["status"], status["code"]) == ("Status", "Failure", code)


def test_error_details_name_field(kube: Any) -> None:
    _, status = kube("POST", ACCOUNTS, account("Bad_Name"))
    assert status["details"] == {
        "name": "Bad_Name",
        "kind": "ServiceAccount",
        "causes": [
            {
                "reason": "FieldValueInvalid",
                "message": f'Invalid value: "Bad_Name": {SUBDOMAIN}',
                "field": "metadata.name",
            }
        ],
    }


def test_terminating_namespace_rejects_new_objects(kube: Any) -> None:
    kube("POST", "/api/v1/namespaces", account("team"))
    kube("DELETE", "/api/v1/namespaces/team")
    code, status = kube("POST", "/api/v1/namespaces/team/serviceaccounts", account("late"))
    assert (code, status["reason"]) == (403, "Forbidden")
    assert status["message"] == (
        'serviceaccounts "late" is forbidden: unable to create new content in namespace team because'
        " it is being terminated"
    )
    assert status["details"]["causes"] == [
        {
            "reason": "NamespaceTerminating",
            "message": "namespace team is being terminated",
            "field": "metadata.namespace",
        }
    ]


@pytest.mark.parametrize(
    ("validation", "code", "warnings"),
    [
        pytest.param("Ignore", 201, (), id="ignore"),
        pytest.param("Warn", 201, ('unknown field "colour"', 'unknown field "metadata.size"'), id="warn"),
        pytest.param("Strict", 400, (), id="strict"),
    ],
)
def test_unknown_fields_follow_field_validation(
    kube: Any, validation: str, code: int, warnings: tuple[str, ...]
) -> None:
    body = {"metadata": {"name": "a", "size": 1}, "colour": "red"}
    status_code, obj = kube("POST", ACCOUNTS, body, query={"fieldValidation": validation})
    assert (status_code, kube.warnings) == (code, warnings)
    assert "colour" not in obj
    if code == 400:
        assert obj["message"] == (
            'ServiceAccount in version "v1" cannot be handled as a ServiceAccount: strict decoding error:'
            ' unknown field "colour", unknown field "metadata.size"'
        )


def test_invalid_dry_run_value_is_rejected(kube: Any) -> None:
    code, status = kube("POST", ACCOUNTS, account("a"), query={"dryRun": "server"})
    assert code == 422
    assert status["message"] == (
        'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: "server":'
        ' supported values: "All"'
    )


@pytest.mark.parametrize(
    ("kind", "body", "reason"),
    [
        pytest.param(
            "deployments",
            {"spec": {"replicas": "2"}},
            "cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
            id="replicas-as-text",
        ),
        pytest.param(
            "deployments",
            {"spec": {"template": {"spec": {"containers": {"name": "c"}}}}},
            "cannot unmarshal object into Go struct field PodSpec.spec.template.spec.containers of type"
            " []v1.Container",
            id="containers-as-object",
        ),
        pytest.param(
            "deployments",
            {"spec": {"template": {"spec": {"containers": [{"env": [{"name": "A", "value": 1}]}]}}}},
            "cannot unmarshal number into Go struct field EnvVar.spec.template.spec.containers.env.value of"
            " type string",
            id="number-in-environment",
        ),
        pytest.param(
            "deployments",
            {"spec": []},
            "cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec",
            id="spec-as-list",
        ),
        pytest.param(
            "deployments",
            {"metadata": "x"},
            "cannot unmarshal string into Go struct field Deployment.metadata of type v1.ObjectMeta",
            id="metadata-as-text",
        ),
        pytest.param(
            "deployments", ["x"], "cannot unmarshal array into Go value of type v1.Deployment", id="list"
        ),
        pytest.param(
            "deployments", None, "cannot unmarshal null into Go value of type v1.Deployment", id="nothing"
        ),
    ],
)
def test_values_of_wrong_type_are_rejected(kube: Any, kind: str, body: Any, reason: str) -> None:
    code, status = kube("POST", f"/apis/apps/v1/namespaces/default/{kind}", body)
    prefix = 'Deployment in version "v1" cannot be handled as a Deployment: json: '
    assert (code, status["message"]) == (400, prefix + reason)
