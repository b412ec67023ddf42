# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The commonest grant of nothing, told without a catalogue: actions on objects, allowed on a bucket. Pure.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

import re

from ..language.document import Statement

_OBJECT_ACTIONS = frozenset(
    f"s3:{name}".lower()
    for name in (
        *("AbortMultipartUpload", "BypassGovernanceRetention", "DeleteObject", "DeleteObjectTagging"),
        *(
            "DeleteObjectVersion",
            "DeleteObjectVersionTagging",
            "GetObject",
            "GetObjectAcl",
            "GetObjectAttributes",
        ),
        *(
            "GetObjectLegalHold",
            "GetObjectRetention",
            "GetObjectTagging",
            "GetObjectVersion",
            "GetObjectVersionAcl",
        ),
        *(
            "GetObjectVersionTagging",
            "ListMultipartUploadParts",
            "PutObject",
            "PutObjectAcl",
            "PutObjectLegalHold",
        ),
        *(
            "PutObjectRetention",
            "PutObjectTagging",
            "PutObjectVersionAcl",
            "PutObjectVersionTagging",
            "RestoreObject",
        ),
    )
)
# The name of a bucket has none of these; a wildcard or variable may stand for a slash and what follows.
_BUCKET = re.compile(r"arn:aws[a-z-]*:s3:::[^/*?$]+", re.ASCII)


def find_bucket_grants(statement: Statement) -> list[tuple[str, str]]:
    """Action and bucket of what a statement allows, where all its resources are buckets and the action is of objects."""
    if (
        statement.effect != "Allow"
        or statement.not_action
        or statement.not_resource
        or not statement.resources
    ):
        return []
    if not all(_BUCKET.fullmatch(resource) for resource in statement.resources):
        return []
    actions = [action for action in statement.actions if action.lower() in _OBJECT_ACTIONS]
    return [(action, statement.resources[0]) for action in actions]
