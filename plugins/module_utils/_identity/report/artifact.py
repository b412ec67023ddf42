# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Convert a report to an artifact of an AWX job. Pure.

An artifact is a variable that AWX passes to the later jobs of a workflow. Its values must keep their types there. AWX writes
artifacts as YAML with the tag !unsafe on every string, and ansible-core 2.19 and newer parses such a string like one without
quotation marks: "1" would become a number, "" null, and "2012-10-17" a date. Native Jinja does the same to the result of a
template. Therefore a string that would change its type is encoded as JSON.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence

from ..kubernetes.model.objects import Object
from .rows import Report, ReportStep
from .text import describe_change

# Each step (plan, apply, verify) of each cluster has an artifact, because AWX keeps only the value of the last job that sets a
# name, and a verification must not replace the plan.
PREFIX = "pod_identity_artifact_"
# With more workloads, artifacts have the short form. For 1,000 workloads the full form has 2 MB, and AWX stores it with every job
# of a workflow.
MOST_WORKLOADS = 200
# The lists of a report that are null in the short form. An empty list would mean that there are no entries. The changes are kept,
# because users need them to approve a plan.
LEFT_OUT = ("lines", "workloads")
# Fields of a change with arbitrary values, such as policy documents. Each of these fields is encoded as one JSON string.
_DOCUMENTS = ("after", "before")

# YAML and Python parse most text that begins with a letter or a slash as a string.
_PLAIN = re.compile(r"[A-Za-z/]")
# Exceptions: words that YAML or Python parses as a boolean, null or an empty set, and string literals with a prefix (b'text').
_WORDS = frozenset(("false", "n", "no", "none", "null", "off", "on", "set()", "true", "y", "yes"))
_PYTHON = re.compile(r"(?:[bft]r?|rb?|r[ft]|u)['\"]", re.IGNORECASE)


def artifact_key(step: ReportStep, cluster: str, region: str, account_id: str) -> str:
    """Return the name of the artifact of a cluster and step. It is a valid variable name.

    Parts that are "" are omitted. All characters except letters and digits become underscores. If the name of the cluster has
    an underscore, a digest makes the result unique.
    """
    name = re.sub(r"[^A-Za-z0-9]", "_", "_".join(part for part in (cluster, region, account_id) if part))
    digest = f"_{hashlib.sha256(cluster.encode()).hexdigest()[:8]}" if "_" in cluster else ""
    return f"{PREFIX}{step}_{name or 'unknown'}{digest}"


def make_artifacts(report: Report, host: str, stopped: bool = False) -> dict[str, object]:
    """Return the artifact of a report by its name. With more than MOST_WORKLOADS workloads, it has the short form.

    The artifact has all keys of a report: if one job reports a cluster twice, Ansible merges the two mappings, and a missing key
    would keep its former value.

    :arg host: the inventory name of the host for which the play runs.
    :arg stopped: whether the run failed before it could make its report.
    """
    form = "short" if report["summary"]["workloads"] > MOST_WORKLOADS else "full"
    content: dict[str, object] = {**report, "host": host, "form": form, "stopped": stopped}
    if form == "short":
        content.update(dict.fromkeys(LEFT_OUT))
        content["changes"] = list(map(_without_documents, report["changes"]))
    key = artifact_key(report["step"], report["cluster_name"], report["region"], report["account_id"])
    return {key: to_artifact(content)}


def _without_documents(change: Object) -> Object:
    """Return a change with its description, in which the values in ``before`` and ``after`` are null."""
    states = {
        name: dict.fromkeys(value) if isinstance(value := change.get(name), Mapping) else value
        for name in _DOCUMENTS
    }
    return {**change, **states, "text": describe_change(change).line}


def to_artifact(value: object) -> object:
    """Encode a value so that it keeps its types in a later job.

    An empty string becomes null. A string that might be parsed as another type becomes a JSON string in quotation marks.
    """
    if isinstance(value, str):
        return _quoted_text(value) if value else None
    if isinstance(value, Mapping):
        return {
            _quoted_text(str(key)): json.dumps(part, sort_keys=True)
            if key in _DOCUMENTS and part is not None
            else to_artifact(part)
            for key, part in value.items()
        }
    if isinstance(value, Sequence):
        return [to_artifact(part) for part in value]
    return value


def from_artifact(value: object) -> object:
    """Decode the result of ``to_artifact``. An originally empty string is returned as None."""
    if isinstance(value, str):
        return _from_json(value) if value[:1] == '"' else str(value)
    if isinstance(value, Mapping):
        return {
            str(from_artifact(str(key))): _from_json(part)
            if key in _DOCUMENTS and isinstance(part, str)
            else from_artifact(part)
            for key, part in value.items()
        }
    if isinstance(value, Sequence):
        return [from_artifact(part) for part in value]
    return value


def keeps_its_type(text: str) -> bool:
    """Return whether YAML (as a plain scalar) and Python certainly parse a text as a string."""
    return bool(_PLAIN.match(text)) and text.lower() not in _WORDS and not _PYTHON.match(text)


def _quoted_text(text: str) -> str:
    return text if keeps_its_type(text) else json.dumps(text)


def _from_json(text: str) -> object:
    """Decode JSON. Return other text unchanged, because a user may have written the artifact by hand."""
    try:
        value: object = json.loads(text)
    except ValueError:
        return text
    return value
