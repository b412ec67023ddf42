# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded AWS endpoint: IAM, STS, EKS and EKS Auth as far as EKS Pod Identity needs them.

``ministack`` answers the requests; the overlay in this package adds what AWS does and ministack
does not. Everything outside this package talks to it over HTTP, through
:class:`sandbox.aws.control.AwsControl` and any AWS SDK.

An access key ID of twelve digits is that account's root. Every account and region is there, empty.

Where it differs from AWS:

* Changes are seen by every call at once; that reads are late and that IAM's changes reach EKS late is
  there on request only. Users, groups, instance profiles and node groups are never late.
* A trust policy keeps the ARN of a role that is deleted later; AWS puts the role's unique ID there.
* EKS Auth does not check the signature of a service account's token.
* There are no subnets: with --auth their IDs have to look like some, and to be two.
* The root's signatures are not checked, even with --auth.
* Without --auth an account's root may assume roles. With it a caller needs sts:AssumeRole also for a
  role of its own account that trusts it by name.
* Quotas on the number of roles, policies and associations are not kept.
* AWS's own policies are a selection, some with shortened documents.
* The codes of these refusals follow the API model, but their texts are this project's own: session
  policies, target roles, page sizes and tokens, EKS tags, reused client request tokens, unknown
  association IDs.
"""
