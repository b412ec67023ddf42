# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Format the report of used permissions as data for a file and as lines for the screen. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from ..._findings.text import visible
from ..model.cluster import Cluster, describe_place
from ..model.errors import listed
from ..usage.actions import DATA_SERVICES
from ..usage.analysis import AccountReport, LastAccessed, data_event_services, unjoined_notes
from ..usage.grants import ActionGrant
from ..usage.sessions import UsageTotals, count_unjoined
from ..usage.suggestion import PolicySuggestion
from ..usage.totals import ActionUse
from .text import natural, wrapped

_SHOWN_ACTIONS = 12
_SHOWN_PROBLEMS = 20
_SHOWN_POLICY_LINES = 60
_LISTED_ACTIONS = 200
NOT_RECORDED = "(not recorded)"
_Row: TypeAlias = dict[str, object]


@dataclass(frozen=True, slots=True)
class UsageReport:
    """The report of used permissions.

    ``source`` describes the input, such as "12 files in /logs". ``notes`` describe limitations of the whole report.
    ``last_accessed`` has, by the ARN of a role, the last uses of the role as IAM reports them.
    """

    cluster: Cluster
    totals: UsageTotals
    accounts: Sequence[AccountReport]
    source: str
    notes: Sequence[str] = ()
    last_accessed: Mapping[str, LastAccessed] = field(default_factory=dict)

    @property
    def failure(self) -> str:
        """Return why the run failed, in one line; "" if all events were read."""
        problems = self.totals.read.problems
        if not problems:
            return ""
        count = f"{len(problems)} problem{'' if len(problems) == 1 else 's'}"
        return (
            f"The events for {describe_place(self.cluster)} are incomplete: {count} while reading {self.source}, so no policy "
            f"was suggested. {problems[0]}"
        )


def usage_data(report: UsageReport) -> _Row:
    """Return the report as data, for the result of the task and for the file."""
    read = report.totals.read
    data_services = data_event_services(report.totals)
    return {
        "cluster_arn": report.cluster.arn,
        "caller_arn": report.cluster.caller_arn,
        "source": report.source,
        "events": read.events,
        "first_event": read.first,
        "last_event": read.last,
        "begin": report.totals.scope.begin,
        "end": report.totals.scope.end,
        "data_events": {service: service in data_services for service in DATA_SERVICES},
        "refused_credentials": {"count": read.refused, "last": read.last_refused},
        "service_accounts": [_account_row(account) for account in report.accounts],
        "unjoined": [
            {"role": role, "reason": reason.name.lower(), "events": count}
            for role, counts in count_unjoined(report.totals).items()
            for reason, count in counts.items()
        ],
        "last_accessed": {role: dict(times) for role, times in report.last_accessed.items()},
        "problems": list(read.problems),
        "notes": list(report.notes),
        "failure": report.failure,
    }


def _account_row(account: AccountReport) -> _Row:
    usage = account.usage
    return {
        "namespace": usage.account.namespace,
        "service_account": usage.account.name,
        "role_arn": account.role_arn,
        "confidence": account.confidence,
        "sessions": dict(sorted(account.sessions.kinds.items())),
        "pods": len(account.sessions.pods),
        "events": usage.events,
        "last": usage.last,
        "used": [_use_row(use) for _key, use in sorted(usage.used.items())],
        "denied": [{**_use_row(use), "message": use.message} for _key, use in sorted(usage.denied.items())],
        "unknown_events": [
            {"event_source": source, "event_name": name, "count": count, "last": last}
            for (source, name), (count, last) in sorted(usage.unknown.items())
        ],
        "granted": [_grant_row(grant) for grant in account.grants],
        "suggestion": _suggestion_row(account.suggestion) if account.suggestion else None,
        "notes": list(account.notes),
    }


def _use_row(use: ActionUse) -> _Row:
    return {
        "action": use.action,
        "role": use.role,
        "count": use.count,
        "failed": use.failed,
        "last": use.last,
        "event_names": sorted(use.names),
        "resources": [
            {"resource": resource or NOT_RECORDED, "count": count, "last": last}
            for resource, (count, last) in sorted(use.resources.items())
        ],
    }


