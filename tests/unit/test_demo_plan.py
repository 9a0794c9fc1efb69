"""The demo plan: what the script writes is what lies in conf/demo, and numbers of every country find their destination."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import phonenumbers
import pytest
from phonenumbers import PhoneNumberType

from cgr_cluster.cli.stress.pricing import demo_prefixes

ROOT = Path(__file__).resolve().parents[2]
DEMO = ROOT / "conf" / "demo"
PREFIXES = demo_prefixes()
KINDS = {PhoneNumberType.FIXED_LINE: ("FIXED", "ANY"), PhoneNumberType.MOBILE: ("MOBILE", "ANY")}


def example_numbers() -> list[tuple[phonenumbers.PhoneNumber, tuple[str, ...]]]:
    numbers = (
        (phonenumbers.example_number_for_type(region, kind), names)
        for region in sorted(phonenumbers.SUPPORTED_REGIONS)
        for kind, names in KINDS.items()
    )
    return [(number, names) for number, names in numbers if number is not None]


def regions_of(number: phonenumbers.PhoneNumber) -> list[str]:
    """Regions that share numbers (+61 4 is Australia's, and that of two islands) are sold as one of them."""
    shared = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[number.country_code]
    return [region for region in shared if phonenumbers.is_valid_number_for_region(number, region)]


def test_the_example_number_of_each_region_and_kind_finds_its_destination() -> None:
    wrong = []
    for number, kinds in example_numbers():
        digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)[1:]
        found = PREFIXES.find(digits)
        if found is None or found[0] not in [f"DST_{region}_{kind}" for region in regions_of(number) for kind in kinds]:
            wrong.append((digits, kinds[0], regions_of(number), found))
    assert not wrong


def test_no_prefix_begins_another() -> None:
    """So that the longest prefix is the only one: bundles and prices then cannot disagree about a number."""
    table = PREFIXES.table
    assert not [prefix for prefix in table if any(prefix[:length] in table for length in range(1, len(prefix)))]


@pytest.mark.slow
def test_the_files_are_what_the_script_writes(tmp_path: Path) -> None:
    subprocess.run([sys.executable, ROOT / "scripts" / "demo_plan.py", tmp_path], check=True, capture_output=True)
    written = {path.name: path.read_bytes() for path in tmp_path.glob("*.csv")}
    assert written == {path.name: path.read_bytes() for path in DEMO.glob("*.csv")}


def test_every_reference_of_the_plan_exists() -> None:
    def column(file: str, index: int) -> set[str]:
        with (DEMO / file).open() as rows:
            return {row[index] for row in csv.reader(rows) if not row[0].startswith("#")}

    assert column("DestinationRates.csv", 1) - {"*any"} == column("Destinations.csv", 0)
    assert column("DestinationRates.csv", 2) <= column("Rates.csv", 0)
    assert column("RatingPlans.csv", 1) <= column("DestinationRates.csv", 0)
