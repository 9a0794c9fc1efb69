"""Parameters: forgiving decoding and the texts of type errors (spec 01 §4)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cgr_cluster.events.instant import Instant
from cgr_cluster.rpc.decode import build, decode_params
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.rpc.owners import ANY
from cgr_cluster.rpc.registry import Method, Params
from cgr_cluster.rpc.schema import schema
from cgr_cluster.rpc.slow_decode import read_parameter

SCENARIOS = Path(__file__).parents[1] / "conformance" / "scenarios"


class TenantID(Params, go="utils.TenantID"):
    Tenant: str = ""
    ID: str = ""


class Metric(Params, go="engine.MetricWithFilters"):
    MetricID: str = ""
    FilterIDs: list[str] = []


class StatQueueProfile(Params, go="engine.StatQueueProfileWithAPIOpts"):
    Tenant: str = ""
    ID: str = ""
    QueueLength: int = 0
    Weight: float = 0.0
    Metrics: list[Metric] | None = None


class CallDescriptor(Params, go="engine.CallDescriptorWithAPIOpts"):
    Tenant: str = ""
    TimeStart: Instant = Instant(0)
    TimeEnd: Instant | None = None
    DurationIndex: int = 0


def method(params: Any, name: str = "X.Y") -> Method:
    return Method(name, lambda: None, params, ANY, False, None, False)


def decode(params: Any, raw: str) -> Any:
    return decode_params(method(params), raw.encode())


def error_text(go_type: str, parameter: Any) -> str:
    with pytest.raises(ApiError) as caught:
        read_parameter(go_type, parameter if isinstance(parameter, bytes) else json.dumps(parameter).encode())
    return caught.value.text


@pytest.mark.parametrize(
    "raw",
    ['{"Tenant":"t","ID":"i"}', '{"tenant":"t","id":"i"}', '{"TENANT":"x","Tenant":"t","Id":"z","iD":"i"}',
     '{"Tenant":"t","ID":"i","Other":{"a":[1]}}', '{"Tenant":"t","ID":"i","ID":null}'],
)  # fmt: skip
def test_names_match_without_case_and_the_last_wins(raw: str) -> None:
    assert decode(TenantID, raw) == TenantID("t", "i")


@pytest.mark.parametrize("raw", ["", "null", "{}", '{"ID":null}'])
def test_null_is_absent(raw: str) -> None:
    assert decode(TenantID, raw) == TenantID()


def test_fields_that_the_handler_leaves_out_are_checked_and_dropped() -> None:
    found = decode(StatQueueProfile, '{"ID":"q","TTL":5,"Metrics":[{"MetricID":"*tcd","FilterIDs":["a",null]},null]}')
    assert found == StatQueueProfile(ID="q", Metrics=[Metric("*tcd", ["a", ""]), Metric()])
    with pytest.raises(ApiError, match=r"StatQueueProfile\.TTL of type time\.Duration"):
        decode(StatQueueProfile, '{"TTL":"1h"}')


@pytest.mark.parametrize("extra", ["", ',"other":1'])
def test_times_on_both_paths(extra: str) -> None:
    raw = '{"Tenant":"t","TimeStart":"1970-01-01T01:00:01.5+01:00","DurationIndex":7' + extra + "}"
    assert decode(CallDescriptor, raw) == CallDescriptor("t", Instant(1, 500_000_000, 3600), None, 7)
    assert decode(CallDescriptor, '{"DurationIndex":7' + extra + "}") == CallDescriptor(DurationIndex=7)


@pytest.mark.parametrize("name", ["TimeStart", "T\\u0069meStart", "\\u0054imeStart", "timeStart"])
def test_a_time_in_the_form_of_records_is_refused_however_its_name_is_spelt(name: str) -> None:
    """An Instant's own JSON form is a list, which no client may send."""
    with pytest.raises(ApiError, match="input is not a JSON string"):
        decode(CallDescriptor, '{"' + name + '":[1,2,3]}')
    text = "1970-01-01T00:00:05Z"
    assert decode(CallDescriptor, '{"' + name + '":"' + text + '"}') == CallDescriptor(TimeStart=Instant(5))
    assert decode(CallDescriptor, '{"Tenant":"' + name + '"}').Tenant == json.loads(f'"{name}"')


