"""Converters: what each gives for an input, and the errors of making and using it (spec chapter 41, section 2)."""

from __future__ import annotations

import pytest

from cgr_cluster.events.converters import compile_converters
from cgr_cluster.events.times import parse_rfc3339
from cgr_cluster.events.values import text_of
from cgr_cluster.rpc.errors import ApiError


class Around:
    """A fixed time, zone and chance."""

    now_ns = parse_rfc3339("2026-03-02T10:00:00Z").ns
    zone = "UTC"

    def __init__(self, number: int = 12345) -> None:
        self.number = number

    def random_number(self) -> int:
        return self.number


def convert(converters: str, text: str, number: int = 12345) -> str:
    around, value = Around(number), text
    for converter in compile_converters(converters):
        value = converter(value, around)
    return text_of(value)


@pytest.mark.parametrize(
    ("converters", "text", "expected"),
    [
        # durations; a number is nanoseconds
        ("*duration_seconds", "1m34.5678s", "94.5678"),
        ("*duration_seconds", "90000000000", "90"),
        ("*duration_seconds", "", "0"),
        ("*duration_seconds", "-1.5s", "-1.5"),
        ("*duration_minutes", "1m34.5678s", "1.57613"),
        ("*duration_nanoseconds", "1m34.5678s", "94567800000"),
        ("*duration_nanoseconds", "1.9", "1"),
        ("*duration_nanoseconds", "*unlimited", "-1"),
        ("*duration", "7", "7ns"),
        ("*duration", "90s", "1m30s"),
        ("*duration", "*unlimited", "-1"),
        ("*durfmt", "1m34.5678s", "00:01:34"),
        ("*durfmt", "25h", "01:00:00"),
        ("*durfmt", "-10s", "23:59:50"),
        ("*durfmt:", "10s", "00:00:10"),
        ("*durfmt:04m05s", "1m34s", "01m34s"),
        ("*durfmt:15h04:05.000", "1m34.5678s", "00h01:34.567"),
        ("*duration_seconds&*round:1:*up", "1m34.5678s", "94.6"),
        ("*duration&*duration_seconds", "90s", "90"),
        ("*float64&*duration", "1000000000", "1s"),
        # numbers
        ("*round", "94.5678", "95"),
        ("*round", "2.5", "3"),
        ("*round", "-1.255", "-2"),
        ("*round:2", "94.5678", "94.57"),
        ("*round:2:*up", "94.5678", "94.57"),
        ("*round:2:*down", "94.5678", "94.56"),
        ("*round:2:*middle", "-1.255", "-1.26"),
        ("*round:2:*up", "-1.255", "-1.26"),
        ("*round:2:*down", "-1.255", "-1.26"),
        ("*round:2:*other", "1.255", "1.255"),
        ("*round:-1", "94.5678", "90"),
        ("*round", "1m", "60000000000"),
        ("*round", "NaN", "NaN"),
        ("*round", "+Inf", "+Inf"),
        ("*multiply:0.1", "7", "0.7000000000000001"),
        ("*multiply:2", "1e3", "2000"),
        ("*divide:60&*round:3:*middle", "94.5678", "1.576"),
        ("*divide:60&*round:3:*middle", "-1.255", "-0.021"),
        ("*divide:0", "1", "+Inf"),
        ("*divide:0", "-1", "-Inf"),
        ("*divide:0", "0", "NaN"),
        ("*float64", "007.50", "7.5"),
        ("*float64", "2s", "2000000000"),
        ("*gigawords", "3", "12884901888"),
        ("*gigawords", "-1", "-4294967296"),
        # texts
        ("*len", "+4915112233445", "14"),
        ("*len", "ä", "2"),
        ("*len", "", "0"),
        ("*slice", '["a", "b"]', '["a","b"]'),
        ("*slice", "[a", "[a"),
        ("*slice", '{"a":1}', '{"a":1}'),
        ("*slice&*len", '["a","b","c"]', "3"),
        ("*slice&*len", "abc", "3"),
        ("*json", "1001", '"1001"'),
        ("*json", "a<b", '"a\\u003cb"'),
        ("*duration&*json", "1s", "1000000000"),
        ("*string2hex", "1001", "0x31303031"),
        ("*string2hex", "", ""),
        ("*ip2hex", "192.168.10.5", "0xc0a80a05"),
        ("*ip2hex", "2001:db8::c0a8:a05", "0xc0a80a05"),
        ("*ip2hex", "nowhere", ""),
        ("*urldecode", "a%20b%2Fc+d", "a b/c d"),
        ("*urlencode", "  padded  ", "++padded++"),
        ("*urlencode", "a/b:c&d=ä", "a%2Fb%3Ac%26d%3D%C3%A4"),
        ("*urlencode", "a%20b", "a+b"),
        ("*urlencode", "a?b#c", "a"),
        ("*urlencode", "http://h/p?a=b c&B=%2F", "http://h/p?B=%2F&a=b+c"),
        ("*conn_status", "UP", "1"),
        ("*conn_status", "DOWN", "-1"),
        # strip
        ("*strip:*prefix:3", "+4915112233445", "15112233445"),
        ("*strip:*suffix:2", "+4915112233445", "+49151122334"),
        ("*strip:*both:2", "abcdef", "cd"),
        ("*strip:*both:3", "abcdef", ""),
        ("*strip:*prefix:9", "abcdef", ""),
        ("*strip:*suffix:6", "abcdef", ""),
        ("*strip:*prefix:0", "abcdef", "abcdef"),
        ("*strip:*suffix:-1", "abcdef", "abcdef"),
        ("*strip:*both:*space", "  padded  ", "padded"),
        ("*strip:*prefix:*space:1", "  padded  ", " padded  "),
        ("*strip:*prefix:*space:3", "  padded  ", "  padded  "),
        ("*strip:*suffix:*nil", "a\0\0", "a"),
        ("*strip:*both:*nil:1", "\0a\0\0", "a\0"),
        ("*strip:*prefix:*char:+", "+4915", "4915"),
        ("*strip:*both:*char:ab", "abcba", "c"),
        ("*strip:*prefix:*char:0:2", "000123", "0123"),
        ("*strip:*suffix:*char:ab:2", "xabab", "x"),
        ("*strip:*prefix:*char:0:0", "000123", "000123"),
        # telecom notations
        ("*sipuri_user", "sip:alice@proxy.example.com:5060;transport=udp", "alice"),
        ("*sipuri_user", "sip:alice", "alice"),
        ("*sipuri_user", "tel:+49", ""),
        ("*sipuri_host", "sip:alice@proxy.example.com:5060;transport=udp", "proxy.example.com"),
        ("*sipuri_host", "sip:a@10.1.2.3:5080;maddr=10.9.9.9", "10.1.2.3:5080"),
        ("*sipuri_host", "sip:10.9.9.9@10.1.2.3:5080", "10.1.2.3:5080"),
        ("*sipuri_host", "sip:a@10.1.2.3", "10.1.2.3"),
        ("*sipuri_host", "sip:alice", ""),
        ("*sipuri_method", "INVITE sip:alice@h SIP/2.0", "INVITE"),
        ("*sipuri_method", "", ""),
        ("*e164", "5.4.4.9.4.e164.arpa.", "49445"),
        ("*e164Domain", "5.4.4.9.4.e164.arpa.", "e164.arpa"),
        ("*e164Domain", ".nothing.", "nothing"),
        ("*libphonenumber:DE", "+4915112233445", "01511 2233445"),
        ("*libphonenumber:DE:1", "+4915112233445", "+49 1511 2233445"),
        ("*libphonenumber:DE:0", "+4915112233445", "+4915112233445"),
        ("*libphonenumber:DE:3", "+4915112233445", "tel:+49-1511-2233445"),
        ("*libphonenumber:DE", "030 1234567", "030 1234567"),
        ("*libphonenumber:DE:1", "030 1234567", "+49 30 1234567"),
        ("*libphonenumber:DE:0", "030 1234567", "+49301234567"),
        ("*libphonenumber:XX", "+4915112233445", "01511 2233445"),
        ("*3gpp_uli:TAI.MCC", "0x8262f2100ac962f21003acbe01", "262"),
        ("*3gpp_uli:TAI.TAC", "8262f2100ac962f21003acbe01", "2761"),
        ("*3gpp_uli:ECGI", "8262f2100ac962f21003acbe01", '{"ECI":61652481,"MCC":"262","MNC":"01"}'),
        ("*3gpp_uli", "0013f0201234abcd", '{"CGI":{"CI":43981,"LAC":4660,"MCC":"310","MNC":"02"}}'),
        # times
        ("*unixtime", "2026-03-02T10:00:05Z", "1772445605"),
        ("*unixtime", "2026-07-01 12:30:00", "1782909000"),
        ("*timestring", "2026-03-02T10:00:05Z", "2026-03-02 10:00:05"),
        ("*timestring:", "1772445600", "2026-03-02 10:00:00"),
        ("*timestring:Europe/Berlin", "2026-07-01 12:30:00", "2026-07-01 14:30:00"),
        ("*timestring:UTC:20060102", "2026-03-02T10:00:05Z", "20260302"),
        ("*timestring::15:04:05", "2026-03-02T10:00:05Z", "10:00:05"),
        ("*timestring:Europe/Berlin:Mon Jan _2 15:04 MST -0700", "2026-03-02T10:00:05Z", "Mon Mar  2 11:00 CET +0100"),
        ("*datetime:02/01/2006", "24/12/2026", "2026-12-24T00:00:00Z"),
        ("*datetime:02.01.2006 15:04 -0700", "24.12.2026 08:00 +0100", "2026-12-24T08:00:00+01:00"),
        ("*datetime:2006-002", "2026-061", "2026-03-02T00:00:00Z"),
        ("*datetime:02/01/2006&*unixtime", "02/03/2026", "1772409600"),
    ],
)  # fmt: skip
def test_what_a_converter_gives(converters: str, text: str, expected: str) -> None:
    assert convert(converters, text) == expected


