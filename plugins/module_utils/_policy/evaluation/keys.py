# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""What values IAM allows for a condition key.

Sources: IAM User Guide, "AWS global condition context keys" (the data type of each); Service
Authorization Reference (the types of condition keys: only texts and ARNs come in arrays).
"""

from __future__ import annotations

BOOLEANS = frozenset(
    {
        "aws:multifactorauthpresent",
        "aws:principalisawsservice",
        "aws:securetransport",
        "aws:viaawsmcpservice",
        "aws:viaawsservice",
    }
)
DATES = frozenset({"aws:currenttime", "aws:epochtime", "aws:tokenissuetime"})
ADDRESSES = frozenset({"aws:ec2instancesourceprivateipv4", "aws:sourceip", "aws:vpcsourceip"})
NUMBERS = frozenset({"aws:multifactorauthage", "s3:max-keys", "sts:durationseconds"})
_MULTIVALUED = frozenset(
    {
        "aws:calledvia",
        "aws:principalorgpaths",
        "aws:principalservicenameslist",
        "aws:resourceorgpaths",
        "aws:sourceorgpaths",
        "aws:tagkeys",
        "aws:vpceorgpaths",
        "sts:identitytokenaudience",
        "sts:requestcontextproviders",
        "sts:transitivetagkeys",
    }
)
_SHAPES = {
    "aws:principalaccount": "############",
    "aws:resourceaccount": "############",
    "aws:sourceaccount": "############",
    "aws:principalorgid": "o-+",
    "aws:resourceorgid": "o-+",
    "aws:sourceorgid": "o-+",
    "aws:principalorgpaths": "o-+/r-*",
    "aws:resourceorgpaths": "o-+/r-*",
    "aws:sourceorgpaths": "o-+/r-*",
    "aws:principalarn": "arn:+:+:*:+:?*",
    "aws:sourcearn": "arn:+:+:*:*:?*",
}


def is_tag(key: str) -> bool:
    """Whether the value of a key is that of a tag: any text, but one only."""
    return "tag/" in key


def is_multivalued(key: str, alone: bool) -> bool:
    """Whether requests may carry several values of a key. That is a property of the key: if it turned on
    whether a policy has set operators, one more Deny could make more requests possible.

    :arg alone: whether it is compared as a number, a date or an address; these stand alone.
    """
    if key.startswith(("aws:", "sts:")):
        return key in _MULTIVALUED
    # What starts so is no condition key, but what several are parts of.
    return not key.startswith("~") and not is_tag(key) and not alone


def shape_of(key: str) -> str | None:
    """What every value of the key is like (see ``shape_units``); None when any text may be one."""
    if key in _SHAPES:
        return _SHAPES[key]
    # Keys of all services have a value when they are there; a tag, or a key of a service, may be empty.
    return "?*" if key.startswith(("aws:", "sts:")) and not is_tag(key) else None
