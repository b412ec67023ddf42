# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_token
version_added: 1.0.0
short_description: Create a bearer token for the Kubernetes API of an EKS cluster
description:
  - Returns the same kind of token as C(aws eks get-token), for the modules of kubernetes.core and other clients with a
    bearer token. The lookup does not need the AWS CLI or a kubeconfig.
  - The token is a presigned request for C(sts:GetCallerIdentity) to the STS endpoint of the region. The lookup signs the
    token without a request to AWS, except to assume a role. So a missing cluster or missing access causes an error only when
    you use the token.
  - The cluster accepts the token for 15 minutes, but only as long as the credentials are valid. Each evaluation creates a new
    token, so use the lookup in the task that needs the token, not in a fact.
  - The caller needs an access entry in the cluster, or a line in its ConfigMap C(aws-auth).
  - The role P(workload_identity.aws.pod_identity#role) creates its own tokens.
author:
  - The workload_identity.aws authors (@workload-identity)
extends_documentation_fragment:
  - amazon.aws.common.plugins
  - amazon.aws.region.plugins
  - amazon.aws.boto3
  - workload_identity.aws.assume_role
options:
  _terms:
    description: The names of EKS clusters, all of them in O(region).
    type: list
    elements: str
    required: true
  want:
    description:
      - V(token) returns the token alone.
      - V(credential) returns a mapping with C(token) and C(expires_at). Do not use the token after C(expires_at), which is a
        minute before the token expires, or the end of the session of the credentials if that is earlier.
    type: str
    choices:
      - token
      - credential
    default: token
notes:
  - With O(assume_role_arn) the token belongs to the assumed role, so that role needs the access entry.
  - The token is a secret. Ansible does not show or log module options for tokens, such as
    O(kubernetes.core.k8s#module:api_key). In other tasks use C(no_log=true).
  - Ansible writes the arguments of a module to a temporary file that only the current user can read, and deletes the file
    after the task. With pipelining (C(ANSIBLE_PIPELINING=true)) Ansible does not write this file.
"""

EXAMPLES = r"""
- name: Write the certificate authority of the cluster to a file
  ansible.builtin.copy:
    content: "{{ eks_certificate_authority_data | ansible.builtin.b64decode }}"
    dest: /tmp/my-cluster.crt
    mode: "0644"

- name: List the namespaces of the cluster, without kubeconfig, kubectl and AWS CLI
  kubernetes.core.k8s_info:
    kind: Namespace
    host: "{{ eks_endpoint }}"
    ca_cert: /tmp/my-cluster.crt
    api_key: "{{ lookup('workload_identity.aws.eks_token', 'my-cluster', region=eks_region) }}"

- name: Show the expiry of a token
  ansible.builtin.debug:
    msg: "{{ (lookup('workload_identity.aws.eks_token', 'my-cluster', want='credential', region=eks_region)).expires_at }}"
"""

RETURN = r"""
_raw:
  description:
    - A token for each cluster, or with O(want=credential) a mapping with C(token) and C(expires_at).
  type: list
  elements: raw
  sample:
    - token: k8s-aws-v1.aHR0cHM6Ly9zdHMudXMtd2VzdC0yLmFtYXpvbmF3cy5jb20v
      expires_at: "2026-11-26T02:14:00Z"
"""

import re
from datetime import datetime, timezone
from typing import Any

from ansible.errors import AnsibleLookupError
from ansible.plugins.filter.core import flatten
from ansible.plugins.lookup import LookupBase

from ..module_utils._aws.eks_token import EksToken
from ..module_utils._findings.text import (
    visible,
    with_option_names,
)
from ..module_utils._identity.inputs.assume_role import read_assume_role
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    sentence,
)
from ..plugin_utils._aws_clients import (
    AwsClients,
    check_options,
)

# The pattern of cluster names in the EKS API (CreateCluster).
CLUSTER_NAME = re.compile(r"[0-9A-Za-z][A-Za-z0-9_-]{0,99}")


class LookupModule(LookupBase):  # type: ignore[misc]  # Ansible has no type information
    def run(self, terms: list[str], variables: Any = None, **kwargs: Any) -> list[Any]:
        self.set_options(var_options=variables, direct=kwargs)
        names = flatten(terms, skip_nulls=False)
        invalid = [str(name) for name in names if not CLUSTER_NAME.fullmatch(str(name))]
        if invalid or not names:
            raise AnsibleLookupError(
                f"eks_token needs the names of EKS clusters, got {visible(repr(invalid[0])) if invalid else 'no name'}."
            )
        try:
            options = check_options(self.get_options())
            clients = AwsClients(options, read_assume_role(options))
            tokens = clients.sign_tokens(map(str, names), datetime.now(timezone.utc))
        except InputError as error:
            raise AnsibleLookupError(visible(str(error))) from None
        except AwsError as error:
            message = f"No token for {', '.join(map(str, names))}: {sentence(str(error))} {error.remedy}"
            raise AnsibleLookupError(str(with_option_names(message, ""))) from None
        if self.get_option("want") == "token":
            return [token.text for token in tokens]
        return [_credential(token) for token in tokens]


def _credential(token: EksToken) -> dict[str, str]:
    return {"token": token.text, "expires_at": f"{token.expires_at:%Y-%m-%dT%H:%M:%SZ}"}
