# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Convert the names of CloudTrail events to IAM actions, and list the actions that CloudTrail does not show. Pure.

Most events have the name of their action. The tables have the other names. An event whose name is neither in a table nor an
action in the catalogue of IAM actions has an unknown action, because a guess could suggest a wrong policy. Sources: Service
Authorization Reference; Amazon S3 User Guide, "Required permissions for Amazon S3 API operations"; AWS CloudTrail User Guide,
"Logging data events".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..._policy.permissions.catalogue import Catalogue

# The prefix of the actions of an event source, if it differs from the name before .amazonaws.com.
_SERVICES = {
    "amazonmq": "mq",
    "cloudcontrolapi": "cloudformation",
    "email": "ses",
    "iotdata": "iot",
    "monitoring": "cloudwatch",
    "tagging": "tag",
}
# The actions of an event, if their names differ from the name of the event.
_ACTIONS: Mapping[str, tuple[str, ...]] = {
    "bedrock:Converse": ("bedrock:InvokeModel",),
    "bedrock:ConverseStream": ("bedrock:InvokeModelWithResponseStream",),
    "dynamodb:TransactGetItems": ("dynamodb:GetItem",),
    "kms:ReEncrypt": ("kms:ReEncryptFrom", "kms:ReEncryptTo"),
    "lambda:Invoke": ("lambda:InvokeFunction",),
    "s3:CompleteMultipartUpload": ("s3:PutObject",),
    "s3:CopyObject": ("s3:PutObject",),
    "s3:CopyObject (source)": ("s3:GetObject",),
    "s3:CreateMultipartUpload": ("s3:PutObject",),
    "s3:DeleteBucketCors": ("s3:PutBucketCORS",),
    "s3:DeleteBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:DeleteBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:DeleteBucketReplication": ("s3:PutReplicationConfiguration",),
    "s3:DeleteBucketTagging": ("s3:PutBucketTagging",),
    "s3:DeleteObjects": ("s3:DeleteObject",),
    "s3:GetBucketEncryption": ("s3:GetEncryptionConfiguration",),
    "s3:GetBucketLifecycle": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketLifecycleConfiguration": ("s3:GetLifecycleConfiguration",),
    "s3:GetBucketReplication": ("s3:GetReplicationConfiguration",),
    "s3:HeadBucket": ("s3:ListBucket",),
    "s3:HeadObject": ("s3:GetObject",),
    "s3:ListBuckets": ("s3:ListAllMyBuckets",),
    "s3:ListMultipartUploads": ("s3:ListBucketMultipartUploads",),
    "s3:ListObjectVersions": ("s3:ListBucketVersions",),
    "s3:ListObjects": ("s3:ListBucket",),
    "s3:ListObjectsV2": ("s3:ListBucket",),
    "s3:ListParts": ("s3:ListMultipartUploadParts",),
    "s3:PutBucketEncryption": ("s3:PutEncryptionConfiguration",),
    "s3:PutBucketLifecycle": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketLifecycleConfiguration": ("s3:PutLifecycleConfiguration",),
    "s3:PutBucketReplication": ("s3:PutReplicationConfiguration",),
    "s3:SelectObjectContent": ("s3:GetObject",),
    "s3:UploadPart": ("s3:PutObject",),
    "s3:UploadPartCopy": ("s3:PutObject",),
    "s3:UploadPartCopy (source)": ("s3:GetObject",),
    "sns:PublishBatch": ("sns:Publish",),
    "sqs:ChangeMessageVisibilityBatch": ("sqs:ChangeMessageVisibility",),
    "sqs:DeleteMessageBatch": ("sqs:DeleteMessage",),
    "sqs:SendMessageBatch": ("sqs:SendMessage",),
}
# The action of a request to S3 that names a version of an object.
_VERSIONED = {
    "s3:DeleteObject": "s3:DeleteObjectVersion",
    "s3:DeleteObjectTagging": "s3:DeleteObjectVersionTagging",
    "s3:GetObject": "s3:GetObjectVersion",
    "s3:GetObjectAcl": "s3:GetObjectVersionAcl",
    "s3:GetObjectAttributes": "s3:GetObjectVersionAttributes",
    "s3:GetObjectTagging": "s3:GetObjectVersionTagging",
    "s3:PutObjectAcl": "s3:PutObjectVersionAcl",
    "s3:PutObjectTagging": "s3:PutObjectVersionTagging",
}
# The additional action of a request to S3 that writes an object, by a part of ``CallKey.variant``.
_FURTHER = {"acl": "s3:PutObjectAcl", "tagging": "s3:PutObjectTagging"}
# Lambda and CloudFront append the version of their API to the names of events, such as ListFunctions20150331.
_API_VERSION = re.compile(r"(?:\d{8}|\d{4}_\d\d_\d\d)(?:v\d+)?\Z", re.ASCII)
_VERSIONED_APIS = ("lambda", "cloudfront")


