# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: eks_clusters
version_added: 1.0.0
short_description: List EKS clusters of several accounts and regions as hosts
description:
  - Lists the Amazon EKS clusters of one or more regions and accounts. Each cluster is a host.
  - The variables of a host describe the cluster. They include the variables that the role
    P(workload_identity.aws.pod_identity#role) needs to find and access the cluster, so you can run the playbooks of this
    collection on all clusters or on any group.
  - The name of an inventory source file must end with C(eks_clusters.yml) or C(eks_clusters.yaml).
  - The plugin does not change AWS. C(docs/iam-permissions.md) lists the permissions that it needs.
author:
  - The workload_identity.aws authors (@workload-identity)
extends_documentation_fragment:
  - ansible.builtin.constructed
  - ansible.builtin.inventory_cache
  - amazon.aws.common.plugins
  - amazon.aws.region.plugins
  - amazon.aws.boto3
options:
  plugin:
    description: The name of this plugin.
    type: str
    required: true
    choices:
      - workload_identity.aws.eks_clusters
  regions:
    description:
      - The regions to read.
      - The single value V(all) means all enabled regions of the account. This value needs the permission C(ec2:DescribeRegions).
      - Defaults to O(region), or the region of the profile or the environment.
    type: list
    elements: str
    env:
      - name: EKS_CLUSTERS_REGIONS
  accounts:
    description:
      - The accounts to read, each with the role to assume.
      - Defaults to the account of the credentials.
    type: list
    elements: dict
    suboptions:
      assume_role_arn:
        description: ARN of the role to assume, which also selects the account.
        type: str
        required: true
      assume_role_external_id:
        description: The external ID that the role's trust policy requires.
        type: str
      regions:
        description: The regions of this account, instead of O(regions).
        type: list
        elements: str
  organization:
    description:
      - Read all active accounts of the organization to which the credentials belong. This needs the permission
        C(organizations:ListAccounts) in the management account or in a delegated administrator account.
      - The account of the credentials is read without a role. An account that is also in O(accounts) is read with the role
        from O(accounts).
    type: dict
    suboptions:
      role_name:
        description: Name of the role to assume in each account. If the role has a path, include the path, like C(fleet/reader).
        type: str
        required: true
      assume_role_external_id:
        description: The external ID that the trust policies of the roles require.
        type: str
      include_accounts:
        description: IDs of the accounts to read, instead of all accounts.
        type: list
        elements: str
      exclude_accounts:
        description: IDs of accounts to exclude.
        type: list
        elements: str
  own_account:
    description:
      - Whether to read the account of the credentials, without a role.
      - Defaults to true if O(accounts), O(organization) and O(assume_role_arn) are not set.
    type: bool
  assume_role_arn:
    description:
      - ARN of a role to assume. The plugin reads the account of this role. To read several accounts, use O(accounts).
    type: str
  assume_role_external_id:
    description: The external ID that the trust policy of O(assume_role_arn) requires.
    type: str
  include_filters:
    description:
      - Only clusters that match one of these filters become hosts.
      - A filter is a mapping with the keys C(name), C(status), C(version), C(region), C(account) and C(tag:KEY). Each value
        is a pattern or a list of patterns. A cluster matches a filter if each key of the filter has a matching pattern.
        Patterns are case-sensitive shell patterns with C(*) and C(?).
    type: list
    elements: dict
  exclude_filters:
    description: Clusters that match one of these filters are excluded, even if they match O(include_filters).
    type: list
    elements: dict
  hostnames:
    description:
      - Forms of host names. The first form that has a value for the cluster is used.
      - A form is a combination of C(name), C(region) and C(account) with dots between them, or C(arn), or C(tag:KEY).
      - Two clusters with the same host name are an error. The plugin does not make such names unique with a suffix, so
        that a new cluster never changes the host name of another cluster.
    type: list
    elements: str
    default:
      - name.region.account
  default_groups:
    description:
      - Groups to create in addition to C(eks_clusters), which contains all hosts.
      - The names of the groups are C(eks_region_REGION), C(eks_account_ID), C(eks_version_VERSION), C(eks_status_STATUS) with
        the status in lower case, and C(eks_tag_KEY_VALUE), or C(eks_tag_KEY) for a tag without a value. Tags whose key starts
        with C(aws:) do not create groups.
      - Characters other than ASCII letters and digits become C(_) in a group's name, as in
        C(eks_region_eu_central_1). Tags that differ only in such characters share a group.
    type: list
    elements: str
    choices:
      - region
      - account
      - version
      - status
      - tag
    default:
      - region
      - account
      - version
      - status
      - tag
  require_all:
    description:
      - Whether the plugin fails if it cannot read an account, a region or a cluster. By default it prints a warning with
        cause and remedy, and the other clusters become hosts.
      - The plugin always fails if all reads fail.
    type: bool
    default: false
    env:
      - name: EKS_CLUSTERS_REQUIRE_ALL
  concurrency:
    description: Maximum number of concurrent requests, from 1 to 64.
    type: int
    default: 16
notes:
  - The variables of a host are C(eks_account), C(eks_agent_addon), C(eks_arn), C(eks_auto_mode),
    C(eks_certificate_authority_data), C(eks_endpoint), C(eks_name), C(eks_platform_version), C(eks_region), C(eks_status),
    C(eks_tags) and C(eks_version). C(eks_agent_addon) is a mapping with C(present), C(status) and C(version) of the add-on
    C(eks-pod-identity-agent). C(present) is null if the add-on could not be read.
  - The variables for the role are C(pod_identity_cluster_name), C(pod_identity_account_id) and C(pod_identity_region). With an
    assumed role, C(pod_identity_assume_role_arn) is set, and the external ID if the file sets
    it. C(pod_identity_profile) is set if the file sets O(profile). C(ansible_connection) is V(local), because you cannot log
    in to a cluster.
  - The plugin does not set variables with access keys. Plays use the credentials of the environment or a profile.
  - Text from AWS, such as the value of a tag, is never evaluated as a template.
  - With O(cache=true) all results, including certificate authorities and endpoints, are stored as one entry of the cache,
    which expires after O(cache_timeout). Host names and groups are computed again in each run. The entry is not used if the
    access key changes, or an option that selects clusters. Results with a read error are not cached. C(--flush-cache) and
    C(meta=refresh_inventory) ignore the cache.
  - If an inventory source fails, Ansible prints a warning and continues without the source, unless
    C(ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED) is true. Set this environment variable if a missing cluster must be an error.
  - Values in the file may be templates, for instance with the lookup P(ansible.builtin.env#lookup).
"""

EXAMPLES = r"""
# fmt: yaml+jinja
# fleet.eks_clusters.yml: the clusters of one account in two regions
plugin: workload_identity.aws.eks_clusters
regions:
  - eu-central-1
  - us-west-2

---
# Two accounts with a role in each, without sandboxes and unusable clusters, and with groups by the tag "stage"
plugin: workload_identity.aws.eks_clusters
regions: all
accounts:
  - assume_role_arn: arn:aws:iam::111122223333:role/fleet
  - assume_role_arn: arn:aws:iam::444455556666:role/fleet
    assume_role_external_id: payments-fleet
    regions: [eu-central-1]
exclude_filters:
  - status: [DELETING, FAILED]
  - tag:stage: sandbox-*
keyed_groups:
  - key: eks_tags.stage
    prefix: stage

---
# All accounts of the organization; a read error ends the job
plugin: workload_identity.aws.eks_clusters
regions: [eu-central-1]
organization:
  role_name: fleet
  exclude_accounts: ["777788889999"]
require_all: true

---
# Production clusters with their cluster names, which must be unique, as host names; cached for five minutes
plugin: workload_identity.aws.eks_clusters
regions: [eu-central-1]
include_filters:
  - tag:stage: prod
hostnames: [name]
groups:
  without_agent: not eks_auto_mode and not eks_agent_addon.present
cache: true
cache_plugin: ansible.builtin.jsonfile
cache_connection: ~/.cache/eks-clusters
cache_timeout: 300
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ansible.errors import AnsibleError, AnsibleParserError
from ansible.plugins.inventory import BaseInventoryPlugin, Cacheable, Constructable
from ansible.utils.unsafe_proxy import wrap_var
from ansible.utils.vars import load_extra_vars
from ansible_collections.amazon.aws.plugins.module_utils.botocore import (
    check_sdk_version_supported,
)
from ansible_collections.amazon.aws.plugins.module_utils.exceptions import AnsibleBotocoreError

from ..module_utils._aws.sessions import Sessions
from ..module_utils._findings.text import (
    visible_lines,
    with_option_names,
)
from ..module_utils._identity.inputs.inventory_source import (
    read_request,
    validate_credentials,
    validate_names,
)
from ..module_utils._identity.inventory import (
    ALL_CLUSTERS,
    ClusterHost,
    describe_unread,
    from_cache,
    make_hosts,
    to_cache,
)
from ..module_utils._identity.model.accounts import (
    ALL_REGIONS,
    FoundCluster,
    InventoryRequest,
)
from ..module_utils._identity.model.errors import (
    AwsError,
    InputError,
    sentence,
)
from ..module_utils._identity.read.clusters import (
    read_clusters,
)

try:
    from ansible.template import trust_as_template
except ImportError:  # ansible-core before 2.19 trusts unmarked text.
    trust_as_template = str

SUFFIXES = ("eks_clusters.yml", "eks_clusters.yaml")
# These options have Jinja expressions. Ansible's class Constructable evaluates these expressions later, for each host.
CONSTRUCTED = ("compose", "groups", "keyed_groups")
# Options that are not part of the cache key: secrets, and options that do not affect the selection of clusters.
NOT_IN_KEY = (
    *CONSTRUCTED,
    "cache",
    "cache_connection",
    "cache_plugin",
    "cache_prefix",
    "cache_timeout",
    "concurrency",
    "default_groups",
    "hostnames",
    "leading_separator",
    "plugin",
    "require_all",
    "secret_key",
    "session_token",
    "strict",
    "use_extra_vars",
)


class InventoryModule(BaseInventoryPlugin, Constructable, Cacheable):  # type: ignore[misc]  # Ansible has no types
    NAME = "workload_identity.aws.eks_clusters"

    def verify_file(self, path: str) -> bool:
        return bool(super().verify_file(path)) and path.endswith(SUFFIXES)

    def parse(self, inventory: Any, loader: Any, path: str, cache: bool = True) -> None:
        super().parse(inventory, loader, path, cache)
        try:
            check_sdk_version_supported(warn=self.display.warning)
            config = self._read_file(path)
            hosts = self._hosts(config, path, cache)
        except (InputError, AwsError, AnsibleBotocoreError) as error:
            raise AnsibleParserError(_error_message(error)) from None
        # Add hosts only after all reads, so that a read error does not leave a partial inventory.
        self.inventory.add_group(ALL_CLUSTERS)
        for host in hosts:
            self._add(host)

    def _read_file(self, path: str) -> Mapping[str, Any]:
        """Read the source file, set the options of the plugin, and return the options in the file.

        Templates are evaluated, except in CONSTRUCTED.

        :raises InputError: when the file has an unknown option.
        """
        config = self._read_config_data(path)
        definitions = self.option_definitions
        aliases = [alias for definition in definitions.values() for alias in definition.get("aliases", ())]
        validate_names(config, [*(name for name in definitions if not name.startswith("_")), *aliases])
        variables = load_extra_vars(self.loader)
        self.templar.available_variables = variables
        evaluated = {name: self._evaluated(name, value) for name, value in config.items()}
        self.set_options(direct=evaluated, var_options=variables)
        return evaluated

    def _evaluated(self, name: str, value: Any) -> Any:
        if name in CONSTRUCTED:
            return value
        try:
            return self.templar.template(value)
        except AnsibleError as error:
            raise AnsibleParserError(visible_lines(f"{name}: {error}")) from None

    def _hosts(self, config: Mapping[str, Any], path: str, cache: bool) -> list[ClusterHost]:
        options: dict[str, Any] = dict(self.get_options())
        validate_credentials(options)
        sessions = self._sessions(options)
        # Without a region in the options, use the region of the profile or the environment.
        request = read_request({**options, "region": options.get("region") or sessions.region or None})
        clusters = self._cached(options, path, request, sessions, cache)
        connection = (
            {"pod_identity_profile": options["profile"]}
            if options["profile"] and {"profile", "aws_profile"} & config.keys()
            else {}
        )
        return make_hosts(clusters, request.hostnames, request.group_by, connection)

    def _sessions(self, options: Mapping[str, Any]) -> Sessions:
        # The region for requests that do not read the clusters of a region, such as AssumeRole.
        first = next(iter(options.get("regions") or ()), ALL_REGIONS)
        home = options.get("region") or ("" if first == ALL_REGIONS else first)
        return Sessions(options, home, int(options["concurrency"]))

    def _cached(
        self,
        options: Mapping[str, Any],
        path: str,
        request: InventoryRequest,
        sessions: Sessions,
        cache: bool,
    ) -> tuple[FoundCluster, ...]:
        """Return the clusters. With the option ``cache``, use the cache of Ansible, but do not write results with a read error.

        :arg cache: whether to read the cache. It is False for ``--flush-cache`` and ``meta: refresh_inventory``.
        """
        if not options["cache"]:
            return self._read_clusters(request, sessions)[0]
        self.load_cache_plugin()
        key = f"{self.get_cache_key(path)}_{_options_digest(options)}"
        entries = self._cache
        if cache:
            try:
                clusters_in_cache = from_cache(entries[key])
            except KeyError:
                clusters_in_cache = None
            if clusters_in_cache is not None:
                return clusters_in_cache
        clusters, complete = self._read_clusters(request, sessions)
        if complete:
            entries[key] = to_cache(clusters)
        return clusters

    def _read_clusters(
        self, request: InventoryRequest, sessions: Sessions
    ) -> tuple[tuple[FoundCluster, ...], bool]:
        """Read the clusters from AWS.

        :returns: the clusters, and whether all reads succeeded.
        :raises AnsibleParserError: when all reads failed, or with the option require_all when any read failed.
        """
        result = read_clusters(request, sessions, sessions.home)
        messages = [str(with_option_names(text, "")) for text in describe_unread(result.failures)]
        if messages and (result.all_failed or request.require_all):
            raise AnsibleParserError(visible_lines("\n".join(messages)))
        for message in messages:
            self.display.warning(visible_lines(message))
        return result.clusters, not messages

    def _add(self, host: ClusterHost) -> None:
        for group in host.groups:
            self.inventory.add_group(group)
        self.inventory.add_host(host.name)
        for group in host.groups:
            self.inventory.add_host(host.name, group=group)
        for name, value in host.variables.items():
            self.inventory.set_variable(host.name, name, inert(value))
        variables = self.inventory.get_host(host.name).get_vars()
        strict = self.get_option("strict")
        self._set_composite_vars(self.get_option("compose"), variables, host.name, strict=strict)
        self._add_host_to_composed_groups(self.get_option("groups"), variables, host.name, strict=strict)
        self._add_host_to_keyed_groups(self.get_option("keyed_groups"), variables, host.name, strict=strict)


def _error_message(error: Exception) -> str:
    if isinstance(error, InputError):
        return visible_lines("\n".join(error.problems))
    if isinstance(error, AwsError):
        text = with_option_names(f"No cluster could be read. {sentence(str(error))} {error.remedy}", "")
        return visible_lines(str(text))
    return str(error)


def _options_digest(options: Mapping[str, Any]) -> str:
    """Return a digest of the options that select clusters, as a part of the cache key."""
    selection = {name: value for name, value in options.items() if name not in NOT_IN_KEY}
    text = json.dumps(selection, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def inert(value: Any) -> Any:
    """Mark a text, or every text in a mapping, so that Ansible never evaluates it as a template.

    Text that may be a template is marked as unsafe, because ansible-core before 2.19 evaluates unmarked text. Other text is
    marked as trusted, because ansible-core 2.19 and newer print untrusted text as a mapping in ``ansible-inventory --list``.
    """
    if isinstance(value, Mapping):
        return {key: inert(part) for key, part in value.items()}
    if not isinstance(value, str):
        return value
    # A header such as "#jinja2: variable_start_string:'[['" defines delimiters other than braces.
    may_be_template = "{" in value or value.lstrip().startswith("#jinja2")
    return wrap_var(value) if may_be_template else trust_as_template(value)
