"""Parsed phone numbers: `~*libphonenumber.NUMBER.FIELD` (spec chapter 50, section 2.4)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

from cgr_cluster.events.telecom import parse_phone_number

_UNKNOWN_TYPE = 11  # as the API counts it; the other types have the same numbers in the public library


@lru_cache(maxsize=4096)
def _parsed(number: str) -> Any:
    return parse_phone_number(number, "")


def _number_type(found: Any) -> int:
    import phonenumbers  # a large package: loaded by who uses it

    kind = phonenumbers.number_type(found)
    return _UNKNOWN_TYPE if kind == phonenumbers.PhoneNumberType.UNKNOWN else int(kind)


def _region(found: Any) -> str:
    import phonenumbers

    return phonenumbers.region_code_for_number(found) or ""


def _destination_code_length(found: Any) -> int:
    import phonenumbers

    return int(phonenumbers.length_of_national_destination_code(found))


def _location(found: Any) -> str:
    from phonenumbers import geocoder  # some 30 MB of tables, for the few who ask

    return str(geocoder.description_for_number(found, "en"))


def _carrier(found: Any) -> str:
    from phonenumbers import carrier

    return str(carrier.name_for_number(found, "en"))


_FIELDS: dict[str, Callable[[Any], Any]] = {
    "CountryCode": lambda found: found.country_code,
    "NationalNumber": lambda found: found.national_number,
    "Region": _region,
    "NumberType": _number_type,
    "GeoLocation": _location,
    "Carrier": _carrier,
    "LengthOfNationalDestinationCode": _destination_code_length,
    "RawInput": lambda found: found.raw_input or "",
    "Extension": lambda found: found.extension or "",
    "NumberOfLeadingZeros": lambda found: found.number_of_leading_zeros or 1,
    "ItalianLeadingZero": lambda found: bool(found.italian_leading_zero),
    "PreferredDomesticCarrierCode": lambda found: found.preferred_domestic_carrier_code or "",
    "CountryCodeSource": lambda found: found.country_code_source or 0,
}


def phone_field(number: str, field: str) -> Any:
    """A field of a number in `+...` form; None for a field that numbers do not have. Raises ApiError `the phone number
    supplied is not a number` and the like."""
    read = _FIELDS.get(field)
    return None if read is None else read(_parsed(number))