def test_the_first_wrong_time_in_the_order_sent() -> None:
    with pytest.raises(ApiError, match='"later"'):
        decode(CallDescriptor, '{"TimeEnd":"later","TimeStart":"soon"}')


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 10**30])
def test_integers_end_at_64_bits(number: int) -> None:
    with pytest.raises(ApiError) as caught:
        decode(StatQueueProfile, f'{{"QueueLength":{number}}}')
    place = "StatQueueProfileWithAPIOpts.StatQueueProfile.QueueLength"
    assert caught.value.text == f"json: cannot unmarshal number {number} into Go struct field {place} of type int"


def test_broken_texts_become_replacement_characters() -> None:
    assert decode_params(method(TenantID), b'{"ID":"a\xffb\\ud800"}').ID == "a\ufffdb\ufffd"
    assert decode_params(method(TenantID), '{"ID":"\\ud83d\\ude00é"}'.encode()).ID == "😀é"


def test_plain_texts_and_maps() -> None:
    assert decode_params(method(str, "APIerSv1.GetDestination"), b'"x"') == "x"
    assert decode_params(method(str, "APIerSv1.GetDestination"), b"null") == ""
    with pytest.raises(ApiError, match="cannot unmarshal object into Go value of type string"):
        decode_params(method(str, "APIerSv1.GetDestination"), b"{}")
    assert decode_params(method(Any, "SMGenericV1.GetMaxUsage"), b'{"a":1,"B":[1.5]}') == {"a": 1, "B": [1.5]}
    with pytest.raises(ApiError, match=r"cannot unmarshal array into Go value of type map\[string\]interface {}"):
        decode_params(method(Any, "SMGenericV1.GetMaxUsage"), b"[]")


