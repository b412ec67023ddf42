# Copyright: (c) 2026, the workload_identity.aws authors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import pytest
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.inputs.options import (
    parse_cluster_name,
)
from ansible_collections.workload_identity.aws.plugins.module_utils._identity.model.errors import InputError


@pytest.mark.parametrize("name", ["", "  "])
def test_reports_empty_cluster_name(name: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_cluster_name(name)
    assert caught.value.problems == ("cluster_name: is empty; set the name of the EKS cluster.",)