@pytest.mark.parametrize(
    ("converters", "low", "high"),
    [
        ("*random", 0, 1 << 63),
        ("*random:5", 5, 1 << 63),
        ("*random:5:8", 5, 8),
        ("*random::3", 0, 3),
    ],
)
@pytest.mark.parametrize("number", [0, 1, 7, (1 << 63) - 1])
def test_random_stays_in_its_bounds(converters: str, low: int, high: int, number: int) -> None:
    assert low <= int(convert(converters, "x", number)) < high


@pytest.mark.parametrize(
    ("converters", "text", "error"),
    [
        ("*duration_seconds", "abc", 'time: invalid duration "abc"'),
        ("*duration", "1e3", 'time: unknown unit "e" in duration "1e3ns"'),
        ("*round:2", "abc", 'strconv.ParseFloat: parsing "abc": invalid syntax'),
        ("*round", "", 'strconv.ParseFloat: parsing "": invalid syntax'),
        ("*float64", "1e999", 'strconv.ParseFloat: parsing "1e999": value out of range'),
        ("*float64", "as", 'time: invalid duration "as"'),
        ("*gigawords", "12.5", 'strconv.ParseInt: parsing "12.5": invalid syntax'),
        ("*e164", "49445", "unknown format"),
        ("*libphonenumber:XX", "030 1234567", "invalid country code"),
        ("*libphonenumber:DE", "abc", "the phone number supplied is not a number"),
        ("*conn_status", "x", 'unsupported connection status: "x"'),
        ("*urldecode", "a%zz", 'invalid URL escape "%zz"'),
        ("*strip:*middle:1", "abc", "strip converter: invalid side parameter"),
        ("*len&*strip:*prefix:1", "abc", "strip converter: CAST_FAILED"),
        ("*unixtime", "now", "Unsupported time format"),
        ("*datetime:02/01/2006", "2028-02-29",
         '*datetime converter: parsing failed for value "2028-02-29" with layout "02/01/2006": parsing time "2028-02-29" '
         'as "02/01/2006": cannot parse "28-02-29" as "/"'),
        ("*datetime:02/01/2006", "30/02/2026",
         '*datetime converter: parsing failed for value "30/02/2026" with layout "02/01/2006": '
         'parsing time "30/02/2026": day out of range'),
        ("*3gpp_uli:TAI.MCC", "0013f0201234abcd", "NOT_FOUND"),
    ],
)  # fmt: skip
def test_what_a_converter_refuses(converters: str, text: str, error: str) -> None:
    with pytest.raises(ApiError) as raised:
        convert(converters, text)
    assert raised.value.text == error


