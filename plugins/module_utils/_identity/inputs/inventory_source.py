# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Parse the options of the inventory plugin ``eks_clusters``, before any request to AWS. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ..model.accounts import (
    ALL_REGIONS,
    TAG,
    AccountAccess,
    AssumeRole,
    Filter,
    InventoryRequest,
    Organization,
)
from ..model.errors import Problems
from ..model.names import ACCOUNT_ID
from .assume_role import ASSUME_ROLE_OPTIONS, EXTERNAL_ID, parse_assume_role, parse_external_id
from .fields import Fields

GROUPINGS = ("region", "account", "version", "status", "tag")
DEFAULT_HOSTNAME = "name.region.account"
# The maximum of the option ``concurrency``.
MOST_CONCURRENT = 64

_CRITERIA = ("name", "status", "version", "region", "account")
ACCOUNT_KEYS = (*ASSUME_ROLE_OPTIONS, "regions")
ORGANIZATION_KEYS = ("role_name", EXTERNAL_ID, "include_accounts", "exclude_accounts")
_REGION = re.compile(r"[a-z]{2,4}(-[a-z]+)+-[0-9]{1,2}", re.ASCII)
# The name of an IAM role, preceded by its path if it has one.
_ROLE_NAME = re.compile(r"([\x21-\x7e]+/)?[\w+=,.@-]{1,64}", re.ASCII)
_URL = re.compile(r"(https?://.+)?", re.ASCII)
_HOSTNAME = re.compile(r"arn|tag:.+|(name|region|account)(\.(name|region|account))*", re.DOTALL)


def validate_names(options: Mapping[object, object], names: Sequence[str]) -> None:
    """Raise InputError for options that are not in ``names``, because Ansible silently ignores unknown options."""
    problems = Problems()
    Fields(options, "", problems).report_unknown(names)
    problems.raise_if_any()


def validate_credentials(options: Mapping[str, object]) -> None:
    """Raise InputError for incomplete or mutually exclusive credentials, or an invalid ``endpoint_url``."""
    problems = Problems()
    fields = Fields(dict(options.items()), "", problems)
    if fields.raw.get("profile") and (fields.raw.get("access_key") or fields.raw.get("secret_key")):
        problems.add(
            "",
            "profile and access_key are mutually exclusive, but both are set, as options or as AWS_PROFILE and "
            "AWS_ACCESS_KEY_ID. Set one of them.",
        )
    if bool(fields.raw.get("access_key")) != bool(fields.raw.get("secret_key")):
        problems.add("", "access_key and secret_key must be set together; one of them is missing.")
    fields.text("endpoint_url", pattern=_URL, rule="a URL that begins with https:// or http://")
    problems.raise_if_any()


def read_request(options: Mapping[str, object]) -> InventoryRequest:
    """Return the accounts, regions and filters that the options of an inventory source select.

    :arg options: option values by name.
    :raises InputError: with all problems. A missing region is reported only if there is no other problem.
    """
    problems = Problems()
    fields = Fields(dict(options.items()), "", problems)
    default = fields.text("region") or ""
    regions = _regions(fields, "regions", (default,) if default else ())
    role = parse_assume_role(fields)
    accounts = _parse_accounts(fields, regions)
    organization = _organization(fields)
    account_options = [name for name in ("accounts", "organization") if fields.has(name)]
    if role and account_options:
        problems.add(
            "",
            f"assume_role_arn and {account_options[0]} are mutually exclusive, because the plugin does not use one assumed "
            "role to assume others. To also read the account of assume_role_arn, move its role to accounts.",
        )
    own_account = fields.flag("own_account")
    request = InventoryRequest(
        regions=regions,
        accounts=(AccountAccess(_role_account(role), role, regions),) if role else accounts,
        organization=organization,
        own_account=not (role or account_options) if own_account is None else own_account,
        include=_filters(fields, "include_filters"),
        exclude=_filters(fields, "exclude_filters"),
        hostnames=_hostnames(fields),
        group_by=_group_by(fields),
        require_all=fields.flag("require_all") or False,
        concurrency=fields.integer("concurrency", 1, MOST_CONCURRENT) or 1,
    )
    needs_region = (
        request.own_account or organization or any(not account.regions for account in request.accounts)
    )
    if needs_region and not problems.texts and not regions:
        problems.add(
            "", "no region is set. Set regions (or `regions: all`), the option region, or AWS_REGION."
        )
    problems.raise_if_any()
    return request


def _role_account(role: AssumeRole) -> str:
    """Return the account ID in the role's ARN, or "" if the ARN was rejected."""
    return role.account_id if role.arn else ""


