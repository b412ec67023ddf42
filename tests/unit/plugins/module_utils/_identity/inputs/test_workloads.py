# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.form import (
    permission_spec,
    policy_spec,
    role_spec,
    workload_spec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER,
    document,
    policy,
    workload,
)

BOUNDARY = "arn:aws:iam::111122223333:policy/team/edge"
ROLE = "arn:aws:iam::111122223333:role/team/my-role"
TARGET = "arn:aws-cn:iam::444455556666:role/target"
SESSION = document("s3:GetObject")
TRUST = {
    "Version": "2012-10-17",
    "Statement": {
        "Effect": "Allow",
        "Principal": {"Service": "pods.eks.amazonaws.com"},
        "Action": ["sts:AssumeRole", "sts:TagSession"],
    },
}
PLACE = "workloads[0] (default/app)"


def find_problems(raw: object, state: str = "present", common: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(InputError) as caught:
        parse_workloads(raw, CLUSTER, state, Defaults(common or {}))
    return list(caught.value.problems)


# For each key of the form: a valid value, and the workload, role, policy or permission to which the test adds the key.
KEYS: dict[str, dict[str, tuple[Any, dict[str, Any]]]] = {
    "workload": {
        "namespace": ("default", {"service_account": "app", "role": {"name": "r"}}),
        "service_account": ("app", {"namespace": "default", "role": {"name": "r"}}),
        "namespace_selector": ("team=payments", workload()),
        "service_account_selector": ("team=payments", workload()),
        "role": ({"name": "r"}, {"namespace": "default", "service_account": "app"}),
        "policies": ([policy("more")], workload(policies=None)),
        "target_role_arn": (TARGET, workload()),
        "disable_session_tags": (True, workload()),
        "session_policy": (SESSION, workload(disable_session_tags=True)),
        "tags": ({"a": "b"}, workload()),
        "required_permissions": ([{"action": "s3:GetObject"}], workload()),
        "create_service_account": (False, workload()),
        "create_namespace": (True, workload()),
        "service_account_labels": ({"a": "b"}, workload()),
        "service_account_annotations": ({"a": "b"}, workload()),
    },
    "role": {
        "name": ("r", {}),
        "arn": (ROLE, {}),
        "path": ("/team/", {"name": "r"}),
        "description": ("d", {"name": "r"}),
        "permissions_boundary": (BOUNDARY, {"name": "r"}),
        "max_session_duration": (7200, {"name": "r"}),
        "tags": ({"a": "b"}, {"name": "r"}),
        "trust_scope": ("anyone_in_account", {"name": "r"}),
        "trust_policy": (TRUST, {"name": "r"}),
        "extend_trust": (True, {"arn": ROLE}),
    },
    "policies": {
        "name": ("p", {"document": SESSION}),
        "document": (SESSION, {"name": "p"}),
        "document_file": ("p.json", {"name": "p"}),
        "preset": ("external-dns", {}),
        "with": ({"hosted_zone_ids": ["Z1"]}, {"preset": "external-dns"}),
        "path": ("/team/", policy()),
        "description": ("d", policy()),
        "tags": ({"a": "b"}, policy()),
        "arn": ("arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess", {}),
    },
    "required_permissions": {
        "action": ("s3:GetObject", {}),
        "resource": ("arn:aws:s3:::b/*", {"action": "s3:GetObject"}),
        "context": ({"aws:SourceIp": "10.0.0.1"}, {"action": "s3:GetObject"}),
    },
}
FORMS = {
    "workload": workload_spec(),
    "role": role_spec(),
    "policies": policy_spec(),
    "required_permissions": permission_spec(),
}


def parse_one(raw: dict[str, Any]) -> object:
    """Return the workload, or the problems if it is invalid: selectors, for example, are valid only with patterns."""
    try:
        return parse_workloads([raw], CLUSTER)
    except InputError as error:
        return error.problems


@pytest.mark.parametrize(("part", "name"), [(part, name) for part, form in FORMS.items() for name in form])
def test_parser_reads_every_key_of_the_form(part: str, name: str) -> None:
    """Check that each key changes the parsed workload, because a key that only the form accepts would be ignored."""
    assert name in KEYS[part], f"{name} of inputs/form.py has no value in KEYS"
    value, rest = KEYS[part][name]
    with_key, without_key = {**rest, name: value}, rest
    if part != "workload":
        with_key, without_key = (
            workload(**{part: entry if part == "role" else [entry]}) for entry in (with_key, without_key)
        )
    assert parse_one(with_key) != parse_one(without_key), (
        f"inputs/workloads.py does not read {name} of {part}"
    )


def long_document(size: int) -> dict[str, Any]:
    """Return a policy document of about ``size`` characters, not counting white space."""
    statement = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
    document = {"Version": "2012-10-17", "Statement": [statement]}
    padding = size - len(json.dumps(document, separators=(",", ":"))) + 1
    statement["Resource"] = "arn:aws:s3:::".ljust(padding + 1, "x")
    return document


@pytest.mark.parametrize("value", [True, "true", "True", "yes", "on", "1", "TRUE"])
def test_templated_true_is_parsed(value: object) -> None:
    (found,) = parse_workloads([workload(disable_session_tags=value)], CLUSTER)
    assert found.association.disable_session_tags is True


@pytest.mark.parametrize("value", [False, "false", "False", "no", "off", "0"])
def test_templated_false_is_parsed(value: object) -> None:
    (found,) = parse_workloads([workload(disable_session_tags=value)], CLUSTER)
    assert found.association.disable_session_tags is False


def test_path_and_boundary_of_the_run_are_defaults() -> None:
    boundary, own = "arn:aws:iam::111122223333:policy/limit", "arn:aws:iam::111122223333:policy/own"
    policies = [{"name": "p", "document": SESSION}, {"name": "q", "document": SESSION, "path": "/own/"}]
    roles: list[dict[str, Any]] = [
        {"name": "r"},
        {"name": "s", "path": "/own/", "permissions_boundary": own},
        {"name": "t", "permissions_boundary": ""},
        {"arn": "arn:aws:iam::111122223333:role/u"},
    ]
    raw = [workload(f"a{index}", role=role, policies=policies) for index, role in enumerate(roles)]
    defaults = Defaults(path="/pod-identity/", permissions_boundary=boundary)
    parsed = parse_workloads(raw, CLUSTER, defaults=defaults)
    assert [(entry.role.path, entry.role.permissions_boundary) for entry in parsed if entry.role] == [
        ("/pod-identity/", boundary),
        ("/own/", own),
        ("/pod-identity/", ""),
        ("/", None),
    ]
    assert [policy.path for policy in parsed[0].policies] == ["/pod-identity/", "/own/"]


@pytest.mark.parametrize(
    ("field", "default", "written", "wish"),
    [
        pytest.param("create_service_account", True, None, True, id="option of the run is the default"),
        pytest.param("create_service_account", False, None, False, id="false in the run is the default"),
        pytest.param("create_service_account", True, "false", False, id="text that is false"),
        pytest.param("create_service_account", False, "on", True, id="text that is true"),
        pytest.param("create_namespace", False, None, False, id="namespaces"),
        pytest.param("create_namespace", True, None, True, id="namespaces by default"),
        pytest.param("create_namespace", True, "No", False, id="create_namespace is false for the workload"),
    ],
)
def test_workload_option_overrides_the_run_option(
    field: str, default: bool, written: object, wish: bool
) -> None:
    defaults = Defaults(create_service_accounts=default, create_namespaces=default)
    (found,) = parse_workloads([workload(**{field: written})], CLUSTER, defaults=defaults)
    account = found.service_account
    assert {"create_service_account": account.create, "create_namespace": account.create_namespace} == {
        "create_service_account": default,
        "create_namespace": default,
        field: wish,
    }


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        pytest.param("10.0.0.1", "10.0.0.1", id="text"),
        pytest.param(True, True, id="boolean"),
        pytest.param(None, None, id="null"),
        pytest.param(1.5, 1.5, id="number"),
        pytest.param(("a", 2), ["a", 2], id="tuple"),
        pytest.param(date(2026, 1, 31), "2026-01-31", id="date"),
    ],
)
def test_context_of_a_permission_has_json_values(value: object, parsed: object) -> None:
    permissions = [{"action": "s3:GetObject", "context": {"aws:key": value}}]
    (found,) = parse_workloads([workload(required_permissions=permissions)], CLUSTER)
    assert found.required_permissions[0].context == {"aws:key": parsed}


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (
            {"resource": ""},
            "resource '' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or '*' for an action that has "
            "no resource.",
        ),
        (
            {"resource": None},
            "resource '' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or '*' for an action that has "
            "no resource.",
        ),
        (
            {"resource": "my-bucket"},
            "resource 'my-bucket' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/my-key, or '*' for an action "
            "that has no resource.",
        ),
        (
            {"context": {"aws:key": []}},
            "context aws:key is an empty list. Set a value, or null if the request does not have the key.",
        ),
        (
            {"context": {"aws:key": "a", "AWS:Key": "b"}},
            "context has aws:key and AWS:Key, which are the same condition key. Remove one of them.",
        ),
        ({"context": {"": "a"}}, "context has an empty key. Write a condition key, such as aws:SourceVpc."),
    ],
)
def test_invalid_permission_is_reported(entry: dict[str, Any], message: str) -> None:
    permissions = [{"action": "s3:GetObject", **entry}]
    assert find_problems([workload(required_permissions=permissions)]) == [
        f"{PLACE} required_permissions[0]: {message}"
    ]