def _grant_row(grant: ActionGrant) -> _Row:
    return {
        "policy": grant.statement.policy,
        "statement": grant.statement.label,
        "action": grant.pattern,
        "resources": grant.statement.resources,
        "used": list(grant.used),
        "unused": list(grant.unused[:_LISTED_ACTIONS]),
        "unused_count": len(grant.unused),
        "unseen": list(grant.unseen[:_LISTED_ACTIONS]),
        "unseen_count": len(grant.unseen),
    }


def _suggestion_row(suggestion: PolicySuggestion) -> _Row:
    proof = suggestion.proof
    return {
        "form": suggestion.form,
        "document": suggestion.document,
        "proof": {
            "calls": proof.calls,
            "allowed": proof.allowed,
            "conditional": proof.conditional,
            "as_granted": proof.as_granted,
            "elsewhere": [
                {"action": action, "resource": resource or NOT_RECORDED}
                for action, resource in proof.elsewhere
            ],
        },
        "removed": [_grant_row(grant) for grant in suggestion.removed],
        "narrowed": [
            {
                "policy": item.statement.policy,
                "statement": item.statement.label,
                "actions": list(item.actions),
                "resources": item.statement.resources,
                "kept": list(item.kept_resources),
            }
            for item in suggestion.narrowed
        ],
        "refusals": list(suggestion.refusals),
        "notes": list(suggestion.notes),
    }


def usage_lines(report: UsageReport) -> list[str]:
    """Return the lines of the report for the screen."""
    cluster, read = report.cluster, report.totals.read
    head = f"Cluster {cluster.name}, account {cluster.account_id}, region {cluster.region}, as {cluster.caller_arn}"
    lines = wrapped(visible(head), "", "  ")
    period = f", from {_minute(read.first)} to {_minute(read.last)}" if read.events else ""
    events = "1 event" if read.events == 1 else f"{read.events:,} events"
    lines += wrapped(visible(f"{events} in {report.source}{period}. Nothing was changed."), "", "  ")
    lines += ["", *_table(report.accounts)]
    for account in sorted(report.accounts, key=lambda item: natural(str(item.usage.account))):
        if account.usage.events:
            lines += ["", visible(str(account.usage.account)), *_account_lines(account, bool(read.problems))]
    general = list(_general_notes(report))
    if general:
        lines += [""]
    for note in general:
        lines += wrapped(visible(note), "  ", "    ")
    return lines


def _general_notes(report: UsageReport) -> Iterator[str]:
    read = report.totals.read
    yield from report.notes
    yield from unjoined_notes(report.totals)
    if read.refused:
        requests = "1 credential request" if read.refused == 1 else f"{read.refused:,} credential requests"
        yield (
            f"Denied credentials: EKS denied {requests} of Pods, the last one at "
            f"{_minute(read.last_refused)}. Such events name no service account. Verify the associations of the cluster and the "
            "trust policies of their roles."
        )
    for problem in read.problems[:_SHOWN_PROBLEMS]:
        yield f"problem: {problem}"
    if len(read.problems) > _SHOWN_PROBLEMS:
        yield f"and {len(read.problems) - _SHOWN_PROBLEMS} more; pod_identity_usage_file writes all problems to a file"


def _table(accounts: Sequence[AccountReport]) -> list[str]:
    if not accounts:
        return ["The cluster has no association, and no event belongs to one of its service accounts."]
    rows = [("SERVICE ACCOUNT", "ROLE", "EVENTS", "USED", "DENIED", "UNUSED", "UNSEEN", "SUGGESTION")]
    for account in sorted(accounts, key=lambda item: natural(str(item.usage.account))):
        usage = account.usage
        rows.append(
            (
                visible(str(usage.account)),
                visible(account.role_arn.rpartition("/")[2] or "-"),
                f"{usage.events:,}",
                str(len({action for action, _role in usage.used})),
                str(len({action for action, _role in usage.denied})),
                _count(grant.unused for grant in account.grants),
                _count(grant.unseen for grant in account.grants),
                _verdict(account.suggestion),
            )
        )
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _count(groups: Iterable[Sequence[str]]) -> str:
    return str(len({action for group in groups for action in group}))


