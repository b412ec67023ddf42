# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""How long documents may be, and which characters they may have.

Sources: IAM User Guide, "IAM and AWS STS quotas", where white space does not count; IAM API Reference, the pattern of
policy documents; Amazon EKS and AWS STS API References, session policies. The guides name 4,096 and 8,192 characters as the
most to which the quota of trust policies can be raised.
"""

from __future__ import annotations

from collections.abc import Iterator

from .reasons import Reason

MANAGED = 6_144
INLINE = 10_240
SESSION = 2_048
TRUST = 2_048
TRUST_RAISED = 8_192
_LAST_CHARACTER = "\u00ff"


def size_reasons(text: str, kind: str, trust_limit: int | None = None) -> Iterator[Reason]:
    """``text`` is the document as it is sent, compact; ``trust_limit`` the account's quota, when known."""
    foreign = next((character for character in text if character > _LAST_CHARACTER), None)
    if foreign is not None:
        yield Reason(
            True,
            "",
            f"the character {foreign!r} is not one of those that policy documents may have (U+0020 to U+00FF)",
            "Write it with other characters.",
        )
    size = len(text)
    # The guide does not say whether white space inside of values counts.
    least = size - sum(text.count(blank) for blank in " \t\r\n")
    if kind == "trust":
        yield from _trust(size, least, trust_limit)
    elif kind == "session":
        # A session policy goes to AWS STS as it is.
        yield from _over(size, size, SESSION, "a session policy", "Shorten it.")
    elif kind == "identity":
        yield from _over(
            size, least, INLINE, "the inline policies of a role together", "Spread it over several policies."
        )
        if least <= INLINE and size > MANAGED:
            yield Reason(
                False,
                "",
                f"the document has {size:,} characters without white space; a managed policy may have {MANAGED:,}, the"
                f" inline policies of a role together {INLINE:,}",
                "Spread it over several managed policies.",
            )
    else:
        yield from _over(size, least, MANAGED, "a managed policy", "Spread it over several policies.")


def _trust(size: int, least: int, limit: int | None) -> Iterator[Reason]:
    remedy = "Use a wider scope with fewer statements, or have the quota 'Role trust policy length' raised."
    if limit is not None or least > TRUST_RAISED:
        yield from _over(size, least, limit or TRUST_RAISED, "a trust policy", remedy)
    elif size > TRUST:
        yield Reason(
            False,
            "",
            f"the document has {size:,} characters without white space; the quota for trust policies is {TRUST:,} unless"
            " the account has had it raised",
            remedy,
        )


def _over(size: int, least: int, limit: int, what: str, remedy: str) -> Iterator[Reason]:
    if size > limit:
        yield Reason(
            least > limit,
            "",
            f"the document has {size:,} characters without white space; {what} may have {limit:,}",
            remedy,
        )
