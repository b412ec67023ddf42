# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Match the Resource and Principal elements of a statement with a request.

Source: IAM User Guide, "AWS JSON policy elements: Principal" and "... NotPrincipal".
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from .context import Context
from .match import (
    ARN_PARTS,
    ArnGlob,
    Cover,
    Glob,
    Token,
    Variable,
    Wild,
    cut_arn,
    policy_variables,
    relax,
    resolve,
    tokenize,
)


class OpenResource:
    """An ARN with policy variables in Resource or NotResource.

    ``head`` has the patterns of the parts before the fifth colon, and ``tail`` has the tokens after it. If a variable is before
    the fifth colon, which IAM does not document, ``head`` is None and ``tail`` has the tokens of the whole ARN.
    """

    __slots__ = ("_relaxed", "head", "tail", "tokens")

    def __init__(self, tokens: tuple[Token, ...]) -> None:
        self.tokens = tokens
        first = next(index for index, token in enumerate(tokens) if isinstance(token, Variable))
        parts = cut_arn(token for token in tokens[:first] if isinstance(token, str | Wild))
        late = len(parts) == ARN_PARTS
        self.head = tuple(Glob(part) for part in parts[:-1]) if late else None
        self.tail: tuple[Token, ...] = (*parts[-1], *tokens[first:]) if late else tokens
        self._relaxed = Glob(relax(self.tail) if late else (*relax(self.tail), Wild.ANY))

    def covers(self, parts: tuple[str, ...], wild: bool, context: Context) -> tuple[Cover, Cover]:
        """Return whether the value matches all, some or none of the ARNs of a request, as a lower and an upper bound.

        The bounds differ only if the value of a variable is unknown. ``ResourceTest.covers`` describes the parameters.
        """
        covers = (glob.covers(part, wild) for glob, part in zip(self.head or (), parts, strict=False))
        head = min(covers, default=Cover.ALL)
        if head is Cover.NONE:
            return head, head
        text = parts[-1] if self.head is not None else ":".join(parts)
        resolved = resolve(self.tail, context)
        if resolved is None:
            return Cover.NONE, min(head, self._relaxed.covers(text, wild))
        if isinstance(resolved, bool):
            return Cover.NONE, Cover.NONE
        glob = (
            ArnGlob(resolved).covers(parts, wild) if self.head is None else Glob(resolved).covers(text, wild)
        )
        cover = min(head, glob)
        return cover, cover

    def resolved(self, context: Context) -> ArnGlob | bool | None:
        """Return the pattern with the values of its variables.

        :returns: False if a variable has several values, or no value and no default, so that the pattern matches no ARN;
            None if the value of a variable is unknown.
        """
        tokens = resolve(self.tokens, context)
        return tokens if tokens is None or isinstance(tokens, bool) else ArnGlob(tokens)

    @property
    def widest(self) -> ArnGlob:
        """Return a pattern for all ARNs that the value matches for any values of its variables."""
        return ArnGlob(relax(self.tokens) if self.head is not None else (Wild.ANY,))


class ResourceTest:
    """The values of Resource or NotResource. ``open`` has the values with policy variables that may match.

    ``globs`` has the patterns of the values without policy variables, except ``*``, for which ``everything`` is true.

    :arg wide: whether a value with a variable before the fifth colon may match; otherwise it matches nothing. IAM does not
        document such variables. The safe choice grants less: True for a Deny with Resource and for an Allow with NotResource,
        otherwise False.
    :arg complete: whether missing parts of an ARN count as ``*`` (see ``ArnGlob``).
    """

    __slots__ = ("_services", "complete", "everything", "globs", "open")

    def __init__(self, values: tuple[str, ...], variables: bool, wide: bool, complete: bool = True) -> None:
        self.complete = complete
        self.everything = False
        self.globs: list[ArnGlob] = []
        # The patterns of the services for which a single value includes all resources.
        self._services: list[Glob] = []
        opened: list[OpenResource] = []
        for value in values:
            tokens = tokenize(value, variables=variables, wildcards=True)
            if tokens == (Wild.ANY,):
                self.everything = True
            elif not policy_variables(tokens):
                glob = ArnGlob((t for t in tokens if isinstance(t, str | Wild)), complete)
                self.globs.append(glob)
                if len(glob.parts) == ARN_PARTS and all(
                    tuple(filter(None, part.tokens)) in ((), (Wild.ANY,)) for part in glob.parts[3:]
                ):
                    self._services.append(glob.parts[2])
            else:
                pattern = OpenResource(tokens)
                if pattern.head is not None or wide:
                    opened.append(pattern)
        self.open = tuple(opened)

    def covers_service(self, service: str, wild: bool) -> Cover:
        """Return whether the values match requests for actions that have no resource.

        Such a request matches ``*``. It also matches a value that includes all resources of the service, such as
        ``arn:aws:s3:::*``, as the Amazon S3 User Guide shows for s3:ListAllMyBuckets.

        :arg wild: whether ``service`` has wildcards. The result is SOME only if it has.
        """
        if self.everything:
            return Cover.ALL
        return max((glob.covers(service, wild) for glob in self._services), default=Cover.NONE)

    def covers(self, parts: tuple[str, ...], wild: bool, context: Context) -> tuple[Cover, Cover]:
        """Return whether the values match all, some or none of the ARNs of a request, as a lower and an upper bound.

        The bounds differ only if the value of a variable is unknown.

        :arg parts: the ARN in the request, split by ``arn_parts``.
        :arg wild: whether that ARN has wildcards and therefore represents many ARNs.
        """
        if self.everything:
            return Cover.ALL, Cover.ALL
        least = Cover.NONE
        for glob in self.globs:
            least = max(least, glob.covers(parts, wild))
            if least is Cover.ALL:
                return least, least
        most = least
        if len(parts) == ARN_PARTS:
            for value in self.open:
                low, high = value.covers(parts, wild, context)
                least, most = max(least, low), max(most, high)
        return least, most


