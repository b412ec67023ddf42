# Copyright: (c) 2026, the workload_identity.aws authors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

# Note that all module_utils of this collection are private to it.

"""The table of codes: severity, title, cause and remedy of each. Pure."""

from __future__ import annotations

from .descriptions import Descriptions
from .kubernetes_codes import CLUSTER, INJECTION, PROOF
from .policy_codes import PERMISSIONS, TRUST_NOTES, TRUST_REASONS
from .run_codes import FAILURES, RUN
from .verification_codes import VERIFICATION

TABLE: Descriptions = {
    **VERIFICATION,
    **RUN,
    **FAILURES,
    **CLUSTER,
    **INJECTION,
    **PROOF,
    **TRUST_REASONS,
    **TRUST_NOTES,
    **PERMISSIONS,
}
