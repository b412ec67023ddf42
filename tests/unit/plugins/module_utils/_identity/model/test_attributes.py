# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from dataclasses import fields

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.associations import (
    ASSOCIATION_ATTRIBUTES,
    AssociationSpec,
    ObservedAssociation,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.attributes import (
    Attribute,
    describe_value,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.policies import (
    POLICY_ATTRIBUTES,
    ObservedPolicy,
    PolicySpec,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.roles import (
    ROLE_ATTRIBUTES,
    ObservedRole,
    RoleSpec,
)

IDENTITY = {"name", "arn", "path"}
# These fields have no row in the table of attributes, because the engine computes the trust policy from them.
TRUST = {"trust_scope", "extend_trust", "trust_patterns"}
TABLES = [
    pytest.param(ROLE_ATTRIBUTES, RoleSpec, IDENTITY | TRUST, ObservedRole, id="role"),
    pytest.param(POLICY_ATTRIBUTES, PolicySpec, {*IDENTITY, "preset"}, ObservedPolicy, id="policy"),
    pytest.param(ASSOCIATION_ATTRIBUTES, AssociationSpec, set(), ObservedAssociation, id="association"),
]


@pytest.mark.parametrize(("attributes", "spec", "unconverged", "observed"), TABLES)
def test_every_field_of_a_definition_has_a_row(
    attributes: tuple[Attribute, ...], spec: type, unconverged: set[str], observed: type
) -> None:
    rows = {attribute.name for attribute in attributes}
    assert {field.name for field in fields(spec)} - rows == unconverged
    observed_fields = {field.name for field in fields(observed)}
    assert {attribute.field or attribute.name for attribute in attributes} <= observed_fields


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "(none)"),
        ("", "(none)"),
        ({}, "(none)"),
        (False, "false"),
        (True, "true"),
        (0, "0"),
        ("text", "text"),
        ({"Version": "2012-10-17"}, '{"Version":"2012-10-17"}'),
    ],
)
def test_value_is_described_in_words(value: object, text: str) -> None:
    assert describe_value(value) == text
