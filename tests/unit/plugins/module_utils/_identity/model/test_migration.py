# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the stages of a migration from IRSA, and its record in the tags of a role."""

from __future__ import annotations

import random
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    STAGES,
    STEPS,
    Migrant,
    MigrationOptions,
    Record,
    RecordError,
    read_record,
    record_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import Removed
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    key,
    role_arn,
)

# The first 12 digits of the SHA-256 digest of CLUSTER_ARN.
RECORD = "workload-identity/irsa-record.d89abb76c66f."
APP = ("shop", "app")
STATEMENT = {"Effect": "Allow", "Principal": {"Federated": "arn"}, "Action": "sts:AssumeRoleWithWebIdentity"}


def record_of(*statements: Any, accounts: Any = (APP,), is_wide: bool = False) -> Record:
    """Return a record of statements that were at the positions 0, 1 and so on."""
    removed = tuple(Removed(index, statement) for index, statement in enumerate(statements))
    return Record(frozenset(accounts), removed, is_wide)


def many_subjects(count: int) -> Record:
    """Return a record of a statement with random subjects, which compression hardly shortens."""
    chance = random.Random(1)
    subjects = [f"system:serviceaccount:shop:{chance.getrandbits(160):040x}" for _index in range(count)]
    return record_of({**STATEMENT, "Condition": {"StringEquals": {"host:sub": subjects}}})


REACHED = {"irsa": 1, "associated": 2, "restarted": 3, "finished": 4}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_its_steps(stage: Any) -> None:
    migrant = Migrant(key(), role_arn("app"), stage)
    steps = ("inventory", "associate", "restart", "finish")
    assert steps == STEPS
    assert [step for step in STEPS if migrant.has_reached(step)] == list(steps[: REACHED[stage]])


@pytest.mark.parametrize(
    ("patterns", "selects", "names"),
    [
        ((), True, False),
        (("default/my-app",), True, True),
        (("default/*",), True, False),
        (("shop/*",), False, False),
        (("shop/*", "default/my-app"), True, True),
    ],
)
def test_options_select_and_name_a_service_account(
    patterns: tuple[str, ...], selects: bool, names: bool
) -> None:
    options = MigrationOptions(only=patterns)
    assert (options.selects(key("my-app", "default")), options.names_exactly(key("my-app", "default"))) == (
        selects,
        names,
    )


[ONE] = record_tags(CLUSTER_ARN, record_of(STATEMENT), {}).values()
LONG = record_tags(CLUSTER_ARN, many_subjects(20), {})


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({f"{RECORD}0": "01:x"}, id="not base64"),
        pytest.param({f"{RECORD}0": "01:é"}, id="not ASCII"),
        pytest.param({f"{RECORD}0": "01:YWJj"}, id="not compressed"),
        # The values are the compressed texts "", [1], {"a": 1} and "[".
        pytest.param({f"{RECORD}0": "01:eNoDAAAAAAE="}, id="empty text"),
        pytest.param({f"{RECORD}0": "01:eNqLNowFAAHTAOo="}, id="not a mapping"),
        pytest.param({f"{RECORD}0": "01:eNqrVkpUslIwrAUACeUCKQ=="}, id="other members"),
        pytest.param({f"{RECORD}0": "01:eNqLBgAAXABc"}, id="not JSON"),
        pytest.param({f"{RECORD}0": "00:"}, id="zero parts"),
        pytest.param({f"{RECORD}0": ONE[3:]}, id="no number of parts"),
        pytest.param({f"{RECORD}0": ONE.replace("01:", "02:")}, id="larger number of parts"),
        pytest.param({f"{RECORD}x": ONE}, id="unknown part"),
        pytest.param({name: LONG[name] for name in list(LONG)[:-1]}, id="last tag is missing"),
        pytest.param({name: LONG[name] for name in list(LONG)[1:]}, id="first tag is missing"),
    ],
)
def test_damaged_record_is_reported(tags: dict[str, str]) -> None:
    with pytest.raises(RecordError) as caught:
        read_record(CLUSTER_ARN, tags)
    assert str(caught.value) == (
        f"its record of the migration is damaged or incomplete (tags: {', '.join(tags)})"
    )
