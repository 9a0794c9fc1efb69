"""ECDSA over P-256 with SHA-256 (ES256 of RFC 7518), for STIR identities (spec 30.15). Pure; the nonce is that of
RFC 6979, so signing needs no randomness. Not hardened against timing: keys of operators sign, nobody measures."""

from __future__ import annotations

import hmac
from base64 import b64decode
from hashlib import sha256

P = 0xFFFFFFFF00000001000000000000000000000000FFFFFFFFFFFFFFFFFFFFFFFF
N = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
GENERATOR = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_SIZE = 32
_CURVE_AND_POINT = bytes.fromhex("06082a8648ce3d030107034200")  # prime256v1, then the bit string of a public key
_PRIVATE = bytes.fromhex("0201010420")  # version 1, then the octet string of a private key

Point = tuple[int, int] | None  # None: the point at infinity


Jacobian = tuple[int, int, int]  # (x / z², y / z³); z 0: infinity. One inversion at the end instead of one per addition
_INFINITY: Jacobian = (1, 1, 0)


def _doubled(point: Jacobian) -> Jacobian:
    x, y, z = point
    square = y * y % P
    s = 4 * x * square % P
    z2 = z * z % P
    m = 3 * (x - z2) * (x + z2) % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * square * square) % P, 2 * y * z % P


def _sum(a: Jacobian, b: Jacobian) -> Jacobian:
    if not a[2]:
        return b
    if not b[2]:
        return a
    za, zb = a[2] * a[2] % P, b[2] * b[2] % P
    ua, ub = a[0] * zb % P, b[0] * za % P
    sa, sb = a[1] * zb * b[2] % P, b[1] * za * a[2] % P
    if ua == ub:
        return _doubled(a) if sa == sb else _INFINITY
    h, r = ub - ua, sb - sa
    h2 = h * h % P
    h3, v = h2 * h % P, ua * h2 % P
    x = (r * r - h3 - 2 * v) % P
    return x, (r * (v - x) - sa * h3) % P, h * a[2] * b[2] % P


def _combined(first: tuple[int, int], by: int, second: tuple[int, int], times: int) -> Point:
    """`first * by + second * times`, both at once."""
    a, b = (*first, 1), (*second, 1)
    both = _sum(a, b)
    result = _INFINITY
    for bit in range(max(by.bit_length(), times.bit_length()) - 1, -1, -1):
        result = _doubled(result)
        which = (by >> bit & 1) | (times >> bit & 1) << 1
        if which:
            result = _sum(result, (a, b, both)[which - 1])
    if not result[2]:
        return None
    inverse = pow(result[2], -1, P)
    square = inverse * inverse % P
    return result[0] * square % P, result[1] * square * inverse % P


def multiplied(point: tuple[int, int], factor: int) -> Point:
    return _combined(point, factor, point, 0)


def _nonce(key: int, digest: bytes) -> int:
    """RFC 6979, section 3.2."""
    secret = key.to_bytes(_SIZE, "big") + (int.from_bytes(digest, "big") % N).to_bytes(_SIZE, "big")
    v, k = b"\x01" * _SIZE, b"\x00" * _SIZE
    for mark in (b"\x00", b"\x01"):
        k = hmac.digest(k, v + mark + secret, "sha256")
        v = hmac.digest(k, v, "sha256")
    while True:
        v = hmac.digest(k, v, "sha256")
        nonce = int.from_bytes(v, "big")
        if 1 <= nonce < N:
            return nonce
        k = hmac.digest(k, v + b"\x00", "sha256")
        v = hmac.digest(k, v, "sha256")


def sign(key: int, message: bytes) -> bytes:
    """The 64 bytes r, s."""
    digest = sha256(message).digest()
    nonce = _nonce(key, digest)
    point = multiplied(GENERATOR, nonce)
    assert point is not None
    r = point[0] % N
    s = pow(nonce, -1, N) * (int.from_bytes(digest, "big") + r * key) % N
    return r.to_bytes(_SIZE, "big") + s.to_bytes(_SIZE, "big")


def verifies(key: tuple[int, int], message: bytes, signature: bytes) -> bool:
    if len(signature) != 2 * _SIZE:
        return False
    r, s = int.from_bytes(signature[:_SIZE], "big"), int.from_bytes(signature[_SIZE:], "big")
    if not (0 < r < N and 0 < s < N):
        return False
    inverse = pow(s, -1, N)
    digest = int.from_bytes(sha256(message).digest(), "big")
    point = _combined(GENERATOR, digest * inverse % N, key, r * inverse % N)
    return point is not None and point[0] % N == r


def _der(pem: bytes) -> bytes:
    lines = [line.strip() for line in pem.decode("ascii", "replace").splitlines()]
    inside = [line for line in lines if line and not line.startswith("-----") and ":" not in line]
    try:
        return b64decode("".join(inside), validate=True)
    except ValueError:
        return b""


def public_key(pem: bytes) -> tuple[int, int] | None:
    """The point of a PEM public key or certificate; None when there is no P-256 key in it."""
    der = _der(pem)
    at = der.find(_CURVE_AND_POINT)
    point = der[at + len(_CURVE_AND_POINT) :][: 2 * _SIZE + 1]
    if at < 0 or len(point) != 2 * _SIZE + 1 or point[0] != 4:
        return None
    x, y = int.from_bytes(point[1 : _SIZE + 1], "big"), int.from_bytes(point[_SIZE + 1 :], "big")
    return (x, y) if (y * y - (x * x * x - 3 * x + B)) % P == 0 else None


def private_key(pem: bytes) -> int | None:
    """The number of a PEM private key (SEC 1 or PKCS 8); None when there is none in it."""
    der = _der(pem)
    at = der.find(_PRIVATE)
    key = int.from_bytes(der[at + len(_PRIVATE) :][:_SIZE], "big")
    return key if at >= 0 and 0 < key < N else None
