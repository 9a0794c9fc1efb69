"""Converters of telecom notations: SIP addresses, ENUM names, IP and phone numbers, user location (spec chapter 41, section 2)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from typing import Any

from cgr_cluster.events import user_location as uli
from cgr_cluster.events.values import parse_int
from cgr_cluster.rpc.errors import ApiError

_IP = r"[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}\.[0-9]{1,3}"
_IP_AND_PORT = re.compile(rf"{_IP}:[0-9]+")
_IP_ALONE = re.compile(_IP)
_HOST = re.compile(r"[A-Za-z0-9_.-]*")
_WORD = re.compile(r"[^\t\n\f\r ]+")
_E164 = ".e164."
_NATIONAL = 2


def ip2hex(text: str) -> str:
    """The last 4 bytes of an address as `0x...`; empty for what is no address."""
    try:
        return f"0x{ipaddress.ip_address(text).packed[-4:].hex()}"
    except ValueError:
        return ""


def sipuri_user(text: str) -> str:
    _, scheme, rest = text.partition("sip:")
    return rest.partition("@")[0] if scheme else ""


def sipuri_host(text: str) -> str:
    found = _IP_AND_PORT.search(text) or _IP_ALONE.search(text)
    if found is not None:
        return found.group()
    host = _HOST.match(text, text.find("@") + 1) if "@" in text else None
    return host.group() if host is not None else ""


def sipuri_method(text: str) -> str:
    found = _WORD.search(text)
    return found.group() if found is not None else ""


def e164(text: str) -> str:
    """The number of an ENUM name. Raises ApiError `unknown format`."""
    name, found, _ = text.partition(_E164)
    if not found:
        raise ApiError("unknown format")
    return name.replace(".", "")[::-1]


def e164_domain(text: str) -> str:
    at = text.find(_E164)
    return text[max(at, 0) :].strip(".")


def phone_number(params: str) -> Callable[[str], str]:
    """`COUNTRY[:FORMAT]`: the number formatted (0 E.164, 1 international, 2 national, 3 RFC 3966)."""
    country, *rest = params.split(":")
    if not params or len(rest) > 1:
        raise ApiError(f"unsupported *libphonenumber converter parameters: <{params}>")
    form = parse_int(rest[0], "Atoi") if rest else _NATIONAL

    def convert(text: str) -> str:
        import phonenumbers  # a large package: loaded by who uses it

        return str(phonenumbers.format_number(parse_phone_number(text, country), form))

    return convert


def parse_phone_number(text: str, country: str) -> Any:
    """The number that a text writes; national texts are of `country`. Raises ApiError, such as `invalid country code` or
    `the phone number supplied is not a number`."""
    import phonenumbers  # a large package: loaded by who uses it

    try:
        return phonenumbers.parse(text, country or None, keep_raw_input=True)
    except phonenumbers.NumberParseException as error:
        raise ApiError(_PARSE_ERRORS.get(error.error_type, str(error))) from None


# By the number-parsing errors of the public library.
_PARSE_ERRORS = {
    0: "invalid country code",
    1: "the phone number supplied is not a number",
    2: "phone number too short after IDD",
    3: "the string supplied is too short to be a phone number",
    4: "the string supplied is too long to be a phone number",
}


def user_location(path: str) -> Callable[[str], str]:
    """`*3gpp_uli[:PATH]`: the decoded location as JSON, or what is at PATH of it."""
    return lambda text: uli.value_at(uli.decode(text), path)
