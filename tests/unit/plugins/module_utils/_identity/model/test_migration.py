# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test the stages of a migration from IRSA, and its records in tags: of annotations, and of removed statements."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.migration import (
    AUDIENCE_ANNOTATION,
    GRANT_TAG,
    ROLE_ANNOTATION,
    STAGES,
    STEPS,
    DamagedRecord,
    IrsaAccount,
    Migrant,
    PodCredentials,
    RecordTooLarge,
    annotation_tags,
    grant_tag,
    recorded_annotations,
    recorded_statements,
    trust_record_keys,
    trust_tags,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.trust.federation import Removed
from ansible_collections.workload_identity.aws.tests.unit.plugins.module_utils._identity.build import (
    CLUSTER_ARN,
    OTHER_CLUSTER_ARN,
    key,
    role_arn,
)
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SETTINGS = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
ROLE_TAG, AUDIENCE_TAG = "workload-identity/irsa-role-arn", "workload-identity/irsa-audience"
# The first 12 digits of the SHA-256 digest of CLUSTER_ARN.
RECORD = "workload-identity/irsa-trust.d89abb76c66f."
STATEMENT = {"Effect": "Allow", "Principal": {"Federated": "arn"}, "Action": "sts:AssumeRoleWithWebIdentity"}


def many_subjects(count: int) -> list[Removed]:
    """Return a statement with random subjects, which compression hardly shortens."""
    chance = random.Random(1)
    subjects = [f"system:serviceaccount:shop:{chance.getrandbits(160):040x}" for _index in range(count)]
    return [Removed(0, {**STATEMENT, "Condition": {"StringEquals": {"host:sub": subjects}}})]


REACHED = {"irsa": 1, "associated": 2, "restarted": 3, "finished": 4}


@pytest.mark.parametrize("stage", STAGES)
def test_stage_has_its_steps(stage: Any) -> None:
    migrant = Migrant(key(), role_arn("app"), stage)
    steps = ("inventory", "associate", "restart", "finish")
    assert steps == STEPS
    assert [step for step in STEPS if migrant.has_reached(step)] == list(steps[: REACHED[stage]])


@pytest.mark.parametrize(
    ("annotations", "role", "audience"),
    [
        ({}, "", ""),
        ({ROLE_ANNOTATION: "arn"}, "arn", ""),
        ({ROLE_ANNOTATION: "arn", AUDIENCE_ANNOTATION: "vault"}, "arn", "vault"),
        ({AUDIENCE_ANNOTATION: "vault"}, "", "vault"),
    ],
)
def test_annotations_give_role_and_audience(annotations: dict[str, str], role: str, audience: str) -> None:
    account = IrsaAccount(key(), annotations)
    assert (account.role_arn, account.audience) == (role, audience)


@pytest.mark.parametrize(
    ("pods", "remaining"),
    [
        (PodCredentials(), ()),
        (PodCredentials(agent=("a", "b")), ()),
        (PodCredentials(irsa=("c", "b"), agent=("b",), other=("d",), none=("a",)), ("a", "b", "c", "d")),
        (PodCredentials(irsa=("a",), other=("a",)), ("a",)),
        (PodCredentials(on_host_network=("a",), templates={"Deployment web": ("AWS_ROLE_ARN",)}), ()),
    ],
    ids=["none", "EKS Pod Identity", "sorted", "each Pod once", "other members"],
)
def test_pods_without_pod_identity_remain(pods: PodCredentials, remaining: tuple[str, ...]) -> None:
    assert pods.remaining == remaining


@pytest.mark.parametrize(
    ("annotations", "tags"),
    [
        pytest.param({}, {}, id="none"),
        pytest.param({ROLE_ANNOTATION: "arn"}, {ROLE_TAG: "arn"}, id="role"),
        pytest.param(
            {AUDIENCE_ANNOTATION: "vault", ROLE_ANNOTATION: "arn"},
            {ROLE_TAG: "arn", AUDIENCE_TAG: "vault"},
            id="role and audience",
        ),
        pytest.param(
            {ROLE_ANNOTATION: "arn", AUDIENCE_ANNOTATION: ""}, {ROLE_TAG: "arn"}, id="empty audience"
        ),
        pytest.param(
            {ROLE_ANNOTATION: "arn", "eks.amazonaws.com/token-expiration": "600", "team": "a"},
            {ROLE_TAG: "arn"},
            id="annotations that are not recorded",
        ),
        pytest.param({ROLE_ANNOTATION: "a" * 256}, {ROLE_TAG: "a" * 256}, id="longest value"),
    ],
)
def test_record_of_annotations_can_be_read_back(annotations: dict[str, str], tags: dict[str, str]) -> None:
    assert annotation_tags(annotations) == tags
    recorded = {
        name: text
        for name, text in annotations.items()
        if name in (ROLE_ANNOTATION, AUDIENCE_ANNOTATION) and text
    }
    assert recorded_annotations({**tags, "team": "a"}) == recorded