def service_of_source(source: str) -> str:
    """Return the service prefix of the actions of an event source, such as "cloudwatch" for monitoring.amazonaws.com."""
    name = source.removesuffix(".amazonaws.com")
    return _SERVICES.get(name, name)


def event_actions(source: str, name: str, variant: str, catalogue: Catalogue) -> tuple[str, ...]:
    """Return the actions that an event needs, or an empty tuple if they are unknown.

    :arg variant: the parameters that require other actions (see ``CallKey``).
    """
    service = service_of_source(source)
    if service in _VERSIONED_APIS:
        name = _API_VERSION.sub("", name)
    action = f"{service}:{name}"
    actions = _ACTIONS.get(action, (action,))
    marks = variant.split("+")
    if "version" in marks:
        actions = tuple(_VERSIONED.get(item, item) for item in actions)
    if actions == ("s3:PutObject",):
        actions += tuple(further for mark, further in _FURTHER.items() if mark in marks)
    existing = tuple(filter(None, map(catalogue.spelling, actions)))
    return existing if len(existing) == len(actions) else ()


_ALL = ("*",)
# The actions whose events are data events. A trail records them only if its data events are switched on.
_DATA: Mapping[str, tuple[str, ...]] = {
    "cloudwatch": ("GetMetricData", "GetMetricStatistics", "GetMetricWidgetImage", "PutMetricData"),
    "dynamodb": (
        *("BatchGetItem", "BatchWriteItem", "ConditionCheckItem", "DeleteItem", "GetItem", "GetRecords"),
        *("GetShardIterator", "PartiQLDelete", "PartiQLInsert", "PartiQLSelect", "PartiQLUpdate", "PutItem"),
        *("Query", "Scan", "UpdateItem"),
    ),
    "kinesis": ("GetRecords", "GetShardIterator", "PutRecord", "PutRecords", "SubscribeToShard"),
    "lambda": ("InvokeAsync", "InvokeFunction", "InvokeFunctionUrl"),
    "s3": (
        *("AbortMultipartUpload", "BypassGovernanceRetention", "DeleteObject", "DeleteObjectTagging"),
        *("DeleteObjectVersion", "DeleteObjectVersionTagging", "GetObject", "GetObjectAcl"),
        *("GetObjectAttributes", "GetObjectLegalHold", "GetObjectRetention", "GetObjectTagging"),
        *("GetObjectTorrent", "GetObjectVersion", "GetObjectVersionAcl", "GetObjectVersionAttributes"),
        *("GetObjectVersionTagging", "GetObjectVersionTorrent", "ListBucket", "ListBucketMultipartUploads"),
        *("ListBucketVersions", "ListMultipartUploadParts", "PutObject", "PutObjectAcl"),
        *("PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "PutObjectVersionAcl"),
        *("PutObjectVersionTagging", "RestoreObject"),
    ),
    "sns": ("Publish",),
    "sqs": ("ChangeMessageVisibility", "DeleteMessage", "ReceiveMessage", "SendMessage"),
}
# The actions whose use CloudTrail does not record, or records only in part.
_UNRECORDED: Mapping[str, tuple[str, ...]] = {
    "aoss": ("APIAccessAll", "DashboardsAccessAll"),
    "appsync": ("GraphQL",),
    "aps": ("GetLabels", "GetMetricMetadata", "GetSeries", "QueryMetrics", "RemoteWrite"),
    "ec2messages": _ALL,
    "elasticache": ("Connect",),
    "elasticfilesystem": ("ClientMount", "ClientRootAccess", "ClientWrite"),
    "es": ("ESHttpDelete", "ESHttpGet", "ESHttpHead", "ESHttpPatch", "ESHttpPost", "ESHttpPut"),
    "execute-api": _ALL,
    "firehose": ("PutRecord", "PutRecordBatch"),
    "iam": ("PassRole",),
    "kafka-cluster": _ALL,
    "logs": ("PutLogEvents",),
    "memorydb": ("Connect",),
    "neptune-db": _ALL,
    "rds-db": _ALL,
    "ssmmessages": _ALL,
    "xray": (
        *("GetSamplingRules", "GetSamplingStatisticSummaries", "GetSamplingTargets"),
        *("PutTelemetryRecords", "PutTraceSegments"),
    ),
}
DATA_SERVICES = tuple(_DATA)


def is_unseen(action: str, data_services: frozenset[str]) -> bool:
    """Return whether an action can be in use although no event shows it.

    :arg action: an action in the spelling of the catalogue.
    :arg data_services: the services with data events in the input.
    """
    service, _colon, name = action.partition(":")
    unrecorded = _UNRECORDED.get(service, ())
    if unrecorded == _ALL or name in unrecorded:
        return True
    return service not in data_services and name in _DATA.get(service, ())