def _regions(fields: Fields, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
    regions = tuple(dict.fromkeys(fields.names(name)))
    if ALL_REGIONS in regions and len(regions) > 1:
        fields.refuse(name, f"a list of regions, or {ALL_REGIONS} alone")
    for region in regions:
        if region != ALL_REGIONS and not _REGION.fullmatch(region):
            fields.problems.add(
                fields.place, f"{name}: '{region}' is not the name of a region, such as eu-central-1."
            )
    return regions or default


def _parse_accounts(fields: Fields, regions: tuple[str, ...]) -> tuple[AccountAccess, ...]:
    accounts: dict[str, AccountAccess] = {}
    for index, entry in enumerate(fields.entries("accounts")):
        place = f"accounts[{index}]"
        if not isinstance(entry, Mapping):
            fields.problems.add(place, "must be a mapping with assume_role_arn.")
            continue
        inner = Fields(entry, place, fields.problems)
        inner.report_unknown(ACCOUNT_KEYS)
        role = parse_assume_role(inner)
        if role is None:
            fields.problems.add(
                place,
                "assume_role_arn is missing. For the account of the credentials themselves set own_account: true.",
            )
            continue
        account_id = _role_account(role)
        if role.arn and account_id in accounts:
            fields.problems.add(
                place, f"account {account_id} is listed twice; an account is read with one role."
            )
        accounts[account_id] = AccountAccess(account_id, role, _regions(inner, "regions", regions))
    return tuple(accounts.values())


def _organization(fields: Fields) -> Organization | None:
    raw = fields.mapping("organization")
    if raw is None:
        return None
    inner = Fields(raw, "organization", fields.problems)
    inner.report_unknown(ORGANIZATION_KEYS)
    name = inner.text("role_name", "", _ROLE_NAME, "the name of a role, with its path if it has one") or ""
    if not inner.has("role_name"):
        fields.problems.add(
            "organization", "role_name is missing. Set the name of the role to assume in each account."
        )
    return Organization(
        name.lstrip("/"),
        parse_external_id(inner),
        include=_account_ids(inner, "include_accounts"),
        exclude=_account_ids(inner, "exclude_accounts"),
    )


def _account_ids(fields: Fields, name: str) -> frozenset[str]:
    ids = fields.names(name)
    for account_id in ids:
        if not ACCOUNT_ID.fullmatch(account_id):
            fields.problems.add(
                fields.place,
                f"{name}: '{account_id}' is not an account ID, which has 12 digits. Write the ID in quotation marks, because "
                "YAML can change an unquoted ID that starts with 0.",
            )
    return frozenset(ids)


def _filters(fields: Fields, name: str) -> tuple[Filter, ...]:
    filters = []
    for index, entry in enumerate(fields.entries(name)):
        place = f"{name}[{index}]"
        if not isinstance(entry, Mapping) or not entry:
            fields.problems.add(place, f"must be a mapping of {', '.join(_CRITERIA)} or tag:KEY to patterns.")
            continue
        inner = Fields(entry, place, fields.problems)
        tags = [str(key) for key in entry if str(key).startswith(TAG) and len(str(key)) > len(TAG)]
        inner.report_unknown((*_CRITERIA, *tags))
        filters.append({str(key): _patterns(inner, str(key)) for key in entry if isinstance(key, str)})
    return tuple(filters)


def _patterns(fields: Fields, name: str) -> tuple[str, ...]:
    value = fields.raw.get(name)
    patterns = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    for pattern in patterns:
        # YAML parses the unquoted text 1.30 (a version) as the number 1.3, and the unquoted text yes as true.
        if isinstance(pattern, (bool, float)) or not isinstance(pattern, (str, int)):
            fields.problems.add(fields.place, f"{name} must be text, in quotation marks, got {pattern!r}.")
    return tuple(str(pattern) for pattern in patterns)


def _hostnames(fields: Fields) -> tuple[str, ...]:
    names = fields.names("hostnames")
    for name in names:
        if not _HOSTNAME.fullmatch(name):
            fields.problems.add(
                fields.place,
                f"hostnames: '{name}' must be 'arn', 'tag:KEY', or parts such as 'name.region.account'.",
            )
    return names or (DEFAULT_HOSTNAME,)


def _group_by(fields: Fields) -> tuple[str, ...]:
    if fields.raw.get("default_groups") is None:
        return GROUPINGS
    names = fields.names("default_groups")
    for name in names:
        if name not in GROUPINGS:
            fields.problems.add(
                fields.place, f"default_groups: '{name}' must be one of {', '.join(GROUPINGS)}."
            )
    return names
