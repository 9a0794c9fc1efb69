"""Reading CSV bytes, rows to objects, and back (spec chapter 10 §9.1, 20 §8, 30.10, 50)."""

from __future__ import annotations

from typing import Any

import pytest

from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.tariffs import tp_types as tp
from cgr_cluster.tariffs.csv_files import files_named, rows
from cgr_cluster.tariffs.deck import LOAD_ORDER, read_deck, unzip_files, write_deck, zip_files
from cgr_cluster.tariffs.profile_rows import split_attribute_ids, split_values


def cells(data: bytes, columns: int = 2, separator: str = ",") -> list[Any]:
    return [found if isinstance(found, list) else found.text for _, found in rows(data, columns, separator)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"a,b\nc,d", [["a", "b"], ["c", "d"]]),
        (b"#Id,Prefix\n\na,b\n", [["a", "b"]]),
        (b"a,b\r\n\r\nc,d\r\n", [["a", "b"], ["c", "d"]]),
        (b" #a,b\n", [[" #a", "b"]]),
        (b" a , b \n", [[" a ", " b "]]),
        (b"\xef\xbb\xbfa,b\n", [["a", "b"]]),
        (b"\xff,b\n", [["�", "b"]]),
        (b"a\xe2\x80\xa8,b\n", [["a\u2028", "b"]]),
        (b'"a,1","b""c"\n', [["a,1", 'b"c']]),
        (b'"a\n#1",b\nc,d\n', [["a\n#1", "b"], ["c", "d"]]),
        (b'"",b\n', [["", "b"]]),
        (b"a\n", ["record on line 1: wrong number of fields"]),
        (b"#x\na,b\na,b,c\n", [["a", "b"], "record on line 3: wrong number of fields"]),
        (b'a"b,c\n', ['parse error on line 1, column 2: bare " in non-quoted field']),
        (b'"a"b,c\n', ['parse error on line 1, column 3: extraneous or missing " in quoted-field']),
        (
            b'"a\nb,c\n',
            ['record on line 1; parse error on line 2, column 4: extraneous or missing " in quoted-field'],
        ),
    ],
)
def test_rows(data: bytes, expected: list[Any]) -> None:
    assert cells(data) == expected


def test_another_separator() -> None:
    assert cells(b"a;b,c\n", separator=";") == [["a", "b,c"]]


def test_files_of_a_name_parent_first_then_folders_by_name() -> None:
    files = dict.fromkeys(["z/R.csv", "a/b/R.csv", "R.csv", "a/R.csv", "r.csv", "a/XR.csv"], b"")
    assert files_named(files, "R.csv") == ["R.csv", "a/R.csv", "a/b/R.csv", "z/R.csv"]


def read(file: str, text: str) -> tuple[list[Any], list[str]]:
    deck, problems = read_deck({file: text.encode()})
    kind = next(kind.name for kind in LOAD_ORDER if kind.file == file)
    return deck[kind], [problem.text for problem in problems.get(kind, [])]


def test_rows_of_one_id_are_one_object() -> None:
    found, _ = read("Rates.csv", "A,0.1,1,60s,1s,0s\nB,,,,,\nA,,2,60s,1s,1m\n")
    assert found == [
        tp.TPRate("", "A", [tp.RateSlot(0.1, 1, "60s", "1s", "0s"), tp.RateSlot(0, 2, "60s", "1s", "1m")]),
        tp.TPRate("", "B", [tp.RateSlot()]),
    ]


def test_the_last_timing_of_an_id_wins() -> None:
    found, _ = read("Timings.csv", "T,,,,,00:00:00\nT,,,,1;2,01:00:00\n")
    assert found == [tp.TPTiming("", "T", "", "", "", "1;2", "01:00:00")]