@pytest.mark.parametrize(
    ("annotations", "names"),
    [
        ({ROLE_ANNOTATION: "a" * 257}, ROLE_TAG),
        ({ROLE_ANNOTATION: "a", AUDIENCE_ANNOTATION: "b" * 300}, AUDIENCE_TAG),
        ({ROLE_ANNOTATION: "a" * 257, AUDIENCE_ANNOTATION: "b" * 257}, f"{ROLE_TAG}, {AUDIENCE_TAG}"),
    ],
    ids=["role", "audience", "both"],
)
def test_annotation_too_long_for_a_tag_has_no_record(annotations: dict[str, str], names: str) -> None:
    with pytest.raises(RecordTooLarge) as caught:
        annotation_tags(annotations)
    assert str(caught.value) == f"{names} would have more than 256 characters"


@pytest.mark.parametrize("tags", [{}, {"team": "a"}, {ROLE_TAG: ""}])
def test_tags_without_record_have_no_annotations(tags: dict[str, str]) -> None:
    assert recorded_annotations(tags) == {}


def test_record_of_a_statement_can_be_read_back() -> None:
    removed = [Removed(2, STATEMENT)]
    record = trust_tags(CLUSTER_ARN, removed, {})
    assert list(record) == [f"{RECORD}0"]
    assert record[f"{RECORD}0"].startswith("01:")
    assert trust_record_keys(CLUSTER_ARN, {**record, "team": "a"}) == [f"{RECORD}0"]
    assert recorded_statements(CLUSTER_ARN, record) == removed


def test_record_keeps_the_order_of_elements() -> None:
    statement = {"Principal": {"Federated": ["b", "a"]}, "Effect": "Allow", "Action": "x", "Sid": "s"}
    [entry] = recorded_statements(CLUSTER_ARN, trust_tags(CLUSTER_ARN, [Removed(0, statement)], {}))
    assert json.dumps(entry.statement) == json.dumps(statement)


def test_record_in_many_tags_is_read_in_the_order_of_their_numbers() -> None:
    removed = many_subjects(120)
    record = trust_tags(CLUSTER_ARN, removed, {})
    assert len(record) > 10
    assert list(record) == [f"{RECORD}{number}" for number in range(len(record))]
    assert {len(value) for value in list(record.values())[:-1]} == {256}
    assert {value[:3] for value in record.values()} == {f"{len(record)}:"}
    assert recorded_statements(CLUSTER_ARN, dict(sorted(record.items()))) == removed


_values = st.recursive(
    st.one_of(st.text(max_size=20), st.sampled_from(["*", "sts:AssumeRole"])),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(min_size=1, max_size=9), inner, max_size=3)
    ),
    max_leaves=8,
)
drawn_records = st.lists(
    st.builds(
        Removed, st.integers(0, 20), st.dictionaries(st.text(min_size=1, max_size=9), _values, max_size=4)
    ),
    min_size=1,
    max_size=4,
)
drawn_tags = st.dictionaries(
    st.sampled_from(["team", "Name", ROLE_TAG, "workload-identity/owner"]), st.just("x")
)


@given(drawn_records, drawn_records, drawn_tags)
@SETTINGS
def test_records_of_two_clusters_are_independent(
    removed: list[Removed], other: list[Removed], tags: dict[str, str]
) -> None:
    record = trust_tags(CLUSTER_ARN, removed, tags)
    other_record = trust_tags(OTHER_CLUSTER_ARN, other, {**tags, **record})
    every_tag = {**tags, **record, **other_record}
    assert recorded_statements(CLUSTER_ARN, every_tag) == removed
    assert recorded_statements(OTHER_CLUSTER_ARN, every_tag) == other
    assert set(trust_record_keys(CLUSTER_ARN, every_tag)) == set(record)
    assert set(record).isdisjoint(tags)
    for name, text in record.items():
        assert len(name) <= 128
        assert 0 < len(text) <= 256
        # AWS permits these characters in tags (and some others).
        assert text.isascii()
        assert all(character.isalnum() or character in "_-=:" for character in text)


