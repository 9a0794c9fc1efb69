"""Go's words for what is wrong with a JSON text (spec 40 §3.1)."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgr_cluster.events.json_syntax import json_error


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{bad", "invalid character 'b' looking for beginning of object key string"),
        ("bad", "invalid character 'b' looking for beginning of value"),
        ("", "unexpected end of JSON input"),
        ('{"a":1', "unexpected end of JSON input"),
        ('{"a" 1}', "invalid character '1' after object key"),
        ('{"a":1 "b":2}', "invalid character '\"' after object key:value pair"),
        ('{"a":1,}', "invalid character '}' looking for beginning of object key string"),
        ("[1 2]", "invalid character '2' after array element"),
        ("{} x", "invalid character 'x' after top-level value"),
        ("nux", "invalid character 'x' in literal null (expecting 'l')"),
        ('"a\\q"', "invalid character 'q' in string escape code"),
        ('"\\u12x4"', "invalid character 'x' in \\u hexadecimal character escape"),
        ("-x", "invalid character 'x' in numeric literal"),
        ("1.x", "invalid character 'x' after decimal point in numeric literal"),
        ("1e+x", "invalid character 'x' in exponent of numeric literal"),
        ("'a'", "invalid character '\\'' looking for beginning of value"),
        ("01", "invalid character '1' after top-level value"),
    ],
)
def test_errors(text: str, error: str) -> None:
    assert json_error(text) == error


@given(st.text(alphabet='{}[]",:0123456789.eE+-tfnrual \\s/', max_size=14))
def test_it_agrees_with_a_json_reader(text: str) -> None:
    try:
        json.loads(text, parse_constant=lambda name: (_ for _ in ()).throw(ValueError(name)))
        right = True
    except ValueError:
        right = False
    assert (json_error(text) == "") is right