@pytest.mark.parametrize(
    ("file", "text", "problem"),
    [
        ("Rates.csv", "R,0,abc,60s,1s,0s\n", 'invalid value "abc" for field RateMdl.Rate'),
        ("Rates.csv", "R,x,abc,60s,1s,0s\n", 'invalid value "x" for field RateMdl.ConnectFee'),
        ("Rates.csv", "R,0,inf,60s,1s,0s\n", 'invalid value "inf" for field RateMdl.Rate'),
        ("Rates.csv", "R,0,1_0,60s,1s,0s\n", 'invalid value "1_0" for field RateMdl.Rate'),
        ("Rates.csv", "R,0,1,sixty,1s,0s\n", 'time: invalid duration "sixty"'),
        ("Rates.csv", "R,0,1,60 s,1s,0s\n", 'time: unknown unit " s" in duration "60 s"'),
        ("Rates.csv", "R,0,1,sixty,1s,0s\nR,0,x,1s,1s,0s\n", 'invalid value "x" for field RateMdl.Rate'),
        (
            "DestinationRates.csv",
            "D,*any,R,*up,2.5,0,\n",
            'invalid value "2.5" for field DestinationRateMdl.RoundingDecimals',
        ),
        ("RatingPlans.csv", "P,D,T,heavy\n", 'invalid value "heavy" for field RatingPlanMdl.Weight'),
        ("AccountActions.csv", "t,a,,,yes,\n", 'invalid value "yes" for field AccountActionMdl.AllowNegative'),
        ("Attributes.csv", "t,A,,,,,,,,,x\n", 'invalid value "x" for field AttributeMdl.Weight'),
        ("Destinations.csv", "D\n", "record on line 1: wrong number of fields"),
    ],
)
def test_bad_rows(file: str, text: str, problem: str) -> None:
    assert read(file, text)[1][0] == problem


def test_every_bad_row_is_told_with_file_and_line() -> None:
    _, problems = read_deck({"a/Rates.csv": b"#c\nR,0,x,,,\nR,0,1,,,\n", "Rates.csv": b"R\n"})
    assert [(p.file, p.line) for p in problems["rate"]] == [("Rates.csv", 1), ("a/Rates.csv", 2)]


def test_charger_rows_are_joined() -> None:
    text = "t,C,F1;F2,,run,*none,10\nt,C,F2;F3,2020-01-01T00:00:00Z,,A;*x:a:1;*y:b:2;B,\n"
    found, _ = read("Chargers.csv", text)
    assert found == [
        tp.TPChargerProfile(
            "", "t", "C", ["F1", "F2", "F3"], tp.TPActivationInterval("2020-01-01T00:00:00Z", ""), "run",
            ["*none", "A", "*x:a:1;*y:b:2", "B"], 10,
        )
    ]  # fmt: skip


def test_filter_rows_of_one_type_and_element_are_one_rule() -> None:
    found, _ = read("Filters.csv", "t,F,*string,~*req.A,1;2,\nt,F,*prefix,~*req.B,3,\nt,F,*string,~*req.A,<a;b>,X;Y\n")
    assert found == [
        tp.TPFilterProfile(
            "", "t", "F",
            [tp.TPFilterRow("*string", "~*req.A", ["1", "2", "<a;b>"]), tp.TPFilterRow("*prefix", "~*req.B", ["3"])],
            tp.TPActivationInterval("X", "Y"),
        )
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "parts"),
    [("", []), ("*none", ["*none"]), ("A;B", ["A", "B"]), ("*a;*b;C;*d", ["*a;*b", "C", "*d"])],
)
def test_attribute_ids(text: str, parts: list[str]) -> None:
    assert split_attribute_ids(text) == parts


def test_filter_values_keep_what_is_in_brackets() -> None:
    assert split_values("a;<b;c>;d") == ["a", "<b;c>", "d"]