@pytest.mark.parametrize("tags", [{}, {"team": "a", ROLE_TAG: "arn"}])
def test_tags_without_record_have_no_statements(tags: dict[str, str]) -> None:
    assert trust_record_keys(CLUSTER_ARN, tags) == []
    assert recorded_statements(CLUSTER_ARN, tags) == []


@pytest.mark.parametrize(
    ("number", "problem"),
    [
        pytest.param(49, "", id="exactly 50 tags"),
        pytest.param(50, "the role would have 51 tags, and IAM allows 50", id="51 tags"),
    ],
)
def test_record_fits_or_exceeds_the_tag_quota(number: int, problem: str) -> None:
    tags = {f"tag-{index}": "x" for index in range(number)}
    if not problem:
        assert recorded_statements(CLUSTER_ARN, trust_tags(CLUSTER_ARN, [Removed(0, STATEMENT)], tags)) == [
            Removed(0, STATEMENT)
        ]
        return
    with pytest.raises(RecordTooLarge) as caught:
        trust_tags(CLUSTER_ARN, [Removed(0, STATEMENT)], tags)
    assert str(caught.value) == problem


def test_replaced_record_needs_no_further_tag() -> None:
    tags = {f"tag-{index}": "x" for index in range(49)}
    first = trust_tags(CLUSTER_ARN, [Removed(0, STATEMENT)], tags)
    second = trust_tags(CLUSTER_ARN, [Removed(0, STATEMENT), Removed(1, {"Sid": "x"})], {**tags, **first})
    assert set(second) == set(first)


def test_record_too_large_for_the_tags_is_rejected() -> None:
    with pytest.raises(ValueError, match=r"^the role would have 7\d tags, and IAM allows 50$"):
        trust_tags(CLUSTER_ARN, many_subjects(550), {})


[ONE] = trust_tags(CLUSTER_ARN, [Removed(0, STATEMENT)], {}).values()
LONG = trust_tags(CLUSTER_ARN, many_subjects(20), {})


@pytest.mark.parametrize(
    "tags",
    [
        pytest.param({f"{RECORD}0": "01:x"}, id="not base64"),
        pytest.param({f"{RECORD}0": "01:é"}, id="not ASCII"),
        pytest.param({f"{RECORD}0": "01:YWJj"}, id="not compressed"),
        # The values are the compressed texts "", [1], {"a": 1} and "[".
        pytest.param({f"{RECORD}0": "01:eNoDAAAAAAE="}, id="empty text"),
        pytest.param({f"{RECORD}0": "01:eNqLNowFAAHTAOo="}, id="not pairs"),
        pytest.param({f"{RECORD}0": "01:eNqrVkpUslIwrAUACeUCKQ=="}, id="not a list"),
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
    with pytest.raises(DamagedRecord) as caught:
        recorded_statements(CLUSTER_ARN, tags)
    assert str(caught.value) == (
        f"the record of these statements is damaged or incomplete (tags: {', '.join(tags)})"
    )


def test_tags_of_a_longer_record_do_no_harm() -> None:
    removed = [Removed(0, STATEMENT)]
    tags = {**LONG, **trust_tags(CLUSTER_ARN, removed, LONG), f"{RECORD}x": ""}
    assert recorded_statements(CLUSTER_ARN, tags) == removed
    assert set(trust_record_keys(CLUSTER_ARN, tags)) == {*LONG, f"{RECORD}x"}


def test_tag_for_added_statements_of_each_cluster() -> None:
    tags = {grant_tag(CLUSTER_ARN): "account", grant_tag(OTHER_CLUSTER_ARN): "workload"}
    assert len(tags) == 2
    assert all(name.startswith(GRANT_TAG) for name in tags)
    assert grant_tag(CLUSTER_ARN) == "workload-identity/irsa-grant.d89abb76c66f"
    # The tags of the other record, of removed statements, have different keys.
    assert trust_record_keys(CLUSTER_ARN, tags) == []
    assert recorded_annotations(tags) == {}