def _verdict(suggestion: PolicySuggestion | None) -> str:
    if suggestion is None or suggestion.document is None:
        return "-"
    return "not storable" if suggestion.refusals else "proven"


def _account_lines(account: AccountReport, incomplete: bool) -> Iterator[str]:
    usage = account.usage
    yield from _use_lines("used", usage.used.values())
    yield from _use_lines("denied", usage.denied.values())
    unused = [
        f"{grant.pattern}{_unused_text(grant)} of {grant.statement.policy}"
        for grant in account.grants
        if grant.unused
    ]
    yield from _limited("unused", unused)
    yield from _limited(
        "unknown",
        [
            f"eventName unknown: {source} {name}, {_times(count)}, last {_minute(last)}"
            for (source, name), (count, last) in sorted(usage.unknown.items())
        ],
    )
    for note in account.notes:
        yield from wrapped(visible(note), "  note     ", "           ")
    if account.suggestion and not incomplete:
        yield from _suggestion_lines(account.suggestion)


def _unused_text(grant: ActionGrant) -> str:
    """Return a text like " (3 of 5 actions)" for an action pattern that matches several actions; "" for a single action."""
    total = len(grant.used) + len(grant.unused) + len(grant.unseen)
    return "" if total == 1 else f" ({len(grant.unused)} of {total} actions)"


def _use_lines(label: str, uses: Iterable[ActionUse]) -> Iterator[str]:
    ordered = sorted(uses, key=lambda use: (-use.count, use.action, use.role))
    texts = []
    for use in ordered:
        resources = [resource or NOT_RECORDED for resource in sorted(use.resources)]
        texts.append(f"{use.action} {_times(use.count)}, last {_minute(use.last)}, on {listed(resources, 2)}")
    yield from _limited(label, texts)


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count:,} times"


def _limited(label: str, texts: Sequence[str]) -> Iterator[str]:
    for text in texts[:_SHOWN_ACTIONS]:
        yield from wrapped(visible(text), f"  {label:<9}", "           ")
    if len(texts) > _SHOWN_ACTIONS:
        yield f"  {label:<9}and {len(texts) - _SHOWN_ACTIONS} more; pod_identity_usage_file writes all of them to a file"


def _suggestion_lines(suggestion: PolicySuggestion) -> Iterator[str]:
    for note in (*suggestion.notes, *suggestion.refusals):
        yield from wrapped(visible(note), "  note     ", "           ")
    if suggestion.document is None:
        return
    narrowed = [
        f"{listed(item.actions, 3)} of {item.statement.policy}: "
        f"from {listed(item.statement.resources, 2)} to {listed(item.kept_resources, 2) or 'none'}"
        for item in suggestion.narrowed
    ]
    yield from _limited("narrowed", narrowed)
    yield from wrapped(_proof_text(suggestion), "  suggest  ", "           ")
    text = json.dumps(suggestion.document, indent=2).splitlines()
    if len(text) > _SHOWN_POLICY_LINES:
        yield f"           {len(text)} lines; pod_identity_usage_file writes the policy to a file"
        return
    yield from (f"           {line}" for line in text)


def _proof_text(suggestion: PolicySuggestion) -> str:
    proof = suggestion.proof
    form = "session policy" if suggestion.form == "session_policy" else "policy"
    parts = [
        f"{count} {text}"
        for count, text in (
            (proof.allowed, "allowed"),
            (proof.conditional, "allowed under the same conditions as now"),
            (
                proof.as_granted,
                "allowed on the present resources, because the events do not name the exact resources",
            ),
            (len(proof.elsewhere), "not allowed by the present policies of the role either"),
        )
        if count
    ]
    calls = "the observed call" if proof.calls == 1 else f"all {proof.calls} observed calls"
    return f"This {form} keeps {calls}: {'; '.join(parts)}."


def _minute(time: str) -> str:
    return time[:16].replace("T", " ")
