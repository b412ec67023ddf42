# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the options of an inventory source: how they are parsed, and the message for each invalid option."""

from __future__ import annotations

from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.inventory_source import (
    read_request,
    validate_credentials,
    validate_names,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.accounts import (
    AccountAccess,
    AssumeRole,
    InventoryRequest,
    Organization,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError

ONE = "arn:aws:iam::111122223333:role/fleet"
TWO = "arn:aws:iam::444455556666:role/path/fleet"
REGION = {"region": "us-west-2"}


def read(options: dict[str, Any]) -> None:
    """Parse the options in the same order as the inventory plugin."""
    validate_credentials(options)
    read_request({**REGION, **options})


def find_problems(**options: Any) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(options)
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("value", "regions"),
    [
        (["eu-central-1", "us-gov-west-1"], ("eu-central-1", "us-gov-west-1")),
        ("eu-central-1, us-west-2", ("eu-central-1", "us-west-2")),
        (["eu-central-1", "eu-central-1"], ("eu-central-1",)),
        (["all"], ("all",)),
        ("all", ("all",)),
        ([], ("us-west-2",)),
    ],
)
def test_regions(value: Any, regions: tuple[str, ...]) -> None:
    assert read_request({**REGION, "regions": value}).regions == regions


def test_whole_request() -> None:
    options: dict[str, Any] = {
        "accounts": [{"assume_role_arn": ONE, "regions": "eu-central-1"}, {"assume_role_arn": TWO}],
        "organization": {
            "role_name": "/path/fleet",
            "assume_role_external_id": "x-1",
            "exclude_accounts": ["0" * 12],
        },
        "include_filters": [{"name": "a*", "tag:stage": ["prod", "test"]}],
        "default_groups": ["tag"],
        "require_all": True,
        "concurrency": 8,
    }
    assert read_request({**REGION, **options}) == InventoryRequest(
        ("us-west-2",),
        (
            AccountAccess("111122223333", AssumeRole(ONE), ("eu-central-1",)),
            AccountAccess("444455556666", AssumeRole(TWO), ("us-west-2",)),
        ),
        Organization("path/fleet", "x-1", exclude=frozenset(("0" * 12,))),
        own_account=False,
        include=({"name": ("a*",), "tag:stage": ("prod", "test")},),
        exclude=(),
        hostnames=("name.region.account",),
        group_by=("tag",),
        require_all=True,
        concurrency=8,
    )


REFUSED: list[tuple[dict[str, Any], list[str]]] = [
    (
        {"region": None},
        ["no region is set. Set regions (or `regions: all`), the option region, or AWS_REGION."],
    ),
    (
        {"regions": ["all", "us-west-2"]},
        ["regions must be a list of regions, or all alone, got ['all', 'us-west-2']."],
    ),
    (
        {"regions": ["eu_central_1"]},
        ["regions: 'eu_central_1' is not the name of a region, such as eu-central-1."],
    ),
    (
        {"accounts": [{"assume_role_arn": "arn:aws:iam::1:role/x"}]},
        [
            "accounts[0]: assume_role_arn must be the ARN of an IAM role, like "
            "arn:aws:iam::111122223333:role/my-role, got 'arn:aws:iam::1:role/x'."
        ],
    ),
    (
        {"accounts": [{"assume_role_arn": ""}]},
        [
            "accounts[0]: assume_role_arn is missing. For the account of the credentials themselves set own_account: true."
        ],
    ),
    ({"accounts": [ONE]}, ["accounts[0]: must be a mapping with assume_role_arn."]),
    (
        {"accounts": [{"assume_role_arn": ONE, "external_id": "x"}]},
        ["accounts[0]: unknown key 'external_id'; did you mean 'assume_role_external_id'?"],
    ),
    (
        {"accounts": [{"assume_role_arn": ONE}, {"assume_role_arn": ONE}]},
        ["accounts[1]: account 111122223333 is listed twice; an account is read with one role."],
    ),
    (
        {"assume_role_external_id": "x-1"},
        [
            "assume_role_external_id has no effect without assume_role_arn; set the ARN of the role to assume, or leave "
            "assume_role_external_id out."
        ],
    ),
    (
        {"assume_role_arn": ONE, "accounts": [{"assume_role_arn": TWO}]},
        [
            "assume_role_arn and accounts are mutually exclusive, because the plugin does not use one assumed "
            "role to assume others. To also read the account of assume_role_arn, move its role to accounts."
        ],
    ),
    (
        {"profile": "p", "access_key": "k", "secret_key": "s"},
        [
            "profile and access_key are mutually exclusive, but both are set, as options or as AWS_PROFILE and "
            "AWS_ACCESS_KEY_ID. Set one of them."
        ],
    ),
    ({"access_key": "k"}, ["access_key and secret_key must be set together; one of them is missing."]),
    (
        {"endpoint_url": "localhost:4566"},
        ["endpoint_url must be a URL that begins with https:// or http://, got 'localhost:4566'."],
    ),
    (
        {"organization": {}},
        ["organization: role_name is missing. Set the name of the role to assume in each account."],
    ),
    (
        {"organization": {"role": "fleet"}},
        [
            "organization: unknown key 'role'; did you mean 'role_name'?",
            "organization: role_name is missing. Set the name of the role to assume in each account.",
        ],
    ),
    (
        {"organization": {"role_name": "fleet", "include_accounts": [1234]}},
        [
            "organization: include_accounts: '1234' is not an account ID, which has 12 digits. Write the ID in quotation "
            "marks, because YAML can change an unquoted ID that starts with 0."
        ],
    ),
    ({"include_filters": [{"nmae": "x"}]}, ["include_filters[0]: unknown key 'nmae'; did you mean 'name'?"]),
    (
        {"exclude_filters": [{"version": 1.30}]},
        ["exclude_filters[0]: version must be text, in quotation marks, got 1.3."],
    ),
    (
        {"exclude_filters": ["x"]},
        [
            "exclude_filters[0]: must be a mapping of name, status, version, region, account or tag:KEY to patterns."
        ],
    ),
    (
        {"hostnames": ["cluster"]},
        ["hostnames: 'cluster' must be 'arn', 'tag:KEY', or parts such as 'name.region.account'."],
    ),
    (
        {"default_groups": ["tags"]},
        ["default_groups: 'tags' must be one of region, account, version, status, tag."],
    ),
    ({"concurrency": 0}, ["concurrency must be from 1 to 64, got 0."]),
    ({"require_all": "maybe"}, ["require_all must be true or false, got 'maybe'."]),
]


@pytest.mark.parametrize(("options", "expected"), REFUSED)
def test_rejects_invalid_options(options: dict[str, Any], expected: list[str]) -> None:
    assert find_problems(**options) == expected


@pytest.mark.parametrize(
    ("name", "hint"), [("regoins", "did you mean 'regions'?"), ("zzz", "the valid keys are plugin, regions.")]
)
def test_rejects_unknown_option(name: str, hint: str) -> None:
    with pytest.raises(InputError) as caught:
        validate_names({"plugin": "x", name: 1}, ["plugin", "regions"])
    assert list(caught.value.problems) == [f"unknown key '{name}'; {hint}"]