PLAN = {
    "Destinations.csv": b'D1,1\nD1,"2,3"\nD2,4\n',
    "Timings.csv": b"T,*any,1;2,,6;7,08:00:00;10:00:00\n",
    "Rates.csv": b"R,0.1,0.25,60s,1s,0s\nR,0,0.000001,1000,,1m\n",
    "DestinationRates.csv": b"DR,D1,R,*up,4,1.5,*free\n",
    "RatingPlans.csv": b"P,DR,*any,10.5\n",
    "RatingProfiles.csv": b"t,call,*any,2020-01-01T00:00:00Z,P,a;b\n",
    "SharedGroups.csv": b"G,*any,*lowest,\n",
    "Actions.csv": b'A,*topup,"{""a"": 1}",F1;F2,MAIN,*monetary,call,D1;!D2,s,G,*unlimited,T,5,10,true,false,20\n',
    "ActionPlans.csv": b"AP,A,*asap,10\n",
    "ActionTriggers.csv": b"AT,U,*min_balance,2.5,true,1s,,,MAIN,*monetary,call,D1,s,G,,T,10,false,true,A,10\n",
    "AccountActions.csv": b"t,a,AP,AT,true,false\n",
    "Filters.csv": b"t,F1,*string,~*req.A,1;2,X;Y\nt,F1,*prefix,~*req.B,3,\n",
    "Attributes.csv": b"t,AA,*any,F1,X,F2;F3,*req.A,*constant,v,true,10\nt,AA,,,,,*req.B,,w,,\n",
    "Resources.csv": b"t,RES,F1;F2,2020-01-01T00:00:00Z,1h,3.5,MESSAGE,true,true,10,*none\nt,RES,F3,,*unlimited,,,,,,TH\n",
    "IPs.csv": b"t,IP,F1;F2,2020-01-01T00:00:00Z,1h,true,10,P,F3;F4,*ipv4,10.0.0.1/32,*ascending,M,5,true\nt,IP,,,,,,Q,,*ipv6,2001:db8::/64,,,,\n",
    "Stats.csv": b"t,ST,F1;F2,2020-01-01T00:00:00Z,3,1h,2,*asr;*tcc,,true,false,10,*none\nt,ST,,,,,,*tcd,F3;F4,,,,\n",
    "Trends.csv": b"t,TR,@every 1h,ST,*acd;*tcc,1h,10,2,*last,2.5,true,TH1\nt,TR,,,*asr,,,,,,,TH2\n",
    "Rankings.csv": b"t,RA,@hourly,S1;S2,*acd,*desc,*acd;*tcc:false,true,*none\n",
    "Routes.csv": b"t,RO,F1;F2,2020-01-01T00:00:00Z,*load,g:1;h:2,g,F3,A1;A2,P,R,S:*tcc,10,true,x=1,20\n"
    b"t,RO,,,,,h,,,,,S,,,,\nt,RO,,,,,g,F4,,,,,5,,,\n",
    "Thresholds.csv": b"t,TH,F1;F2,2020-01-01T00:00:00Z,-1,2,1h,true,10,A;B,true,E\n",
    "DispatcherProfiles.csv": b"t,DP,*any;*sessions,F1;F2,2020-01-01T00:00:00Z,*weight,*defaultRatio:2;x,H1,F3,10,true,*ratio:1,20\n"
    b"t,DP,*stats,F4,,,y,H2,,5,,,\nt,DP,,,,,,H1,F5,,,z,\n",
    "DispatcherHosts.csv": b"t,H1,127.0.0.1:2012,*json,1,-1,1m,2s,3s,true,/key,/cert,/ca\nt,H2,,,,,,,,,,,\n",
    "Chargers.csv": b"t,C,F1,X;Y,run,*a:b:c;D;*e:f:g,10\nt,C,,,,*h:i:j,\n",
}


def test_what_is_written_reads_as_the_same() -> None:
    deck, problems = read_deck(PLAN)
    assert not problems
    assert all(deck[kind.name] for kind in LOAD_ORDER)
    again, problems = read_deck(write_deck(deck))
    assert not problems
    assert again == deck


def test_zip() -> None:
    assert unzip_files(zip_files(PLAN)) == PLAN
    assert unzip_files(b"PK nonsense") is None


def test_a_bad_row_does_not_hide_the_good_ones() -> None:
    found, problems = read("Destinations.csv", "D1,1\nbad\nD2,2\n")
    assert [item.ID for item in found] == ["D1", "D2"]
    assert problems == ["record on line 2: wrong number of fields"]
    assert isinstance(next(iter(rows(b"x", 2)))[1], ApiError)