_ROLE = re.compile(r"arn:(?P<partition>[a-z0-9-]+):iam::(?P<account>[0-9]{12}):role/(?P<path>.+)\Z")


@dataclass(frozen=True, slots=True)
class Caller:
    """The caller of a request: an AWS service (its service principal), a session of a role (the ARN of the role, and the ARN of
    the session if it is known), or a web identity (the ARN of the OIDC provider that issued its token).
    """

    service: str | None = None
    role_arn: str | None = None
    provider_arn: str | None = None
    session_arn: str | None = None

    def has_session(self, principal: str) -> bool:
        """Return whether a principal is a session of the role of this caller."""
        role = _ROLE.match(self.role_arn or "")
        return role is not None and principal.startswith(
            f"arn:{role['partition']}:sts::{role['account']}:assumed-role/{role['path'].rpartition('/')[2]}/"
        )

    @property
    def names(self) -> frozenset[tuple[str, str]]:
        """Return the principals except ``*`` that include this caller, as pairs such as ("AWS", "111122223333")."""
        if self.service is not None:
            return frozenset({("Service", self.service)})
        if self.provider_arn is not None:
            return frozenset({("Federated", self.provider_arn)})
        role = _ROLE.match(self.role_arn or "")
        if role is None:
            return frozenset()
        account = role["account"]
        return frozenset(
            {
                ("AWS", account),
                ("AWS", f"arn:{role['partition']}:iam::{account}:root"),
                ("AWS", str(self.role_arn)),
                ("AWS", str(self.session_arn)),
            }
        )


class PrincipalTest:
    """The Principal or NotPrincipal of a statement."""

    __slots__ = ("_allow", "_everyone", "_negated", "_pairs", "_patterns")

    def __init__(self, pairs: tuple[tuple[str, str], ...], negated: bool, allow: bool) -> None:
        self._pairs = frozenset(pairs)
        self._negated = negated
        self._allow = allow
        self._everyone = not self._pairs.isdisjoint({("*", "*"), ("AWS", "*")})
        # IAM rejects wildcards within a principal, so such a statement has no defined meaning. The safe choice grants less: in a
        # Deny with Principal the wildcards are a pattern, otherwise the principal is ignored.
        self._patterns = tuple(
            (kind, Glob(t for t in tokens if isinstance(t, str | Wild)))
            for kind, value in pairs
            if "*" in value
            for tokens in (tokenize(value, variables=False, wildcards=True),)
        )

    def matches(self, caller: Caller) -> bool:
        """Return whether the statement applies to this caller."""
        if self._negated:
            # IAM does not support NotPrincipal with Allow, so such a statement grants nothing.
            return not self._allow and not self._includes(caller, widest=False)
        return self._includes(caller, widest=not self._allow)

    def _includes(self, caller: Caller, *, widest: bool) -> bool:
        if self._everyone:
            return True
        names = caller.names
        if not self._pairs.isdisjoint(names):
            return True
        return widest and any(
            kind == name and glob.matches(value) for kind, glob in self._patterns for name, value in names
        )
