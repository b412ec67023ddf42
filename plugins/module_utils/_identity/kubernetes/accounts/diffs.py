# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What a write changes of an object, as ``--diff`` shows it. Pure."""

from __future__ import annotations

import json

from ..model.objects import Object, mapping_of, member, text_of

# What the API server adds to each object; in a dry run it makes it up.
_OF_THE_SERVER = frozenset({"creationTimestamp", "generation", "managedFields", "resourceVersion", "uid"})


def shown_diff(diff: Object, manifest: Object) -> Object | None:
    """The ``diff`` of a module of kubernetes.core for what was written as ``manifest``, with a head that names it; None where
    nothing that anybody asked for differs."""
    before, after = (_text(mapping_of(diff.get(side))) for side in ("before", "after"))
    if before == after:
        return None
    metadata = member(manifest, "metadata")
    place = "/".join(filter(None, (text_of(metadata.get(name)) for name in ("namespace", "name"))))
    header = f"{text_of(manifest.get('kind'))} {place}"
    return {"before_header": header, "after_header": header, "before": before, "after": after}


def _text(item: Object) -> str:
    metadata = {name: value for name, value in member(item, "metadata").items() if name not in _OF_THE_SERVER}
    shown = {**item, **({"metadata": metadata} if "metadata" in item else {})}
    return f"{json.dumps(shown, indent=2, sort_keys=True)}\n" if shown else ""