@pytest.mark.parametrize(
    ("changes", "problems"),
    [
        pytest.param(
            {"rolle": {"name": "x"}},
            [f"{PLACE}: unknown key 'rolle'; did you mean 'role'?"],
            id="unknown key near a known one",
        ),
        pytest.param(
            {"role_arn": "arn:aws:iam::111122223333:role/x"},
            [f"{PLACE}: unknown key 'role_arn'; did you mean 'role.arn'?"],
            id="key of the role in the workload",
        ),
        pytest.param(
            {"zzz": 1},
            [f"{PLACE}: unknown key 'zzz'; the valid keys are {', '.join(workload_spec())}."],
            id="unknown key without a similar one",
        ),
        pytest.param({"namespace": None}, ["workloads[0] (?/app): namespace is missing."], id="no namespace"),
        pytest.param(
            {"service_account": None},
            ["workloads[0] (default/?): service_account is missing."],
            id="no service account",
        ),
        pytest.param(
            {"namespace": "My_Space"},
            [
                "workloads[0] (My_Space/app): namespace must be a Kubernetes namespace (lower case letters, "
                "digits and -, at most 63 characters), got 'My_Space'."
            ],
            id="invalid namespace",
        ),
        pytest.param(
            {"namespace": "a" * 64},
            [
                f"workloads[0] ({'a' * 64}/app): namespace must be a Kubernetes namespace (lower case letters, "
                f"digits and -, at most 63 characters), got '{'a' * 64}'."
            ],
            id="long namespace",
        ),
        pytest.param(
            {"service_account": 5},
            [
                "workloads[0] (default/5): service_account must be the name of a Kubernetes service account "
                "(lower case letters, digits, - and .), got 5."
            ],
            id="service account is not text",
        ),
        pytest.param(
            {"service_account": "system:node"},
            [
                "workloads[0] (default/system:node): service_account must be the name of a Kubernetes service "
                "account (lower case letters, digits, - and .), got 'system:node'."
            ],
            id="invalid service account",
        ),
        pytest.param(
            {"service_account": "a" * 254},
            [
                f"workloads[0] (default/{'a' * 254}): service_account has 254 characters; at most 253 are allowed."
            ],
            id="long service account",
        ),
        pytest.param(
            {"service_account_labels": {"bad key!!": "x", "team": "team a", "size": 5, "none": ""}},
            [
                f"{PLACE}: service_account_labels: 'bad key!!' is not a valid label key (1 to 63 "
                "letters, digits, -, _ and ., with a letter or digit at both ends; optionally preceded by a "
                "lower-case DNS name and /).",
                f"{PLACE}: service_account_labels: the value of 'team' must be a Kubernetes label value (at "
                "most 63 letters, digits, -, _ and ., with a letter or digit at both ends, or nothing), got 'team a'.",
                f"{PLACE}: service_account_labels: the value of 'size' must be text, got 5; quote it.",
            ],
            id="invalid labels",
        ),
        pytest.param(
            {"service_account_annotations": {"Example.com/note": "any text, really", "a/b/c": "x"}},
            [
                f"{PLACE}: service_account_annotations: 'a/b/c' is not a valid annotation key (1 to "
                "63 letters, digits, -, _ and ., with a letter or digit at both ends; optionally preceded by a "
                "lower-case DNS name and /)."
            ],
            id="invalid annotations",
        ),
        pytest.param(
            {"role": None},
            [
                f"{PLACE}: role is missing; set role: {{name: …}} to create one, or role: {{arn: …}} to use an existing one."
            ],
            id="no role",
        ),
        pytest.param(
            {"role": "my-role"}, [f"{PLACE}: role must be a mapping, got 'my-role'."], id="role as text"
        ),
        pytest.param({"role": {}}, [f"{PLACE} role: name or arn is missing."], id="empty role"),
        pytest.param(
            {"role": {"name": "my role"}},
            [
                f"{PLACE} role: name must be a role name (letters, digits and +=,.@_-, at most 64 characters), got 'my role'."
            ],
            id="invalid role name",
        ),
        pytest.param(
            {"role": {"name": "my-role", "pth": "/a/"}},
            [f"{PLACE} role: unknown key 'pth'; did you mean 'path'?"],
            id="unknown key of a role",
        ),
        pytest.param(
            {"role": {"name": "my-role", "path": "team"}},
            [f"{PLACE} role: path must be a path that starts and ends with /, got 'team'."],
            id="invalid path",
        ),
        pytest.param(
            {"role": {"name": "my-role", "description": "x" * 1001}},
            [f"{PLACE} role: description has 1001 characters; at most 1000 are allowed."],
            id="long description",
        ),
        pytest.param(
            {"role": {"name": "my-role", "permissions_boundary": "edge"}},
            [f"{PLACE} role: permissions_boundary must be the ARN of a managed policy, got 'edge'."],
            id="boundary is not an ARN",
        ),
        pytest.param(
            {"role": {"name": "my-role", "max_session_duration": 60}},
            [f"{PLACE} role: max_session_duration must be a number of seconds from 3600 to 43200, got 60."],
            id="short session",
        ),
        pytest.param(
            {"role": {"name": "my-role", "max_session_duration": True}},
            [f"{PLACE} role: max_session_duration must be a number of seconds from 3600 to 43200, got True."],
            id="session duration is a boolean",
        ),
        pytest.param(
            {"role": {"name": "my-role", "trust_scope": "pod"}},
            [
                f"{PLACE} role: trust_scope must be one of workload, namespace, cluster, account, anyone_in_account, got 'pod'."
            ],
            id="unknown trust scope",
        ),
        pytest.param(
            {"role": {"name": "my-role", "trust_scope": ["cluster"]}},
            [
                f"{PLACE} role: trust_scope must be one of workload, namespace, cluster, account, anyone_in_account, "
                "got ['cluster']."
            ],
            id="trust scope as a list",
        ),
        pytest.param(
            {"role": {"name": "my-role", "trust_scope": "cluster", "trust_policy": TRUST}},
            [f"{PLACE} role: trust_policy and trust_scope are mutually exclusive."],
            id="trust scope and trust policy",
        ),
        pytest.param(
            {"role": {"name": "my-role", "trust_policy": document("s3:GetObject")}},
            [
                f"{PLACE} role: trust_policy is not a valid policy: Statement 1: Resource is not allowed in a "
                "trust policy (IAM: Has prohibited field Resource); remove it"
            ],
            id="permissions as a trust policy",
        ),
        pytest.param(
            {"role": {"arn": "my-role"}},
            [
                f"{PLACE} role: arn must be the ARN of an IAM role (arn:aws:iam::111122223333:role/name), got 'my-role'."
            ],
            id="existing role without an ARN",
        ),
        pytest.param(
            {"role": {"arn": BOUNDARY}},
            [
                f"{PLACE} role: arn must be the ARN of an IAM role (arn:aws:iam::111122223333:role/name), got '{BOUNDARY}'."
            ],
            id="ARN of a policy as role",
        ),
        pytest.param(
            {"role": {"arn": ROLE, "name": "other"}},
            [f"{PLACE} role: name 'other' is not the name in arn '{ROLE}'; leave name out."],
            id="name differs from the ARN",
        ),
        pytest.param(
            {"role": {"arn": ROLE, "description": "x"}},
            [
                f"{PLACE} role: description cannot be set for a role with arn; to have the role managed, set name instead of arn."
            ],
            id="description of an existing role",
        ),
        pytest.param(
            {"role": {"name": "r", "description": "café 日本"}},
            [
                f"{PLACE} role: description must be text with only the characters that IAM accepts (Latin-1 "
                "letters, digits, punctuation and white space), got 'café 日本'."
            ],
            id="invalid description",
        ),
        pytest.param(
            {"role": {"name": "r", "tags": {"a;b": "c", "Team": "x", "team": "y"}}},
            [
                f"{PLACE} role: tags: key and value of tag 'a;b' may contain only the characters that IAM "
                "accepts: letters, digits, spaces and _.:/=+-@.",
                f"{PLACE} role: tags: tags 'Team' and 'team' differ only in letter case, and IAM treats them as the same.",
            ],
            id="invalid tags",
        ),
        pytest.param(
            {"policies": [{"name": "p", "document": long_document(6200)}]},
            [
                f"{PLACE} policies[0]: document is not a valid policy: the document has 6,201 characters without white "
                "space; a managed policy may have 6,144. Split it into several policies."
            ],
            id="policy that is too long",
        ),
        pytest.param(
            {"disable_session_tags": True, "session_policy": long_document(2100), "role": {"arn": ROLE}},
            [
                f"{PLACE}: session_policy is not a valid policy: the document has 2,101 characters without white space; a "
                "session policy may have 2,048. Shorten it."
            ],
            id="session policy that is too long",
        ),
        pytest.param(
            {"service_account_annotations": {"a": "x" * 262144}},
            [
                f"{PLACE}: service_account_annotations have 262145 bytes together; Kubernetes accepts at most 262144."
            ],
            id="annotations that are too large",
        ),
        pytest.param(
            {"role": {"name": "r", "extend_trust": True}},
            [
                f"{PLACE} role: extend_trust is for a role with arn; the trust policy of a role with name is "
                "managed as a whole. Leave extend_trust out, or set arn instead of name."
            ],
            id="extend_trust with a role name",
        ),
        pytest.param(
            {"role": {"arn": ROLE, "extend_trust": "maybe"}},
            [f"{PLACE} role: extend_trust must be true or false, got 'maybe'."],
            id="invalid boolean",
        ),
        pytest.param(
            {"policies": "my-policy"},
            [f"{PLACE}: policies must be a list, got 'my-policy'."],
            id="policies as text",
        ),
        pytest.param(
            {"policies": ["my-policy"]},
            [f"{PLACE} policies[0]: must be a mapping with name and document, with preset, or with arn."],
            id="policy as text",
        ),
        pytest.param(
            {"policies": [{"name": "my-policy"}]},
            [f"{PLACE} policies[0]: document is missing; set name and document, preset, or arn."],
            id="policy without document",
        ),
        pytest.param(
            {"policies": [{"document": SESSION}]},
            [f"{PLACE} policies[0]: name is missing; set name and document, preset, or arn."],
            id="policy without name",
        ),
        pytest.param(
            {"policies": [policy("a/b")]},
            [
                f"{PLACE} policies[0]: name must be a policy name (letters, digits and +=,.@_-, at most 128 "
                "characters), got 'a/b'."
            ],
            id="invalid policy name",
        ),
        pytest.param(
            {"policies": [policy(), {"arn": ROLE}]},
            [
                f"{PLACE} policies[1]: arn must be the ARN of a managed policy (arn:aws:iam::…:policy/name), got '{ROLE}'."
            ],
            id="ARN of a role as policy",
        ),
        pytest.param(
            {"policies": [{"arn": BOUNDARY, "name": "edge"}]},
            [f"{PLACE} policies[0]: name cannot be set together with arn."],
            id="policy by name and ARN",
        ),
        pytest.param(
            {"policies": [{"name": "p", "docment": SESSION}]},
            [
                f"{PLACE} policies[0]: unknown key 'docment'; did you mean 'document'?",
                f"{PLACE} policies[0]: document is missing; set name and document, preset, or arn.",
            ],
            id="misspelt document",
        ),
        pytest.param(
            {"policies": [{"name": "p", "document": '{"Version" "2012-10-17"}'}]},
            [
                f"{PLACE} policies[0]: document is not a valid policy: not JSON: Expecting ':' delimiter at line 1 column 12"
            ],
            id="document is not JSON",
        ),
        pytest.param(
            {
                "policies": [
                    {"name": "p", "document": {"Version": "2012-10-17", "Statement": [{"Effect": "Permit"}]}}
                ]
            },
            [
                f"{PLACE} policies[0]: document is not a valid policy: Statement 1: Effect must be Allow or Deny, got 'Permit'"
            ],
            id="invalid effect",
        ),
        pytest.param(
            {"policies": [{"name": "p", "document": document("s3*:GetObject", "s3:Get", "iam :List")}]},
            [
                f"{PLACE} policies[0]: document is not a valid policy: Statement 1: the service prefix of the action "
                f"'{action}' may only have letters, digits and hyphens. Write "
                "the action with its full service prefix, such as s3:GetObject; * and ? are allowed after the colon."
                for action in ("s3*:GetObject", "iam :List")
            ],
            id="document that IAM rejects",
        ),
        pytest.param(
            {
                "policies": [
                    {
                        "name": "p",
                        "document": {key: v for key, v in document("s3:*").items() if key != "Version"},
                    }
                ]
            },
            [
                f"{PLACE} policies[0]: document is not a valid policy: the document has no version, and a "
                'managed policy must have 2012-10-17. Set "Version": "2012-10-17".'
            ],
            id="document of an old version",
        ),
        pytest.param(
            {"target_role_arn": "lake"},
            [f"{PLACE}: target_role_arn must be the ARN of an IAM role, or '' to remove it, got 'lake'."],
            id="target role is not an ARN",
        ),
        pytest.param(
            {"disable_session_tags": 2},
            [f"{PLACE}: disable_session_tags must be true or false, got 2."],
            id="number instead of a boolean",
        ),
        pytest.param(
            {"session_policy": SESSION},
            [
                f"{PLACE}: session_policy needs disable_session_tags: true (EKS accepts a session policy only "
                "without session tags)."
            ],
            id="session policy with session tags",
        ),
        pytest.param(
            {"session_policy": SESSION, "disable_session_tags": "perhaps"},
            [
                f"{PLACE}: disable_session_tags must be true or false, got 'perhaps'.",
                f"{PLACE}: session_policy needs disable_session_tags: true (EKS accepts a session policy only "
                "without session tags).",
            ],
            id="session policy with an invalid boolean",
        ),
        pytest.param(
            {"session_policy": {"Statement": []}, "disable_session_tags": True},
            [
                f"{PLACE}: session_policy is not a valid policy: Statement is empty: a policy needs at least one statement"
            ],
            id="empty session policy",
        ),
        pytest.param(
            {"disable_session_tags": True, "role": {"name": "my-role", "trust_scope": "workload"}},
            [
                f"{PLACE}: role.trust_scope 'workload' needs session tags, but disable_session_tags is true. "
                "The aws:RequestTag conditions of the trust policy would never match. Use trust_scope 'account', or leave "
                "disable_session_tags out."
            ],
            id="trust scope that needs session tags",
        ),
        pytest.param({"tags": ["a"]}, [f"{PLACE}: tags must be a mapping, got ['a']."], id="tags as a list"),
        pytest.param(
            {"tags": {"a": None}},
            [f"{PLACE}: tags: the value of tag 'a' must be text."],
            id="tag without value",
        ),
        pytest.param(
            {"tags": {"AWS:x": "y"}},
            [f"{PLACE}: tags: tag 'AWS:x' uses the prefix aws:, which AWS reserves."],
            id="reserved tag",
        ),
        pytest.param(
            {"tags": {"a": "x" * 257}},
            [
                f"{PLACE}: tags: tag 'a' has an invalid length; a key has 1 to 128 characters, a value at most 256."
            ],
            id="tag value too long",
        ),
        pytest.param(
            {"tags": {"workload-identity/managed-by": "me"}},
            [f"{PLACE}: tags: tag 'workload-identity/managed-by' is set by this collection; leave it out."],
            id="ownership tag",
        ),
        pytest.param(
            {"tags": {f"t{number}": "x" for number in range(49)}},
            [f"{PLACE}: tags has 49 tags; 47 are allowed in addition to the ownership tags."],
            id="too many tags",
        ),
        pytest.param(
            {"required_permissions": ["s3:GetObject"]},
            [f"{PLACE} required_permissions[0]: must be a mapping with action and resource."],
            id="permission as text",
        ),
        pytest.param(
            {"required_permissions": [{"resource": "*"}]},
            [f"{PLACE} required_permissions[0]: action is missing."],
            id="permission without action",
        ),
        pytest.param(
            {"required_permissions": [{"action": "read"}]},
            [f"{PLACE} required_permissions[0]: action must be service:Action, got 'read'."],
            id="permission with an invalid action",
        ),
        pytest.param(
            {"service_account_annotations": {"a": 1}},
            [f"{PLACE}: service_account_annotations: the value of 'a' must be text, got 1; quote it."],
            id="annotation is not text",
        ),
        pytest.param(
            {"create_namespace": "never"},
            [f"{PLACE}: create_namespace must be true or false, got 'never'."],
            id="invalid create_namespace",
        ),
    ],
)
def test_invalid_input_fails_with_place_and_remedy(changes: dict[str, Any], problems: list[str]) -> None:
    assert find_problems([{**workload(), **changes}]) == problems


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        pytest.param("x", "workloads: must be a list of mappings, got text.", id="text"),
        pytest.param({"a": 1}, "workloads: must be a list of mappings, got a mapping.", id="mapping"),
        pytest.param(None, "workloads: must be a list of mappings, got null.", id="null"),
        pytest.param([["x"]], "workloads[0]: must be a mapping, got a list.", id="list in a list"),
    ],
)
def test_rejects_workloads_of_another_type(raw: object, problem: str) -> None:
    assert find_problems(raw) == [problem]


def test_message_about_many_errors_is_short() -> None:
    workloads = [{"namespace": "n" * 100_000, f"{'k' * 100_000}": 1, "service_account": ["s"] * 100_000}]
    with pytest.raises(InputError) as caught:
        parse_workloads(workloads, "my-cluster")
    assert max(map(len, caught.value.problems)) < 1_500


def test_counts_a_thousand_unknown_keys() -> None:
    workload = {f"x{number}": 1 for number in range(1_000)}
    with pytest.raises(InputError) as caught:
        parse_workloads([workload], "my-cluster")
    assert sum("unknown key" in problem for problem in caught.value.problems) == 11
    assert "workloads[0] (?/?): 990 more unknown keys." in caught.value.problems
