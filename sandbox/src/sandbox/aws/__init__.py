# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded AWS endpoint: an emulation of those parts of IAM, STS, EKS and EKS Auth that EKS Pod Identity needs.

``model`` has the operations, in plain Python. The other modules serve them over HTTP: requests and responses follow the service
models of botocore. Code outside this package uses HTTP: any AWS SDK for requests to AWS, and
:class:`sandbox.aws.control.AwsControl` to control the endpoint. The unit tests of the collection call the model directly.

An access key ID of twelve digits belongs to the root user of the account with that ID. Every account and every region
exists, and has no resources at first.

Differences from AWS:

* By default, reads show changes at once, and EKS sees changes of IAM at once. Delays can be enabled for roles, policies,
  associations, clusters and add-ons, but not for users, groups, instance profiles and node groups.
* A trust policy keeps the ARN of a deleted role; AWS replaces it with the role's unique ID.
* EKS Auth and AssumeRoleWithWebIdentity do not check the signature of a service account token. For
  AssumeRoleWithWebIdentity, the identity provider need not exist in IAM.
* There are no subnets: with --auth, two well-formed subnet IDs are required.
* Signatures of API requests from root users are not checked, even with --auth.
* Without --auth, root users can assume roles. With --auth, a caller needs sts:AssumeRole even for a role in the same account
  whose trust policy names the caller.
* Quotas for the number of roles, policies and associations are not enforced.
* AWS managed policies are a selection, some with shortened documents.
* The errors about session policies, target roles, page sizes and tokens, EKS tags, reused client request tokens, and unknown
  association IDs have the codes of the API model, but not the messages of AWS.
"""
