"""The API's filters on a small set of records (spec 40 §4)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.events.instant import Instant
from tests.unit.cdrs_world import APRIL_NS, StoreNode, cdr, entry

START = 1772445600  # 2026-03-02T10:00:00Z


@pytest.fixture(scope="module")
def node() -> StoreNode:
    """Five records in the store. 5 was not answered and could not be rated."""
    node = StoreNode()
    records = []
    for n in range(1, 6):
        records.append(
            cdr(
                n, account=f"100{n % 2}", answer_time=Instant(START + n), setup_time=Instant(START), usage_ns=n * 10**9,
                cost_nano=n * 250_000_000, extra_fields={"Trunk": f"t{n}"} if n < 4 else {}, run_id="*raw" if n == 2 else "*default",
                destination="" if n == 3 else f"49{n}", order_id=100 + n,
            )
        )  # fmt: skip
    records[4].cost_nano = -1_000_000_000
    node.writer.put([entry(record, APRIL_NS + number) for number, record in enumerate(records)])
    return node


def ask(node: StoreNode, method: str, **filters: Any) -> Any:
    reply = node.call(method, filters)
    if reply["error"]:
        return reply["error"]
    result = reply["result"]
    return result if isinstance(result, int) else [int(record["OriginID"][5:]) for record in result]


ALL = [1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, ALL),
        ({"RunIDs": []}, ALL),
        ({"Accounts": ["1001"]}, [1, 3, 5]),
        ({"NotAccounts": ["1001"], "NotRunIDs": ["*raw"]}, [4]),
        ({"CGRIDs": [f"cgrid-{n}" for n in range(2, 40)]}, [2, 3, 4, 5]),
        ({"DestinationPrefixes": ["491", "492"]}, [1, 2]),
        ({"DestinationPrefixes": [""]}, [3]),
        ({"NotDestinationPrefixes": ["49"]}, [3]),
        ({"Costs": [0.25, -1]}, [1, 5]),
        ({"NotCosts": [0.25, -1]}, [2, 3, 4]),
        ({"ExtraFields": {"Trunk": "*exists"}}, [1, 2, 3]),
        ({"ExtraFields": {"Trunk": ""}}, [4, 5]),
        ({"NotExtraFields": {"Trunk": "*exists"}}, [4, 5]),
        ({"NotExtraFields": {"Trunk": ""}}, [1, 2, 3]),
        ({"AnswerTimeStart": "2026-03-02T10:00:02Z", "AnswerTimeEnd": "2026-03-02T10:00:04Z"}, [2, 3, 4]),
        ({"SetupTimeEnd": "2026-03-02T10:00:00Z"}, "NOT_FOUND"),
        ({"SetupTimeStart": "2026-03-02 10:00:00"}, ALL),
        ({"AnswerTimeEnd": "*unlimited", "AnswerTimeStart": "0"}, ALL),
        ({"UpdatedAtStart": "2026-04-01T00:00:00Z"}, ALL),
        ({"CreatedAtEnd": "2026-04-01T00:00:00Z"}, "NOT_FOUND"),
        ({"MinUsage": "2s", "MaxUsage": "4000000000"}, [2, 3, 4]),
        ({"ExtraArgs": {"OrderIDStart": 102, "OrderIDEnd": "104"}}, [2, 3]),
        ({"ExtraArgs": {"MinCost": 0.5, "MaxCost": "1"}}, [2, 3]),
        ({"ExtraArgs": {"MinCost": 0.2500000001}}, [2, 3, 4]),
        ({"ExtraArgs": {"MinCost": 0, "MaxCost": -1}}, [1, 2, 3, 4]),
        ({"ExtraArgs": {"MaxCost": -1}}, [1, 2, 3, 4]),
        ({"ExtraArgs": {"MinCost": 0.1, "MaxCost": -1}}, "NOT_FOUND"),
        ({"OrderBy": "Cost"}, [5, 1, 2, 3, 4]),
        ({"OrderBy": "Usage;desc"}, [5, 4, 3, 2, 1]),
        ({"OrderBy": "Usage;DESC"}, ALL),
        ({"OrderBy": "SetupTime", "Limit": 2, "Offset": 3}, [4, 5]),
        ({"Offset": 5}, "NOT_FOUND"),
        ({"Offset": -1}, ALL),
        ({"Limit": 0, "OrderBy": "Cost"}, []),
        ({"Limit": 0}, "NOT_FOUND"),
        ({"Limit": -1, "OrderBy": "Cost"}, "NOT_FOUND"),
        ({"Limit": 2**63 - 1}, ALL),
        ({"Limit": 2**63 - 1, "Offset": 2}, [3, 4, 5]),
        ({"Offset": 2**63 - 1, "Limit": 2}, "NOT_FOUND"),
        ({"ExtraArgs": {"OrderIDStart": -(10**30), "OrderIDEnd": 1e30}}, ALL),
        ({"ExtraArgs": {"OrderIDStart": 10**30}}, "NOT_FOUND"),
        ({"ExtraArgs": {"OrderIDEnd": -1e30}}, "NOT_FOUND"),
        ({"OrderBy": "Account"}, "SERVER_ERROR: Invalid value : Account"),
        ({"OrderBy": "Account;desc", "Accounts": ["x"]}, "NOT_FOUND"),
        ({"AnswerTimeStart": "x"}, "SERVER_ERROR: Unsupported time format"),
        ({"MinUsage": "x"}, 'SERVER_ERROR: time: invalid duration "x"'),
        ({"MinUsage": "x", "Accounts": ["nobody"]}, "NOT_FOUND"),
        ({"ExtraArgs": {"MinCost": "x"}}, 'SERVER_ERROR: strconv.ParseFloat: parsing "x": invalid syntax'),
        ({"ExtraArgs": {"OrderIDEnd": "x"}}, 'SERVER_ERROR: strconv.ParseInt: parsing "x": invalid syntax'),
    ],
)
def test_new_names(node: StoreNode, filters: dict[str, Any], expected: Any) -> None:
    assert ask(node, "APIerSv2.GetCDRs", **filters) == expected
    in_v1 = "SERVER_ERROR: NOT_FOUND" if expected == "NOT_FOUND" else expected
    assert ask(node, "CDRsV1.GetCDRs", **filters) == in_v1


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({}, 5),
        ({"Accounts": ["1001"]}, 3),
        ({"Accounts": ["nobody"]}, 0),
        ({"Limit": 2}, 2),
        ({"Limit": 0}, 0),
        ({"Limit": -1}, 0),
        ({"Offset": 3}, 2),
        ({"Offset": 9}, 0),
        ({"OrderBy": "Account"}, 5),
        ({"MinUsage": "x", "Accounts": ["nobody"]}, 0),
        ({"MinUsage": "x"}, 'SERVER_ERROR: time: invalid duration "x"'),
    ],
)
def test_counts(node: StoreNode, filters: dict[str, Any], expected: Any) -> None:
    assert ask(node, "CDRsV1.GetCDRsCount", **filters) == expected
    assert ask(node, "APIerSv2.CountCDRs", **filters) == expected


@pytest.mark.parametrize(
    ("filters", "expected"),
    [
        ({"MediationRunIds": ["*raw"]}, [2]),
        ({"OrderIdStart": 102, "OrderIdEnd": 104}, [2, 3]),
        ({"TimeStart": "2026-03-02T10:00:04Z"}, [4, 5]),
        ({"TimeEnd": "2026-03-02T10:00:02Z"}, [1, 2]),
        ({"SkipErrors": True}, [1, 2, 3, 4]),
        ({"SkipRated": True, "SkipErrors": True}, [1, 2, 3, 4]),
        ({"RatedAccounts": ["x"], "RatedSubjects": ["y"]}, ALL),
        ({"TORs": ["*sms"]}, "NOT_FOUND"),
        ({"TimeStart": "x"}, "SERVER_ERROR: Unsupported time format"),
    ],
)
def test_old_names(node: StoreNode, filters: dict[str, Any], expected: Any) -> None:
    assert ask(node, "APIerSv1.GetCDRs", **filters) == expected
