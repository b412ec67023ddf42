# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded AWS endpoint: the part of IAM, STS, EKS and EKS Auth that EKS Pod Identity needs.

``ministack`` serves the requests; the overlay in this package adds checks and operations that ministack
lacks. Code outside this package uses HTTP: :class:`sandbox.aws.control.AwsControl` and any AWS SDK.

An access key ID of twelve digits is the root user of that account. Every account and region exists, empty.

Where it differs from AWS:

* Changes are visible at once. Stale reads and the propagation of IAM changes to EKS must be enabled; they
  do not apply to users, groups, instance profiles and node groups.
* A trust policy keeps the ARN of a deleted role; AWS replaces it with the role's unique ID.
* EKS Auth does not check the signature of a service account token.
* There are no subnets: with --auth, two well-formed subnet IDs are required.
* Signatures of root users are not checked, even with --auth.
* Without --auth, root users can assume roles. With it, a caller needs sts:AssumeRole even for a role of its
  own account whose trust policy names the caller.
* Quotas for the number of roles, policies and associations are not enforced.
* AWS managed policies are a selection, some with shortened documents.
* Some error codes follow the API model, but their messages are not AWS's: those about session policies,
  target roles, page sizes and tokens, EKS tags, reused client request tokens, unknown association IDs.
"""
