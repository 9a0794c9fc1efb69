"""STIR/SHAKEN identities (spec 30.15): ES256 against known vectors, the order of the checks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cgr_cluster.node.node import Node
from cgr_cluster.rpc.errors import ApiError
from cgr_cluster.sessions import p256, stir

PRIVATE = b"""-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIDVGRaYz05LCrupN/h89mzqb7uKRBRCqIEEYlfeOgWMwoAoGCCqGSM49
AwEHoUQDQgAEzdiqXBsCdlSAS2UQgspnm0GlCFtGWxUbEELapo1H5bB5Y6MKlvwb
ru3LP2OQ8cg6ywLJbGANi1jhFkid2LZwpA==
-----END EC PRIVATE KEY-----
"""
PUBLIC = b"""-----BEGIN PUBLIC KEY-----
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEzdiqXBsCdlSAS2UQgspnm0GlCFtG
WxUbEELapo1H5bB5Y6MKlvwbru3LP2OQ8cg6ywLJbGANi1jhFkid2LZwpA==
-----END PUBLIC KEY-----
"""
PAYLOAD: dict[str, Any] = {
    "attest": "A",
    "dest": {"tn": ["1002"]},
    "iat": 1000,
    "orig": {"tn": "1001"},
    "origid": "1",
}


def test_es256_of_rfc_6979() -> None:
    key = 0xC9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721
    signature = p256.sign(key, b"sample")
    assert signature.hex() == (
        "efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
        "f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8"
    )
    public = p256.multiplied(p256.GENERATOR, key)
    assert public is not None
    assert p256.verifies(public, b"sample", signature)
    assert not p256.verifies(public, b"simple", signature)
    assert not p256.verifies(public, b"sample", bytes(64))


def test_keys_of_pem_files() -> None:
    private = p256.private_key(PRIVATE)
    assert private is not None
    assert p256.public_key(PUBLIC) == p256.multiplied(p256.GENERATOR, private)
    assert p256.public_key(b"no key") is None and p256.private_key(PUBLIC) is None


def check(identity: str, now_s: int = 1001, **expected: Any) -> None:
    fields: dict[str, Any] = {
        "attest": ("A", "B"),
        "originator_tn": "1001",
        "originator_uri": "",
        "destination_tn": "1002",
        "destination_uri": "",
        "max_age_ns": 60 * stir.NS,
        **expected,
    }
    parsed = stir.parse(identity)
    assert stir.check_header(parsed) == "/key.pem"
    stir.check_signature(parsed, PUBLIC)
    stir.check_payload(parsed, stir.Expected(**fields), now_s * stir.NS)


def test_a_good_identity_passes() -> None:
    check(stir.make(PAYLOAD, "/key.pem", PRIVATE))
    check(stir.make(PAYLOAD, "/key.pem", PRIVATE), 10**9, max_age_ns=-1)


GOOD = stir.make(PAYLOAD, "/key.pem", PRIVATE)


@pytest.mark.parametrize(
    ("identity", "expected", "error"),
    [
        ("abc", {}, "missing parts of the message header"),
        ("a.b;info=x", {}, "wrong header format"),
        (GOOD.replace("info=</key.pem>", "info=</other.pem>"), {}, "wrong header"),
        (GOOD.replace("alg=ES256", "alg=RS256"), {}, "wrong header"),
        (GOOD, {"attest": ("C",)}, "wrong attest level"),
        (GOOD, {"now_s": 1061}, "expired payload"),
        (GOOD, {"originator_uri": "sip:1001"}, "wrong originatorURI"),
        (GOOD, {"originator_tn": "1003"}, "wrong originatorTn"),
        (GOOD, {"destination_uri": "sip:1002"}, "wrong destinationURI"),
        (GOOD, {"destination_tn": "1003"}, "wrong destinationTn"),
    ],
)
def test_what_is_wrong_is_said(identity: str, expected: dict[str, Any], error: str) -> None:
    with pytest.raises(ApiError) as raised:
        check(identity, **expected)
    assert raised.value.text == f"*stir_authenticate: {error}"


@pytest.mark.parametrize("numbers", [5, "1002", {"1002": 1}, None])
def test_numbers_that_are_no_list_are_none(numbers: Any) -> None:
    identity = stir.make({**PAYLOAD, "dest": {"tn": numbers}}, "/key.pem", PRIVATE)
    with pytest.raises(ApiError, match="wrong destinationTn"):
        check(identity)


def test_a_payload_that_is_no_json_is_an_error_in_the_words_of_the_api() -> None:
    header, _, rest = GOOD.split(".", 2)
    with pytest.raises(ApiError) as raised:
        stir.parse(f"{header}.e30x.{rest}")  # {}1
    assert raised.value.text == "*stir_authenticate: invalid character '1' after top-level value"


def test_a_forged_payload_is_refused() -> None:
    head, _, rest = GOOD.partition(".")
    other = stir.make({**PAYLOAD, "attest": "B"}, "/key.pem", PRIVATE).split(".")[1]
    with pytest.raises(ApiError):
        check(f"{head}.{other}.{rest.partition('.')[2]}")


def test_the_methods_read_their_keys_from_files(tmp_path: Path) -> None:
    public, private = tmp_path / "public.pem", tmp_path / "private.pem"
    public.write_bytes(PUBLIC)
    private.write_bytes(PRIVATE)
    node = Node(1)
    made = node.call(
        "SessionSv1.STIRIdentity",
        {"Payload": PAYLOAD, "PublicKeyPath": str(public), "PrivateKeyPath": str(private), "OverwriteIAT": True},
    )
    asked = {"Identity": made["result"], "OriginatorTn": "1001", "DestinationTn": "1002", "Attest": ["A"]}
    assert node.call("SessionSv1.STIRAuthenticate", asked)["result"] == "OK"
    assert node.call("SessionSv1.STIRAuthenticate", {**asked, "OriginatorTn": "7"})["error"] == (
        "*stir_authenticate: wrong originatorTn"
    )
    event = {"Account": "1001", "Destination": "1002"}
    opts = {"*stirPublicKeyPath": str(public), "*stirPrivateKeyPath": str(private)}
    flagged = {"Flags": ["*stir_initiate"], "Event": event, "APIOpts": opts}
    identity = node.call("SessionSv1.ProcessEvent", flagged)["result"]["STIRIdentity"]["*raw"]
    flagged = {"Flags": ["*stir_authenticate"], "Event": event, "APIOpts": {"*stirIdentity": identity}}
    assert node.call("SessionSv1.ProcessEvent", flagged)["result"] == {}
