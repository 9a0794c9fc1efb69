"""What a load would change, in words (`cgr-cluster load --diff FOLDER`)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any


def text_of(found: dict[str, Any]) -> Iterator[str]:
    """The lines for an answer of APIerSv1.DiffTariffPlan."""
    kinds = {kind: diff for kind, diff in found["Kinds"].items() if diff["Added"] or diff["Changed"]}
    if not kinds:
        yield "nothing would change" if not found["Accounts"] else "no reference data would change"
    for kind, diff in kinds.items():
        line = f"{kind}: {diff['Added']} added, {diff['Changed']} changed, {diff['Unchanged']} unchanged"
        if diff["Vanishing"]:
            line += f"; {diff['Vanishing']} parts vanish (not in what replaces them)"
        yield line
        for item in diff["Objects"]:
            yield f"  {'+' if item['Change'] == 'added' else '~'} {item['ID']}"
            for field in item["Fields"]:
                yield f"      {field['Field']}: {_value(field['Live'])} -> {_value(field['Loaded'])}"
            if item["More"]:
                yield f"      and {item['More']} more"
        hidden = diff["Added"] + diff["Changed"] - len(diff["Objects"])
        if hidden:
            yield f"  and {hidden} more"
    if found["Accounts"]:
        yield f"{found['Accounts']} accounts would be set by AccountActions"


def _value(value: Any) -> str:
    return "(nothing)" if value is None else json.dumps(value, ensure_ascii=False)
