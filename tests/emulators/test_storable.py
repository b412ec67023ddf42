# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Test that the two policy grammars, of the collection and of the sandbox, agree on whether IAM stores a document."""

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._policy.grammar.storable import (
    storability,
)
from ansible_collections.workload_identity.aws.tests.emulators.documents import ACCOUNT, DOCUMENTS, Document
from sandbox.aws.model.documents import check_identity_policy, check_session_policy, check_trust_policy
from sandbox.aws.model.errors import Refusal

ROLE = f"arn:aws:iam::{ACCOUNT}:role/my-role"
each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=lambda each: f"{each.kind}: {each.name}")


def sandbox_stores(document: Document) -> bool:
    try:
        if document.kind == "trust":
            check_trust_policy(document.text, lambda arn: arn == ROLE)
        elif document.kind == "session":
            check_session_policy(document.text)
        else:
            check_identity_policy(document.text, managed=document.kind == "managed")
    except Refusal:
        return False
    return True


@each_document
def test_answer_of_the_collection(document: Document) -> None:
    answer = storability(document.text, document.kind, existing={ACCOUNT, ROLE}).answer
    assert answer == document.answer


@each_document
def test_sandbox_stores_the_same_documents(document: Document) -> None:
    if document.answer != "unknown":
        assert sandbox_stores(document) is (document.answer == "yes")
