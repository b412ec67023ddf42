# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Who else may use a role, asked by way of workloads that are not the one in question."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..._findings.codes import Code, Severity
from ..._findings.finding import Finding
from ..evaluation.evaluate import Layer, ask
from ..evaluation.query import Question
from ..evaluation.request import Subject, pod_identity_context
from ..evaluation.rules import Rule
from .inquiry import Inquiry

_STRANGER = "~another~"


def reach(rules: Sequence[Rule], inquiry: Inquiry) -> tuple[Finding, ...]:
    """Findings on a role that is open to more than this workload, the widest first, whether or not it is open to this one.

    A target role is another matter: it is open to whoever has the role that it names.
    """
    if "Service" not in inquiry.remedy.principal:
        return ()
    subject = inquiry.subject
    layers = (Layer("trust", tuple(rules)),)
    questions = [ask(layers, request) for request in inquiry.needed]
    account = subject.account
    stranger = replace(
        subject,
        cluster_arn=f"arn:aws:eks:us-east-1:{account}:cluster/{_STRANGER}" if account else None,
        cluster=_STRANGER,
        namespace=_STRANGER,
        service_account=_STRANGER,
        pod_name=None,
        pod_uid=None,
    )
    if _lets_in(questions, stranger):
        return (_wide(Code.TRUST_ACCOUNT_WIDE, "warning", "every workload of every cluster in the account"),)
    if not subject.session_tags:
        return ()
    findings = []
    namesake = replace(stranger, namespace=subject.namespace, service_account=subject.service_account)
    if _lets_in(questions, namesake):
        findings.append(
            _wide(Code.TRUST_ANY_CLUSTER, "warning", "the same workload of every cluster in the account")
        )
    neighbour = replace(stranger, cluster_arn=subject.cluster_arn, cluster=subject.cluster)
    if _lets_in(questions, neighbour):
        findings.append(_wide(Code.TRUST_CLUSTER_WIDE, "info", "every workload of the cluster"))
    elif _lets_in(questions, replace(neighbour, namespace=subject.namespace)):
        findings.append(_wide(Code.TRUST_NAMESPACE_WIDE, "info", "every service account of the namespace"))
    return tuple(findings)


def _lets_in(questions: Sequence[Question], subject: Subject) -> bool:
    context = pod_identity_context(subject)
    return all(question.allowed(context) is True for question in questions)


def _wide(code: Code, severity: Severity, who: str) -> Finding:
    return Finding(
        code,
        f"The policy lets {who} use the role once an association names it.",
        "Add conditions on aws:SourceAccount and, with session tags, aws:RequestTag/eks-cluster-arn,"
        " aws:RequestTag/kubernetes-namespace and aws:RequestTag/kubernetes-service-account.",
        raised_as=severity,
    )
