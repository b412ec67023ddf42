# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The codes of findings and failures, with their severities.

Users compare these codes in their playbooks, so a code must not be renamed or removed without a note in the changelog.
"""

from __future__ import annotations

from enum import Enum, unique
from typing import Literal

Severity = Literal["error", "warning", "info"]
# The checks of a workload, which are the columns of the table in the report.
CheckName = Literal[
    "trust",
    "attachment",
    "version",
    "contents",
    "permissions",
    "association",
    "service account",
    "agent",
    "injection",
    "pods",
    "proof",
]


@unique
class Code(str, Enum):
    """A code of a finding or failure, with the severities that its findings may have.

    The report shows most findings in the column of the check that reported them. A finding of another origin, such as a warning
    of the plan, is shown in the column ``check``. The first of ``severities`` is the default; ``Finding.raised_as`` selects
    another one. docs/codes.yml has the cause and remedy of each code.
    """

    _value_: str
    check: CheckName
    severities: tuple[Severity, ...]

    def __new__(cls, text: str, check: CheckName = "association", *severities: Severity) -> Code:
        code = str.__new__(cls, text)
        code._value_ = text
        code.check = check
        code.severities = severities
        return code

    def __str__(self) -> str:
        return self._value_

    @property
    def severity(self) -> Severity:
        return self.severities[0]

    ACCOUNT_DIFFERS = "ACCOUNT_DIFFERS", "association", "error"
    ADDON_ASSOCIATION_EXISTS = "ADDON_ASSOCIATION_EXISTS", "association", "error"
    ADDON_NOT_READY = "ADDON_NOT_READY", "association", "error"
    ADDON_ROLE_NOT_SUPPORTED = "ADDON_ROLE_NOT_SUPPORTED", "association", "error"
    ADDON_VERSION_UNAVAILABLE = "ADDON_VERSION_UNAVAILABLE", "association", "error"
    AGENT_ADDON_WITH_AUTO_MODE = "AGENT_ADDON_WITH_AUTO_MODE", "agent", "warning"
    AGENT_IN_USE = "AGENT_IN_USE", "agent", "error"
    AGENT_MISSING = "AGENT_MISSING", "agent", "error"
    AGENT_NOT_READY = "AGENT_NOT_READY", "agent", "error", "warning"
    ASSOCIATION_MISSING = "ASSOCIATION_MISSING", "association", "error"
    ASSOCIATION_NOT_REPLACEABLE = "ASSOCIATION_NOT_REPLACEABLE", "association", "error"
    ASSOCIATION_OTHER_ROLE = "ASSOCIATION_OTHER_ROLE", "association", "error"
    ASSOCIATION_OWNED_BY_ADDON = "ASSOCIATION_OWNED_BY_ADDON", "association", "warning"
    ASSOCIATION_SETTINGS_DIFFER = "ASSOCIATION_SETTINGS_DIFFER", "association", "error", "warning"
    ASSOCIATION_SETTINGS_EXTRA = "ASSOCIATION_SETTINGS_EXTRA", "association", "warning", "error"
    ASSOCIATION_WOULD_BREAK = "ASSOCIATION_WOULD_BREAK", "association", "error", "warning"
    BEING_DELETED = "BEING_DELETED", "service account", "error"
    BULK_READ_DENIED = "BULK_READ_DENIED", "association", "info"
    CLUSTER_MISSING = "CLUSTER_MISSING", "association", "warning"
    CLUSTER_PLATFORM_TOO_OLD = "CLUSTER_PLATFORM_TOO_OLD", "agent", "error"
    DEADLINE = "DEADLINE", "association", "error"
    INJECTION_MISSING = "INJECTION_MISSING", "injection", "error"
    INJECTION_NOT_YET = "INJECTION_NOT_YET", "injection", "error"
    INJECTION_OTHER_IDENTITY = "INJECTION_OTHER_IDENTITY", "injection", "error"
    INJECTION_UNKNOWN = "INJECTION_UNKNOWN", "injection", "warning", "error"
    INTERNAL_ERROR = "INTERNAL_ERROR", "association", "error"
    INTERRUPTED = "INTERRUPTED", "association", "error"
    IRSA_ANNOTATION = "IRSA_ANNOTATION", "service account", "warning"
    KUBERNETES_API_DIFFERS = "KUBERNETES_API_DIFFERS", "association", "error"
    KUBERNETES_API_UNKNOWN = "KUBERNETES_API_UNKNOWN", "association", "warning"
    KUBERNETES_NOT_READABLE = "KUBERNETES_NOT_READABLE", "association", "error", "warning"
    KUBERNETES_REFUSED = "KUBERNETES_REFUSED", "association", "error"
    MIGRATION_ADDON = "MIGRATION_ADDON", "association", "error"
    MIGRATION_CONFIG_MAP = "MIGRATION_CONFIG_MAP", "association", "error"
    MIGRATION_HOST_NETWORK = "MIGRATION_HOST_NETWORK", "pods", "error", "warning"
    MIGRATION_MANAGED_ELSEWHERE = "MIGRATION_MANAGED_ELSEWHERE", "service account", "warning"
    MIGRATION_NEEDS_CLAIMS = "MIGRATION_NEEDS_CLAIMS", "association", "error"
    MIGRATION_NOT_TRUSTED = "MIGRATION_NOT_TRUSTED", "trust", "error"
    MIGRATION_NO_RECORD = "MIGRATION_NO_RECORD", "association", "error", "warning"
    MIGRATION_OTHER_ASSOCIATION = "MIGRATION_OTHER_ASSOCIATION", "association", "error", "warning"
    MIGRATION_OTHER_ROLES = "MIGRATION_OTHER_ROLES", "trust", "warning"
    MIGRATION_OWN_VARIABLES = "MIGRATION_OWN_VARIABLES", "pods", "error"
    MIGRATION_PODS_HELD = "MIGRATION_PODS_HELD", "pods", "error"
    MIGRATION_RECORDED = "MIGRATION_RECORDED", "association", "warning"
    MIGRATION_ROLE_MANAGED = "MIGRATION_ROLE_MANAGED", "trust", "warning"
    MIGRATION_ROLE_NOT_USABLE = "MIGRATION_ROLE_NOT_USABLE", "association", "error"
    MIGRATION_SESSION_TAGS_OFF = "MIGRATION_SESSION_TAGS_OFF", "association", "warning"
    MIGRATION_STATEMENT_KEPT = "MIGRATION_STATEMENT_KEPT", "trust", "warning"
    MIGRATION_WAITS = "MIGRATION_WAITS", "association", "info"
    NAMESPACE_MISSING = "NAMESPACE_MISSING", "service account", "error"
    NOTHING_VERIFIED = "NOTHING_VERIFIED", "association", "warning"
    NOT_AWS = "NOT_AWS", "association", "error"
    NOT_APPROVED = "NOT_APPROVED", "association", "error"
    NOT_OWNED = "NOT_OWNED", "association", "warning", "info"
    NOT_READABLE = "NOT_READABLE", "association", "error"
    NOT_YET_VISIBLE = "NOT_YET_VISIBLE", "association", "error", "warning"
    OWNER_CHANGED = "OWNER_CHANGED", "association", "warning"
    PATTERN_CONFLICT = "PATTERN_CONFLICT", "association", "error"
    PATTERN_UNMATCHED = "PATTERN_UNMATCHED", "association", "warning"
    PERMISSION_CONDITIONAL = "PERMISSION_CONDITIONAL", "permissions", "warning"
    PERMISSION_DENIED = "PERMISSION_DENIED", "permissions", "error"
    PERMISSION_NAMES_NOT_CHECKED = "PERMISSION_NAMES_NOT_CHECKED", "permissions", "warning"
    PERMISSION_NOT_CHECKED = "PERMISSION_NOT_CHECKED", "permissions", "warning"
    PERMISSION_NOT_STORABLE = "PERMISSION_NOT_STORABLE", "permissions", "error"
    PERMISSION_NO_SUCH_ACTION = "PERMISSION_NO_SUCH_ACTION", "permissions", "warning"
    PERMISSION_RESOURCE_MISMATCH = "PERMISSION_RESOURCE_MISMATCH", "permissions", "warning", "info"
    PERMISSION_TAKEN_AWAY = "PERMISSION_TAKEN_AWAY", "permissions", "error"
    POD_BEFORE_ASSOCIATION = "POD_BEFORE_ASSOCIATION", "pods", "error"
    POD_BEFORE_CHANGE = "POD_BEFORE_CHANGE", "pods", "warning"
    POD_CREDENTIALS_UNKNOWN = "POD_CREDENTIALS_UNKNOWN", "pods", "warning"
    POD_HOST_PORT = "POD_HOST_PORT", "pods", "warning"
    POD_LOSES_ROLE = "POD_LOSES_ROLE", "pods", "warning"
    POD_NOT_INJECTED = "POD_NOT_INJECTED", "pods", "error"
    POD_ON_UNSUPPORTED_NODE = "POD_ON_UNSUPPORTED_NODE", "pods", "error"
    POD_OTHER_CREDENTIALS = "POD_OTHER_CREDENTIALS", "pods", "error"
    POD_OWN_INTERFACE = "POD_OWN_INTERFACE", "pods", "warning"
    POD_PROXY = "POD_PROXY", "pods", "error"
    POD_SKIPPED = "POD_SKIPPED", "pods", "warning"
    POLICY_ADMINISTERS = "POLICY_ADMINISTERS", "attachment", "error", "warning", "info"
    POLICY_ATTACHED_EXTRA = "POLICY_ATTACHED_EXTRA", "attachment", "warning"
    POLICY_CONTENTS_DIFFER = "POLICY_CONTENTS_DIFFER", "attachment", "error"
    POLICY_DESCRIPTION_DIFFERS = "POLICY_DESCRIPTION_DIFFERS", "attachment", "info"
    POLICY_MISSING = "POLICY_MISSING", "attachment", "error"
    POLICY_NOT_ATTACHED = "POLICY_NOT_ATTACHED", "attachment", "error"
    POLICY_SETTINGS_DIFFER = "POLICY_SETTINGS_DIFFER", "attachment", "warning"
    POLICY_USED_ELSEWHERE = "POLICY_USED_ELSEWHERE", "attachment", "error", "warning"
    PROOF_FAILED = "PROOF_FAILED", "proof", "error"
    PROOF_NOT_RUN = "PROOF_NOT_RUN", "proof", "error"
    PROOF_OTHER_ROLE = "PROOF_OTHER_ROLE", "proof", "error"
    PROOF_SKIPPED = "PROOF_SKIPPED", "proof", "info"
    PURGE_WAITS = "PURGE_WAITS", "association", "warning"
    RESOURCE_KEPT = "RESOURCE_KEPT", "trust", "warning", "info"
    ROLE_INLINE_POLICY = "ROLE_INLINE_POLICY", "attachment", "warning"
    ROLE_MISSING = "ROLE_MISSING", "trust", "error"
    ROLE_NAME_DIFFERS = "ROLE_NAME_DIFFERS", "trust", "info"
    ROLE_POLICIES_OVER_QUOTA = "ROLE_POLICIES_OVER_QUOTA", "attachment", "error"
    ROLE_RESTRICTED = "ROLE_RESTRICTED", "attachment", "error", "warning", "info"
    ROLE_SETTINGS_DIFFER = "ROLE_SETTINGS_DIFFER", "trust", "error", "warning"
    ROLE_USED_ELSEWHERE = "ROLE_USED_ELSEWHERE", "trust", "error", "warning"
    ROLE_WITHOUT_POLICIES = "ROLE_WITHOUT_POLICIES", "permissions", "warning"
    SERVICE_ACCOUNTS_STAY = "SERVICE_ACCOUNTS_STAY", "service account", "error"
    SERVICE_ACCOUNT_DIFFERS = "SERVICE_ACCOUNT_DIFFERS", "service account", "warning"
    SERVICE_ACCOUNT_KEPT = "SERVICE_ACCOUNT_KEPT", "service account", "warning"
    SERVICE_ACCOUNT_MISSING = "SERVICE_ACCOUNT_MISSING", "service account", "error"
    SERVICE_ACCOUNT_NOT_KEPT = "SERVICE_ACCOUNT_NOT_KEPT", "service account", "error"
    SERVICE_ACCOUNT_OTHER_OWNER = "SERVICE_ACCOUNT_OTHER_OWNER", "service account", "warning"
    SESSION_TAGS_CONFLICT = "SESSION_TAGS_CONFLICT", "association", "error"
    SKIPPED = "SKIPPED", "association", "error"
    TARGET_ROLE_MISSING = "TARGET_ROLE_MISSING", "association", "error"
    TARGET_ROLE_NOT_ALLOWED = "TARGET_ROLE_NOT_ALLOWED", "association", "error"
    TARGET_ROLE_UNKNOWN = "TARGET_ROLE_UNKNOWN", "association", "warning"
    TRUST_ACTION_NOT_ALLOWED = "TRUST_ACTION_NOT_ALLOWED", "trust", "error"
    TRUST_CONDITIONAL = "TRUST_CONDITIONAL", "trust", "warning"
    TRUST_CONDITION_UNMATCHED = "TRUST_CONDITION_UNMATCHED", "trust", "error", "warning", "info"
    TRUST_EXPLICIT_DENY = "TRUST_EXPLICIT_DENY", "trust", "error"
    TRUST_IRSA_LEFTOVER = "TRUST_IRSA_LEFTOVER", "trust", "info"
    TRUST_KEPT_FOR_OTHERS = "TRUST_KEPT_FOR_OTHERS", "trust", "warning"
    TRUST_MAY_BE_DENIED = "TRUST_MAY_BE_DENIED", "trust", "warning"
    TRUST_MISSPELT_KEY = "TRUST_MISSPELT_KEY", "trust", "warning"
    TRUST_NOT_STORABLE = "TRUST_NOT_STORABLE", "trust", "error"
    TRUST_NOT_USABLE = "TRUST_NOT_USABLE", "trust", "error"
    TRUST_OPEN_TO_EVERYONE = "TRUST_OPEN_TO_EVERYONE", "trust", "error", "warning"
    TRUST_POLICY_TOO_LONG = "TRUST_POLICY_TOO_LONG", "trust", "error"
    TRUST_ROLE_IN_OTHER_ACCOUNT = "TRUST_ROLE_IN_OTHER_ACCOUNT", "trust", "error"
    TRUST_SCOPE_WITHOUT_SESSION_TAGS = "TRUST_SCOPE_WITHOUT_SESSION_TAGS", "trust", "info"
    TRUST_STATEMENT_FOREIGN = "TRUST_STATEMENT_FOREIGN", "trust", "info", "error"
    TRUST_STATEMENT_STAYS = "TRUST_STATEMENT_STAYS", "trust", "warning"
    TRUST_WIDE = "TRUST_WIDE", "trust", "warning", "info"
    TRUST_WIDER_THAN_ASKED = "TRUST_WIDER_THAN_ASKED", "trust", "warning"
    TRUST_WITHOUT_ASSOCIATION = "TRUST_WITHOUT_ASSOCIATION", "trust", "warning"
    TRUST_WRONG_PRINCIPAL = "TRUST_WRONG_PRINCIPAL", "trust", "error", "warning"
    UNLISTED_ASSOCIATIONS = "UNLISTED_ASSOCIATIONS", "association", "warning", "info"


# Sets of codes, each with the question that it answers. See "a code" in CONTRIBUTING.md.

# Does a run with state=present repair the problem? Some only with adopt or force.
REPAIRED = frozenset(
    (
        Code.ASSOCIATION_MISSING,
        Code.ASSOCIATION_OTHER_ROLE,
        Code.ASSOCIATION_SETTINGS_DIFFER,
        Code.NOT_OWNED,
        Code.POLICY_CONTENTS_DIFFER,
        Code.POLICY_MISSING,
        Code.POLICY_NOT_ATTACHED,
        Code.POLICY_SETTINGS_DIFFER,
        Code.ROLE_MISSING,
        Code.ROLE_SETTINGS_DIFFER,
        Code.TRUST_NOT_USABLE,
        Code.TRUST_WIDER_THAN_ASKED,
    )
)
# Can a stale read cause the finding although the resource was created or corrected a moment ago?
STALE_READ_CODES = REPAIRED | {Code.POLICY_ATTACHED_EXTRA, Code.TARGET_ROLE_MISSING}
# Does the finding of a workload disappear when a run without failures corrects its cause?
EXPLAINED = REPAIRED | {
    Code.NAMESPACE_MISSING,
    Code.PERMISSION_DENIED,
    Code.POD_BEFORE_ASSOCIATION,
    Code.POD_NOT_INJECTED,
    Code.SERVICE_ACCOUNT_DIFFERS,
    Code.SERVICE_ACCOUNT_MISSING,
    Code.TARGET_ROLE_NOT_ALLOWED,
}
# Do both the plan and the verification report the finding?
JUDGED_AGAIN = frozenset(
    (
        Code.ASSOCIATION_SETTINGS_DIFFER,
        Code.ASSOCIATION_SETTINGS_EXTRA,
        Code.POLICY_ADMINISTERS,
        Code.POLICY_ATTACHED_EXTRA,
        Code.POLICY_SETTINGS_DIFFER,
        Code.ROLE_RESTRICTED,
        Code.ROLE_SETTINGS_DIFFER,
        Code.TRUST_OPEN_TO_EVERYONE,
    )
)