@pytest.mark.parametrize(
    ("definition", "error"),
    [
        ("*wrong", "unsupported converter definition: <*wrong>"),
        ("*duration:1", "unsupported converter definition: <*duration:1>"),
        ("", "unsupported converter definition: <>"),
        ("*round:two", "*round converter needs integer as decimals, have: <two>"),
        ("*round:2:*up:3", "unsupported *round converter parameters: <2:*up:3>"),
        ("*multiply", "mandatory information missing"),
        ("*divide:", "mandatory information missing"),
        ("*divide:x", 'strconv.ParseFloat: parsing "x": invalid syntax'),
        ("*libphonenumber", "unsupported *libphonenumber converter parameters: <>"),
        ("*datetime", "*datetime converter: requires at least one parameter"),
        ("*timestring:Mars/Base", "unknown time zone Mars/Base"),
        ("*strip:*prefix", "strip converter: invalid number of parameters (should have 3, 4 or 5)"),
        ("*strip:*prefix:*char:a:1:2", "strip converter: invalid number of parameters (should have 3, 4 or 5)"),
        ("*strip:*both:", "strip converter: substr parameter cannot be empty"),
        ("*strip:*both:*nil:1:2", "strip converter: cannot have 5 params in *nil/*space case"),
        ("*strip:*both:*char", "strip converter: usage of *char implies the need of 4 or 5 non-empty params"),
        ("*strip:*both:*char::2", "strip converter: usage of *char implies the need of 4 or 5 non-empty params"),
        ("*strip:*both:1:2", "strip converter: just the amount specified, cannot have more than 3 params"),
        ("*strip:*both:x", 'strip converter: invalid amount parameter (strconv.Atoi: parsing "x": invalid syntax)'),
        ("*strip:*both:*space:x", 'strip converter: invalid amount parameter (strconv.Atoi: parsing "x": invalid syntax)'),
    ],
)  # fmt: skip
def test_what_is_no_converter(definition: str, error: str) -> None:
    with pytest.raises(ApiError) as raised:
        compile_converters(definition)
    assert raised.value.text == f"invalid converter value in string: <{definition}>, err: {error}"
