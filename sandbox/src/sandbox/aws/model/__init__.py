# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later
"""The model of AWS: IAM, STS, EKS and EKS Auth in memory, in plain Python without network.

The unit tests of the collection call the operations directly; the embedded AWS endpoint serves them over HTTP. An operation
is a method with the name of the operation. It takes the parameters and returns the response as boto3 has them: documents are
decoded, and times are datetimes. It raises :class:`sandbox.aws.model.errors.Refusal` for an error response.
"""
