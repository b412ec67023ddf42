# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The embedded AWS endpoint: IAM, STS, EKS and EKS Auth as far as EKS Pod Identity needs them.

``ministack`` answers the requests; the overlay in this package adds what AWS does and ministack
does not. Everything outside this package talks to it over HTTP, through
:class:`sandbox.aws.control.AwsControl` and any AWS SDK.
"""
