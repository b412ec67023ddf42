# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""Who calls, and whether the Principal element of a trust policy means them.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "... NotPrincipal".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .match import Glob
from .template import Wild, tokenize

_ROLE = re.compile(r"arn:(?P<partition>[a-z0-9-]+):iam::(?P<account>[0-9]{12}):role/(?P<path>.+)\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """An AWS service (``service`` is its principal name) or a session of a role."""

    service: str | None = None
    role_arn: str | None = None

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """The principals that mean this caller, as pairs of type and value."""
        if self.service is not None:
            return frozenset({("Service", self.service)})
        role = _ROLE.match(self.role_arn or "")
        if role is None:
            return frozenset()
        account = role["account"]
        return frozenset(
            {
                ("AWS", account),
                ("AWS", f"arn:{role['partition']}:iam::{account}:root"),
                ("AWS", str(self.role_arn)),
            }
        )


class PrincipalTest:
    """The Principal or NotPrincipal of a statement, prepared to be tested."""

    __slots__ = ("_allow", "_everyone", "_negated", "_pairs", "_patterns")

    def __init__(self, pairs: tuple[tuple[str, str], ...], negated: bool, allow: bool) -> None:
        self._pairs = frozenset(pairs)
        self._negated = negated
        self._allow = allow
        self._everyone = not self._pairs.isdisjoint({("*", "*"), ("AWS", "*")})
        # IAM refuses other wildcards in principals. Should one be there all the same, a Deny is
        # read at its widest and an Allow at its narrowest.
        self._patterns = tuple(
            (kind, Glob(t for t in tokens if isinstance(t, str | Wild)))
            for kind, value in pairs
            if ("*" in value and value != "*") or (kind, value) == ("Service", "*")
            for tokens in (tokenize(value, variables=False, wildcards=True),)
        )

    def means(self, caller: Caller) -> bool:
        """Whether the statement speaks of this caller."""
        if self._negated:
            # IAM does not support NotPrincipal together with Allow: it grants nothing.
            return not self._allow and not self._listed(caller, widest=False)
        return self._listed(caller, widest=not self._allow)

    def _listed(self, caller: Caller, *, widest: bool) -> bool:
        if self._everyone:
            return True
        names = caller.names
        if not self._pairs.isdisjoint(names):
            return True
        return widest and any(
            kind == name and glob.matches(value) for kind, glob in self._patterns for name, value in names
        )
