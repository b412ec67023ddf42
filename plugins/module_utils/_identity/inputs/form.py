# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The keys of a workload and their types, as Ansible argument specs. Pure.

The parser and the modules use these specs, ``plugins/doc_fragments/workloads.py`` documents the keys, and
``tools/make_forms.py`` generates the argument spec of the role and the JSON Schema from the specs. The parser in
``workloads.py`` validates the values.
"""

from __future__ import annotations

from typing import Any

from ..model.roles import TRUST_SCOPES

Spec = dict[str, dict[str, Any]]


def workloads_spec() -> dict[str, Any]:
    """Return the argument spec of the option ``workloads``."""
    return {"type": "list", "elements": "dict", "options": workload_spec()}


def workload_spec() -> Spec:
    """Return the argument spec of an entry of ``workloads``."""
    return {
        "namespace": {"type": "str", "required": True},
        "service_account": {"type": "str", "required": True},
        "namespace_selector": {"type": "str"},
        "service_account_selector": {"type": "str"},
        "role": {"type": "dict", "options": role_spec()},
        "policies": {"type": "list", "elements": "dict", "options": policy_spec()},
        "target_role_arn": {"type": "str"},
        "disable_session_tags": {"type": "bool"},
        "session_policy": {"type": "raw"},
        "tags": {"type": "dict"},
        "required_permissions": {"type": "list", "elements": "dict", "options": permission_spec()},
        "create_service_account": {"type": "bool"},
        "create_namespace": {"type": "bool"},
        "service_account_labels": {"type": "dict"},
        "service_account_annotations": {"type": "dict"},
    }


def role_spec() -> Spec:
    """Return the argument spec of ``role`` in a workload."""
    return {
        "name": {"type": "str"},
        "arn": {"type": "str"},
        "path": {"type": "str"},
        "description": {"type": "str"},
        "permissions_boundary": {"type": "str"},
        "max_session_duration": {"type": "int"},
        "tags": {"type": "dict"},
        "trust_scope": {"type": "str", "choices": list(TRUST_SCOPES)},
        "trust_policy": {"type": "raw"},
        "extend_trust": {"type": "bool"},
    }


def policy_spec() -> Spec:
    """Return the argument spec of an entry of ``policies`` in a workload."""
    return {
        "name": {"type": "str"},
        "document": {"type": "raw"},
        "document_file": {"type": "str"},
        "preset": {"type": "str"},
        "with": {"type": "dict"},
        "path": {"type": "str"},
        "description": {"type": "str"},
        "tags": {"type": "dict"},
        "arn": {"type": "str"},
    }


def permission_spec() -> Spec:
    """Return the argument spec of an entry of ``required_permissions`` in a workload."""
    return {
        "action": {"type": "str", "required": True},
        "resource": {"type": "str"},
        "context": {"type": "dict"},
    }
