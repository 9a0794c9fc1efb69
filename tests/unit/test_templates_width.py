"""Fixed widths of fields (spec 41 §4)."""

from __future__ import annotations

import pytest

from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.templates.width import MAX_WIDTH, fitted


@pytest.mark.parametrize("width", [MAX_WIDTH + 1, 2**63 - 1, 10**30])
def test_a_field_is_not_filled_up_without_bound(width: int) -> None:
    with pytest.raises(ApiError, match=rf"width {width} is more than {MAX_WIDTH}, fieldID: <A>"):
        fitted("abc", width, "*left", "*zeroleft", False, "A")
    assert len(fitted("abc", MAX_WIDTH, "*left", "*zeroleft", False, "A")) == MAX_WIDTH
