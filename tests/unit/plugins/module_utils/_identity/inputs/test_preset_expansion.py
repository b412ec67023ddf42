# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test presets in the policies of a workload: their documents, their names, and a message for each invalid parameter."""

from __future__ import annotations

import json
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.accounts import (
    validate_accounts,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion import (
    PresetExpander,
    RunValues,
    find_partition,
    shorten_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.presets import (
    Preset,
    load_preset,
    parse_preset,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.workloads import (
    Defaults,
    parse_workloads,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.cluster import Cluster
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.desired import (
    Desired,
    Workload,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.names import POLICY_NAME
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import PolicySpec

HEAD = {
    "title": "My Product",
    "purpose": "Send messages.",
    "version": 3,
    "checked": "2026-11-29",
    "source": "https://example.com/policy",
    "source_version": "v1.2.0",
    "partitions": ["aws", "aws-cn"],
}
GRANT = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
QUEUE = "arn:aws:sqs:us-west-2:111122223333:jobs"
PRESETS: dict[str, dict[str, Any]] = {
    "queue-writer": {
        **HEAD,
        "parameters": {
            "queue_arns": {"type": "arns", "service": "sqs", "description": "ARNs of the queues."},
            "topic_arn": {"type": "arn", "service": "sns", "default": "", "description": "ARN of a topic."},
            "key_arns": {"type": "arns", "service": "kms", "default": [], "description": "ARNs of keys."},
        },
        "policies": [
            {
                "suffix": "",
                "statements": [
                    {"Effect": "Allow", "Action": ["sqs:SendMessage"], "Resource": ["<queue_arns>"]},
                    {
                        "when": "topic_arn",
                        "Effect": "Allow",
                        "Action": "sns:Publish",
                        "Resource": "<topic_arn>",
                    },
                    {
                        "when": "key_arns",
                        "Effect": "Allow",
                        "Action": ["kms:Decrypt"],
                        "Resource": ["<key_arns>"],
                        "Condition": {"StringEquals": {"kms:ViaService": "sqs.<region>.<dns_suffix>"}},
                    },
                ],
            }
        ],
    },
    "zones": {
        **HEAD,
        "parameters": {
            "zone_ids": {
                "type": "names",
                "pattern": "Z[A-Z0-9]+",
                "default": ["*"],
                "description": "IDs of zones.",
            },
            "owner": {"type": "name", "default": "<cluster_name>", "description": "An owner."},
            "lists": {"type": "flag", "default": True, "description": "Whether to list zones."},
        },
        "policies": [
            {
                "suffix": "change",
                "statements": [
                    {
                        "Effect": "Allow",
                        "Action": ["route53:ChangeResourceRecordSets"],
                        "Resource": ["arn:<partition>:route53:::hostedzone/<zone_ids>"],
                        "Condition": {"StringEquals": {"aws:ResourceTag/owner/<cluster_name>": ["<owner>"]}},
                    }
                ],
            },
            {
                "suffix": "list",
                "statements": [
                    {"when": "lists", "Effect": "Allow", "Action": "route53:ListHostedZones", "Resource": "*"}
                ],
            },
        ],
    },
    "optional": {
        **HEAD,
        "parameters": {"on": {"type": "flag", "default": False, "description": "Whether to grant."}},
        "policies": [
            {
                "statements": [
                    {"when": "on", "Effect": "Allow", "Action": "sts:GetCallerIdentity", "Resource": "*"}
                ]
            }
        ],
    },
    "secrets": {
        **HEAD,
        "parameters": {"prefix": {"type": "name", "description": "Prefix of the names."}},
        "policies": [
            {
                "statements": [
                    {
                        "Effect": "Allow",
                        "Action": "secretsmanager:GetSecretValue",
                        "Resource": "arn:<partition>:secretsmanager:<region>:<account_id>:secret:<prefix>*",
                    }
                ]
            }
        ],
    },
}
RUN = RunValues("my-cluster", "111122223333", "us-west-2", "pod_identity_")


@pytest.fixture(autouse=True)
def replace_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.preset_expansion.preset_names",
        lambda: sorted(PRESETS),
    )


def load(name: str) -> Preset:
    return parse_preset(name, PRESETS[name])


def workload(*policies: object, **fields: Any) -> dict[str, Any]:
    content = {"namespace": "default", "service_account": "app", "role": {"name": "my-role"}, **fields}
    return {**content, "policies": list(policies)}


def use(preset: str, parameters: object = None, **keys: Any) -> dict[str, Any]:
    return {"preset": preset, **({"with": parameters} if parameters is not None else {}), **keys}


def parse(*workloads: object, run: RunValues = RUN, state: Any = "present") -> tuple[Workload, ...]:
    return parse_workloads(workloads, "my-cluster", state, Defaults(presets=PresetExpander(run, load)))


def policies(*entries: object, run: RunValues = RUN, **fields: Any) -> tuple[PolicySpec, ...]:
    return parse(workload(*entries, **fields), run=run)[0].policies


def problems(*entries: object, run: RunValues = RUN, **fields: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        policies(*entries, run=run, **fields)
    return list(caught.value.problems)


PLACE = "workloads[0] (default/app) policies[0]"


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        pytest.param(
            use("queue-writr"),
            [f"{PLACE}: there is no preset 'queue-writr'; did you mean 'queue-writer'?"],
            id="misspelt",
        ),
        pytest.param(
            use("wri"),
            [f"{PLACE}: there is no preset 'wri'; did you mean 'queue-writer'?"],
            id="part of a name",
        ),
        pytest.param(
            use("zo"), [f"{PLACE}: there is no preset 'zo'; docs/presets.md lists all presets."], id="unknown"
        ),
        pytest.param(
            use(["zones"]),
            [f"{PLACE}: preset must be the name of a preset, got ['zones']."],
            id="preset is a list",
        ),
        pytest.param(
            use("zones", document={}, document_file="a.json", arn="arn:aws:iam::aws:policy/A"),
            [
                f"{PLACE}: document cannot be set together with preset.",
                f"{PLACE}: document_file cannot be set together with preset.",
                f"{PLACE}: arn cannot be set together with preset.",
            ],
            id="contradicting keys",
        ),
        pytest.param(
            use("zones", nam="x"), [f"{PLACE}: unknown key 'nam'; did you mean 'name'?"], id="misspelt key"
        ),
        pytest.param(
            {"arn": "arn:aws:iam::aws:policy/A", "with": {}},
            [f"{PLACE}: with cannot be set together with arn."],
            id="with next to an ARN",
        ),
        pytest.param(
            {"name": "p", "document": {"Version": "2012-10-17", "Statement": [GRANT]}, "with": {}},
            [f"{PLACE}: 'with' has the parameters of a preset; set preset, or remove 'with'."],
            id="with without a preset",
        ),
        pytest.param(
            use("zones", ["Z1"]), [f"{PLACE}: with must be a mapping, got ['Z1']."], id="with as a list"
        ),
        pytest.param(
            use("zones", {"zone_id": "Z1"}),
            [f"{PLACE} with: unknown key 'zone_id'; did you mean 'zone_ids'?"],
            id="unknown parameter",
        ),
        pytest.param(
            use("queue-writer"),
            [f"{PLACE} with: queue_arns is missing. ARNs of the queues."],
            id="missing parameter",
        ),
        pytest.param(
            use("queue-writer", {"queue_arns": []}),
            [f"{PLACE} with: queue_arns is empty; list at least one value."],
            id="empty list",
        ),
        pytest.param(
            use("queue-writer", {"queue_arns": {"a": 1}}),
            [f"{PLACE} with: queue_arns must be a list, got {{'a': 1}}."],
            id="mapping for a list",
        ),
        pytest.param(
            use(
                "queue-writer", {"queue_arns": [QUEUE, "jobs", None, "arn:aws:sns:us-west-2:111122223333:t"]}
            ),
            [
                f"{PLACE} with: queue_arns[1] must be an ARN such as arn:aws:sqs:…, got 'jobs'.",
                f"{PLACE} with: queue_arns[2] must be an ARN such as arn:aws:sqs:…, got None.",
                f"{PLACE} with: queue_arns[3] must be an ARN such as arn:aws:sqs:…, got "
                "'arn:aws:sns:us-west-2:111122223333:t'.",
            ],
            id="values that are not ARNs of the service",
        ),
        pytest.param(
            use("queue-writer", {"queue_arns": "arn:aws:sqs:us-west-2:111122223333:<cluster_name>"}),
            [
                f"{PLACE} with: queue_arns[0] must be an ARN such as arn:aws:sqs:…, got "
                "'arn:aws:sqs:us-west-2:111122223333:<cluster_name>'."
            ],
            id="ARN with a placeholder",
        ),
        pytest.param(
            use("queue-writer", {"queue_arns": [QUEUE], "region": "cn-north-1"}),
            [f"{PLACE} with: queue_arns[0] must be an ARN such as arn:aws-cn:sqs:…, got '{QUEUE}'."],
            id="ARN of another partition",
        ),
        pytest.param(
            use("zones", {"zone_ids": ["Z1", "z2", True], "owner": ["a"], "lists": "perhaps"}),
            [
                f"{PLACE} with: zone_ids[1] must be text of the form Z[A-Z0-9]+, got 'z2'.",
                f"{PLACE} with: zone_ids[2] must be text of the form Z[A-Z0-9]+, got True.",
                f"{PLACE} with: owner must be text, got ['a'].",
                f"{PLACE} with: lists must be true or false, got 'perhaps'.",
            ],
            id="values of a wrong type",
        ),
        pytest.param(
            use("optional"),
            [f"{PLACE} with: preset 'optional' grants nothing with these values; set on."],
            id="grants nothing",
        ),
        pytest.param(
            use("zones", {"partition": "aws-cn"}),
            [f"{PLACE} with: partition 'aws-cn' contradicts region 'us-west-2', which is in aws."],
            id="contradicting partition",
        ),
        pytest.param(
            use("zones", {"region": "us-gov-west-1"}),
            [f"{PLACE} with: preset 'zones' is for aws, aws-cn, not for partition 'aws-us-gov'."],
            id="unsupported partition",
        ),
        pytest.param(
            use(
                "zones", {"partition": "amazon", "region": "Oregon", "account_id": "1", "cluster_name": "a b"}
            ),
            [
                f"{PLACE} with: region must be a region, such as us-west-2, got 'Oregon'.",
                f"{PLACE} with: account_id must be an AWS account ID, which is 12 digits in quotation marks, got '1'.",
                f"{PLACE} with: partition must be one of aws, aws-cn, aws-us-gov, aws-eusc, aws-iso, aws-iso-b, aws-iso-e, "
                "aws-iso-f, got 'amazon'.",
                f"{PLACE} with: cluster_name must be the name of an EKS cluster (letters, digits, - and _, at most 100 "
                "characters, beginning with a letter or digit), got 'a b'.",
            ],
            id="common parameters",
        ),
        pytest.param(
            use("zones", name="a b"),
            [
                f"{PLACE} (preset zones): name must be a policy name (letters, digits and +=,.@_-, at most 128 characters), "
                f"got 'a b-{suffix}'."
                for suffix in ("change", "list")
            ],
            id="invalid name",
        ),
    ],
)
def test_invalid_entries(entry: object, expected: list[str]) -> None:
    assert problems(entry) == expected


def test_unknown_account_and_region() -> None:
    assert problems(use("secrets", {"prefix": "a"}), run=RunValues(prefix="pod_identity_")) == [
        f"{PLACE} with: account_id is missing; preset 'secrets' needs it. Set account_id here, or pod_identity_account_id for "
        "the run.",
        f"{PLACE} with: region is missing; preset 'secrets' needs it. Set region here, or pod_identity_region for the run.",
    ]


def test_repeated_preset_needs_a_name() -> None:
    first, second = use("secrets", {"prefix": "a"}), use("secrets", {"prefix": "b"})
    assert problems(first, second) == [
        f"workloads[0] (default/app) policies[1]: preset 'secrets' is already in {PLACE}; set name in one of them, so that their "
        "policies have different names."
    ]
    specs = policies(first, {**second, "name": "other"})
    assert [spec.name for spec in specs] == ["my-role-secrets", "other"]
    (spec,) = policies(first, role={"arn": "arn:aws:iam::111122223333:role/path/existing"})
    assert spec.name == "existing-secrets"


def test_removal_without_a_role_needs_a_name() -> None:
    with pytest.raises(InputError) as caught:
        parse(workload(use("secrets", {"prefix": "a"}), role=None), state="absent")
    assert caught.value.problems == (
        f"{PLACE}: name is missing. Set name, or set role.name to derive the name of the policy from it.",
    )


@pytest.mark.parametrize("length", [1, 128, 129, 200])
def test_shortened_names_stay_distinct(length: int) -> None:
    first, second = shorten_name("a" * length), shorten_name("a" * (length - 1) + "b")
    assert POLICY_NAME.fullmatch(first)
    assert len(first) == min(length, 128)
    assert first != second
    assert first == shorten_name("a" * length)


@pytest.mark.parametrize(
    ("region", "partition"),
    [
        ("us-west-2", "aws"),
        ("cn-north-1", "aws-cn"),
        ("us-gov-east-1", "aws-us-gov"),
        ("us-iso-east-1", "aws-iso"),
        ("us-isob-east-1", "aws-iso-b"),
        ("us-isof-south-1", "aws-iso-f"),
        ("eu-isoe-west-1", "aws-iso-e"),
        ("eusc-de-east-1", "aws-eusc"),
        ("", "aws"),
    ],
)
def test_partition_of_a_region(region: str, partition: str) -> None:
    assert find_partition(region) == partition


def cluster(account_id: str = "111122223333", region: str = "us-west-2", partition: str = "aws") -> Cluster:
    arn = f"arn:{partition}:eks:{region}:{account_id}:cluster/my-cluster"
    return Cluster("my-cluster", arn, account_id, region, partition)


@pytest.mark.parametrize(
    ("observed", "differences"),
    [
        (cluster(), []),
        (cluster(account_id="444455556666"), [("account_id", "111122223333", "444455556666")]),
        (cluster(region="eu-west-1"), [("region", "us-west-2", "eu-west-1")]),
        (
            cluster(region="cn-north-1", partition="aws-cn"),
            [("partition", "aws", "aws-cn"), ("region", "us-west-2", "cn-north-1")],
        ),
    ],
)
def test_document_must_be_for_the_cluster(observed: Cluster, differences: list[tuple[str, str, str]]) -> None:
    desired = Desired(parse(workload(use("secrets", {"prefix": "a"}))))
    texts = []
    try:
        validate_accounts(desired, observed)
    except InputError as error:
        texts = list(error.problems)
    assert texts == [
        f"workload default/app: policy my-role-secrets: preset 'secrets' has {part} {value} in its document, but cluster "
        f'my-cluster has {part} {expected}. Set {part}: "{expected}" '
        "under 'with', or correct the account and region of the run."
        for part, value, expected in differences
    ]


def test_module_gets_the_same_policies_as_the_role() -> None:
    entries = [workload(use("secrets", {"prefix": "a"}), {"arn": "arn:aws:iam::aws:policy/A"}), "text"]
    expander = PresetExpander(RUN, load)
    sent = json.loads(json.dumps([expander.expand_workload(entry) for entry in entries]))
    assert sent[1] == "text"
    (in_module,) = parse_workloads(sent[:1], "my-cluster", defaults=Defaults())
    (in_process,) = parse(entries[0])
    assert in_module == in_process
    assert [spec.preset for spec in in_module.policies] == [spec.preset for spec in in_process.policies]


def test_module_without_its_action_plugin_rejects_presets() -> None:
    with pytest.raises(InputError) as caught:
        parse_workloads([workload(use("secrets"))], "my-cluster", defaults=Defaults())
    assert caught.value.problems == (
        f"{PLACE}: preset: the module was started without its action plugin, which reads the presets on the controller. Call it "
        "from a play by its full name.",
    )


def test_unreadable_preset_is_reported() -> None:
    with pytest.raises(
        InputError, match=r"presets/no-such-preset\.yml: cannot be read: No such file or directory\."
    ):
        load_preset("no-such-preset")