@pytest.mark.parametrize(
    ("go_type", "parameter", "text"),
    [
        ("utils.TenantID", {"ID": 5}, "number into Go struct field TenantID.ID of type string"),
        ("utils.TenantID", {"id": True}, "bool into Go struct field TenantID.ID of type string"),
        ("utils.TenantID", {"ID": {"a": 1}}, "object into Go struct field TenantID.ID of type string"),
        ("utils.TenantID", "STS", "string into Go value of type utils.TenantID"),
        ("utils.TenantID", 7, "number into Go value of type utils.TenantID"),
        ("utils.TenantID", True, "bool into Go value of type utils.TenantID"),
        ("utils.TenantID", ["x"], "array into Go value of type utils.TenantID"),
        ("engine.StatQueueProfileWithAPIOpts", {"Metrics": {}}, "object into Go struct field"
         " StatQueueProfileWithAPIOpts.StatQueueProfile.Metrics of type []*engine.MetricWithFilters"),
        ("engine.StatQueueProfileWithAPIOpts", {"Metrics": [{"MetricID": 5}]}, "number into Go struct field"
         " MetricWithFilters.StatQueueProfile.Metrics.MetricID of type string"),
        ("engine.StatQueueProfileWithAPIOpts", {"Metrics": [{}, 5]}, "number into Go struct field"
         " StatQueueProfileWithAPIOpts.StatQueueProfile.Metrics of type engine.MetricWithFilters"),
        ("engine.StatQueueProfileWithAPIOpts", {"FilterIDs": [5]}, "number into Go struct field"
         " StatQueueProfileWithAPIOpts.StatQueueProfile.FilterIDs of type string"),
        ("engine.StatQueueProfileWithAPIOpts", {"QueueLength": 1e30}, "number 1e+30 into Go struct field"
         " StatQueueProfileWithAPIOpts.StatQueueProfile.QueueLength of type int"),
        ("v1.V1AttrSetActions", {"Actions": [{"Filters": "x"}]},
         "string into Go struct field V1TPAction.Actions.Filters of type []string"),
        ("utils.CGREvent", {"Event": ["x"]},
         "array into Go struct field CGREvent.Event of type map[string]interface {}"),
        ("engine.CDRWithAPIOpts", {"ExtraFields": {"a": 5}},
         "number into Go struct field CDRWithAPIOpts.CDR.ExtraFields of type string"),
        ("utils.AttrGetAccounts", {"Filter": {"a": "x"}},
         "string into Go struct field AttrGetAccounts.Filter of type bool"),
        ("utils.ArgScheduleTrendQueries", {"Tenant": 1}, "number into Go struct field"
         " ArgScheduleTrendQueries.TenantIDWithAPIOpts.TenantID.Tenant of type string"),
        ("utils.TenantID", {"Tenant": 1, "ID": []}, "number into Go struct field TenantID.Tenant of type string"),
        ("utils.TenantID", {"ID": [], "Tenant": 1}, "array into Go struct field TenantID.ID of type string"),
        ("sessions.V1AuthorizeArgs", {"Limit": 1.5},
         "number 1.5 into Go struct field V1AuthorizeArgs.Paginator.Limit of type int"),
        ("utils.TPTimingWithAPIOpts", {"Years": ["x"]},
         "string into Go struct field TPTimingWithAPIOpts.TPTiming.Years of type int"),
        ("utils.TPTimingWithAPIOpts", {"Years": "x"},
         "string into Go struct field TPTimingWithAPIOpts.TPTiming.Years of type utils.Years"),
    ],
)  # fmt: skip
def test_type_errors(go_type: str, parameter: Any, text: str) -> None:
    assert error_text(go_type, parameter) == f"json: cannot unmarshal {text}"


def test_times_that_are_no_texts() -> None:
    for value in (5, True, {}, []):
        assert error_text("utils.CGREvent", {"Time": value}) == "Time.UnmarshalJSON: input is not a JSON string"
    assert error_text("utils.CGREvent", {"Time": "2026-02-30T00:00:00Z"}).endswith("day out of range")


def _recorded_errors() -> list[tuple[str, Any, str]]:
    out = []
    for path in sorted(SCENARIOS.rglob("*.json")):
        for step in json.loads(path.read_text())["steps"]:
            text = step.get("expect", {}).get("error")
            if isinstance(text, str) and text.startswith(("json: cannot", "Time.Unm", "parsing time")):
                out.append((step["call"], step.get("params"), text))
    return out


@pytest.mark.parametrize(("name", "parameter", "text"), _recorded_errors())
def test_recorded_type_errors(name: str, parameter: Any, text: str) -> None:
    go_type = schema().type_of(name) or schema().type_of(name.replace("APIerSv2", "APIerSv1"))
    assert go_type is not None
    if text.startswith("parsing time") and "T15:04:05Z07:00" not in text:
        pytest.skip("a converter's error, not the decoder's")
    assert error_text(go_type, parameter) == text


def test_every_type_of_the_schema_can_be_read() -> None:
    types = schema()
    seen = set()
    todo = set(types.method_types.values())
    while todo:
        go_type = todo.pop()
        seen.add(go_type)
        shape = types.shape(go_type)
        inner = {shape.element} - {""} | {member.go_type for member in shape.members.values()}
        todo |= inner - seen
    assert len(seen) > 200


def test_built_objects_equal_decoded_ones() -> None:
    value = {"ID": "q", "Metrics": [{"MetricID": "m"}], "TTL": 5}
    assert build(StatQueueProfile, value) == StatQueueProfile(ID="q", Metrics=[Metric("m")])
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"tenant":"x"}', type=TenantID)
