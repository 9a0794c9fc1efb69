"""The way most clients set a tariff up: through the store, over HTTP, with the spellings that deployed ones have
(02-clients). Calls of one flow, for any transport."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Call = Callable[[str, Any], dict[str, Any]]  # method, params → the answer with result and error

TARIFF: tuple[tuple[str, dict[str, Any]], ...] = (
    ("ApierV1.SetTPDestination", {"Tpid": "TP", "Id": "DST_NO", "prefixes": ["47", "0047"], "Unknown": 1}),
    ("ApierV2.SetTPDestination", {"TPid": "TP", "ID": "DST_SE", "Prefixes": ["46"]}),
    ("ApierV1.SetTPTiming", {"TPid": "TP", "Id": "PEAK", "Years": "*any", "Months": "*any", "MonthDays": "*any",
                             "WeekDays": "1;2;3;4;5", "Time": "08:00:00"}),
    ("ApierV1.SetTPRate", {"TPid": "TP", "ID": "RT", "RateSlots": [
        {"ConnectFee": 0.1, "Rate": 0.6, "RateUnit": "60s", "RateIncrement": "60s", "GroupIntervalStart": "0s"},
        {"ConnectFee": None, "Rate": 0.3, "RateUnit": "1m", "RateIncrement": "1s", "GroupIntervalStart": "60s"}]}),
    ("APIerSv1.SetTPDestinationRate", {"TPid": "TP", "id": "DR", "DestinationRates": [
        {"DestinationId": "DST_NO", "RateId": "RT", "Rate": None, "RoundingMethod": "*up", "RoundingDecimals": 4,
         "MaxCost": 0, "MaxCostStrategy": ""},
        {"destinationid": "DST_SE", "rateid": "RT", "roundingmethod": "*up", "roundingdecimals": 4}]}),
    ("APIerSv2.SetTPRatingPlan", {"Tpid": "TP", "Id": "RP", "RatingPlanBindings": [
        {"DestinationRatesId": "DR", "TimingId": "*any", "Weight": 10}]}),
    ("ApierV1.SetTPRatingProfile", {"TPid": "TP", "LoadId": "L1", "Tenant": None, "Category": "call", "Subject": "*any",
        "RatingPlanActivations": [
            {"ActivationTime": "2014-01-14T00:00:00Z", "RatingPlanId": "RP", "FallbackSubjects": None}]}),
    ("ApierV1.SetTPActions", {"TPid": "TP", "ID": "TOPUP", "Actions": [
        {"Identifier": "*topup", "BalanceType": "*voice", "Units": "5m", "ExpiryTime": "*unlimited", "BalanceWeight": "10",
         "BalanceId": "BUNDLE", "BalanceBlocker": "true", "Weight": 10}]}),
)  # fmt: skip
ACTIVATION_TIMES = (
    "", "2014-01-14T00:00:00Z", "2014-01-14T01:00:00+01:00", "2014-01-14 00:00:00", "2014-01-14T00:00:00", "1389657600",
    "1389657600000", "1389657600000000000", "20140114000000", "14.01.2014 00:00:00", "14/01/2014 00:00:00",
    "2014-01-14 00:00:00 +0000 UTC", "*unlimited", "-10000h",
)  # fmt: skip
EXPIRY_TIMES = (
    "*now", "+4320h", "*month_end", "*daily", "*monthly", "*yearly", "*unlimited", "", None, "2032-01-14T00:00:00Z",
    "2032-01-14 00:00:00", "1957651200", "1957651200000",
)  # fmt: skip


def done(call: Call, method: str, params: Any) -> Any:
    answer = call(method, params)
    assert answer["error"] is None, (method, params, answer)
    return answer["result"]


def set_up_tariff(call: Call) -> None:
    for method, params in TARIFF:
        assert done(call, method, params) == "OK"
    assert (
        done(
            call, "ApierV1.LoadTariffPlanFromStorDb", {"Tpid": "TP", "DryRun": False, "Validate": True, "Caching": None}
        )
        == "OK"
    )


def cost(call: Call, number: str, usage: str = "120s") -> Any:
    params = {
        "Tenant": "",
        "Category": "call",
        "Subject": "1001",
        "Destination": number,
        "AnswerTime": "*now",
        "Usage": usage,
    }
    answer = call("ApierV1.GetCost", params)
    return answer["error"] or answer["result"]["Cost"]
