"""The methods of tariff plans on a whole node: what the recorded scenarios do not show (chapter 10 §8 to 10, 20 §8)."""

from __future__ import annotations

import base64
import io
import zipfile
from pathlib import Path
from typing import Any

import pytest

from cgr_cluster import services
from cgr_cluster.accounts.types import Account
from cgr_cluster.node.node import Node
from cgr_cluster.tariffs import api, tp_api
from cgr_cluster.tariffs.slices import SLICE_ROWS

assert services and api and tp_api  # declare the services and methods


class Client:
    """Calls on a node; `error` and `ok` check which of both it is."""

    def __init__(self, workers: int = 1) -> None:
        self.node = Node(workers)

    def ok(self, method: str, params: Any) -> Any:
        answer = self.node.call(f"APIerSv1.{method}", params)
        assert answer["error"] is None, answer["error"]
        return answer["result"]

    def error(self, method: str, params: Any) -> str:
        answer = self.node.call(f"APIerSv1.{method}", params)
        assert answer["result"] is None
        return str(answer["error"])

    def account(self, account_id: str) -> Account | None:
        for worker in self.node.workers:
            for shard in worker.engine.shards.values():
                found: Account | None = shard.get("account", account_id)
                if found is not None:
                    return found
        return None


@pytest.fixture(params=[1, 3], ids=["one worker", "three workers"])
def client(request: pytest.FixtureRequest) -> Client:
    return Client(request.param)


def folder(tmp_path: Path, files: dict[str, str]) -> str:
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(tmp_path)


RATING = {
    "Destinations.csv": "D,49\nD,4930\n",
    "Timings.csv": "T,,,,1,08:00:00\n",
    "Rates.csv": "R,0.05,0.02,60s,1s,0s\n",
    "DestinationRates.csv": "DR,D,R,*up,4,0,\n",
    "RatingPlans.csv": "P,DR,T,10\n",
    "RatingProfiles.csv": "cgrates.org,call,*any,2020-01-01T00:00:00Z,P,\n",
    "SharedGroups.csv": "G,*any,*lowest,\n",
}
ACCOUNTS = {
    "Actions.csv": "A,*topup,,,MAIN,*monetary,,,,,,,5,10,,,10\n",
    "ActionPlans.csv": "AP,A,*monthly,10\n",
    "ActionTriggers.csv": "AT,U,*min_balance,2,,,,,MAIN,*monetary,,,,,,,,,,A,10\n",
    "AccountActions.csv": "".join(f"cgrates.org,acc{n},AP,AT,{'true' if n % 2 else ''},\n" for n in range(20)),
}


def test_accounts_of_a_load(client: Client, tmp_path: Path) -> None:
    client.ok("LoadTariffPlanFromFolder", {"FolderPath": folder(tmp_path, ACCOUNTS)})
    for n in range(20):
        account = client.account(f"cgrates.org:acc{n}")
        assert account is not None
        assert (account.allow_negative, account.disabled) == (n % 2 == 1, False)
        assert [trigger.unique_id for trigger in account.triggers or ()] == ["U"]


def test_removing_a_folder_takes_what_it_names(client: Client, tmp_path: Path) -> None:
    path = {"FolderPath": folder(tmp_path, {**RATING, **ACCOUNTS})}
    client.ok("LoadTariffPlanFromFolder", path)
    client.ok("RemoveTPFromFolder", path)
    assert client.error("GetDestination", "D") == "NOT_FOUND"
    assert client.error("GetRatingPlan", "P") == "NOT_FOUND"
    assert client.error("GetTiming", {"ID": "T"}) == "NOT_FOUND"
    assert client.ok("GetTiming", {"ID": "*any"})["ID"] == "*any"
    assert client.account("cgrates.org:acc1") is None
    assert client.error("RemoveTPFromFolder", path) == "SERVER_ERROR: NOT_FOUND"


def test_a_refused_load_writes_nothing(client: Client, tmp_path: Path) -> None:
    path = folder(tmp_path, {**RATING, "RatingProfiles.csv": "cgrates.org,call,*any,,NO_PLAN,\n"})
    text = client.error("LoadTariffPlanFromFolder", {"FolderPath": path})
    assert text == 'SERVER_ERROR: could not load rating plans for tag: "NO_PLAN"'
    assert client.error("GetDestination", "D") == "NOT_FOUND"
    assert client.error("GetTiming", {"ID": "*any"}) == "NOT_FOUND"


def test_an_unknown_way_of_caching_is_told_after_writing(client: Client, tmp_path: Path) -> None:
    path = folder(tmp_path, RATING)
    text = client.error("LoadTariffPlanFromFolder", {"FolderPath": path, "Caching": "*foo"})
    assert text == "SERVER_ERROR: rpc: service/method request ill-formed: "
    assert client.ok("GetDestination", "D")["Prefixes"] == ["49", "4930"]


def test_import_load_and_remove_of_the_store(client: Client, tmp_path: Path) -> None:
    path = folder(tmp_path, {**RATING, **ACCOUNTS, "more/Chargers.csv": "cgrates.org,C,,,run,*none,1\n"})
    client.ok("ImportTariffPlanFromFolder", {"TPid": "T1", "FolderPath": path})
    assert client.ok("GetTPChargerIDs", {"TPid": "T1"}) == []  # not in the folder itself
    assert client.ok("GetTPAccountActionLoadIds", {"TPid": "T1"}) == ["CSVLOAD"]
    assert len(client.ok("GetTPAccountActionsByLoadId", {"TPid": "T1", "LoadId": "CSVLOAD"})) == 20
    client.ok("LoadTariffPlanFromStorDb", {"TPid": "T1"})
    assert client.ok("GetRatingProfile", {"Category": "call", "Subject": "*any"})["Id"] == "*out:cgrates.org:call:*any"
    assert client.account("cgrates.org:acc3") is not None
    client.ok("RemoveTPFromStorDB", {"TPid": "T1"})
    assert client.error("GetDestination", "D") == "NOT_FOUND"
    assert client.ok("GetTPIds", {}) == ["T1"]


def test_validate_comes_before_dry_run_in_the_store_only(client: Client, tmp_path: Path) -> None:
    path = folder(tmp_path, RATING)  # its only timing is Mondays at eight
    client.ok("ImportTariffPlanFromFolder", {"TPid": "T1", "FolderPath": path})
    both = {"Validate": True, "DryRun": True}
    assert client.ok("LoadTariffPlanFromFolder", {"FolderPath": path, **both}) == "OK"
    assert client.error("LoadTariffPlanFromStorDb", {"TPid": "T1", **both}) == "invalid data"


def test_export_and_import_as_archive(client: Client, tmp_path: Path) -> None:
    client.ok("ImportTariffPlanFromFolder", {"TPid": "T1", "FolderPath": folder(tmp_path, {**RATING, **ACCOUNTS})})
    archive = client.ok("ExportTPToZipString", {"TPid": "T1"})
    with zipfile.ZipFile(io.BytesIO(base64.b64decode(archive))) as opened:
        assert opened.read("Destinations.csv") == b"#Id,Prefix\nD,49\nD,4930\n"
    client.ok("ImportTPZipFile", {"TPid": "T2", "File": archive})
    assert client.ok("GetTPIds", {}) == ["T1", "T2"]
    assert client.ok("ExportTPToZipString", {"TPid": "T2"}) == archive
    assert client.error("ImportTPZipFile", {"TPid": "T3", "File": base64.b64encode(b"no").decode()}) == (
        "SERVER_ERROR: zip: not a valid zip file"
    )
    assert client.error("ExportTPToZipString", {"TPid": "NO"}) == "NOT_FOUND"


def test_export_to_a_folder(client: Client, tmp_path: Path) -> None:
    client.ok("ImportTariffPlanFromFolder", {"TPid": "T1", "FolderPath": folder(tmp_path / "in", RATING)})
    out = tmp_path / "out"
    done = client.ok("ExportTPToFolder", {"TPid": "T1", "ExportPath": str(out)})
    assert done == {"ExportPath": str(out), "ExportedFiles": sorted(RATING), "Compressed": False}
    client.ok("LoadTariffPlanFromFolder", {"FolderPath": str(out)})
    assert client.ok("GetReverseDestination", "4930") == ["D"]


def test_account_actions_load_with_the_plans_they_name(client: Client, tmp_path: Path) -> None:
    client.ok("ImportTariffPlanFromFolder", {"TPid": "T1", "FolderPath": folder(tmp_path, ACCOUNTS)})
    client.ok("LoadAccountActions", {"TPid": "T1", "Account": "acc5"})
    assert client.account("cgrates.org:acc5") is not None
    assert client.account("cgrates.org:acc6") is None
    answer = client.node.call(
        "APIerSv2.LoadAccountActions", {"TPid": "T1", "AccountActionsId": "CSVLOAD:cgrates.org:acc6"}
    )
    assert answer["result"] == "OK"
    assert client.account("cgrates.org:acc6") is not None
    assert client.error("LoadAccountActions", {"TPid": "T1", "Account": "no"}) == "SERVER_ERROR: NOT_FOUND"


def test_bad_durations_of_the_store_act_as_none(client: Client) -> None:
    client.ok(
        "SetTPRate", {"TPid": "T1", "ID": "R", "RateSlots": [{"Rate": 1, "RateUnit": "x", "RateIncrement": "1s"}]}
    )
    client.ok(
        "SetTPDestinationRate",
        {"TPid": "T1", "ID": "DR", "DestinationRates": [{"DestinationId": "*any", "RateId": "R"}]},
    )
    client.ok(
        "SetTPRatingPlan",
        {"TPid": "T1", "ID": "P", "RatingPlanBindings": [{"DestinationRatesId": "DR", "TimingId": "*any"}]},
    )
    client.ok("LoadRatingPlan", {"TPid": "T1", "RatingPlanId": "P"})
    (rating,) = client.ok("GetRatingPlan", "P")["Ratings"].values()
    assert rating["Rates"] == [{"GroupIntervalStart": 0, "Value": 1, "RateIncrement": 10**9, "RateUnit": 0}]


def test_ids_of_the_store_are_exact_and_paged(client: Client) -> None:
    for tpid, name in (("T", "A:B"), ("T:A", "B"), ("T", "AX"), ("T", "B")):
        client.ok("SetTPDestination", {"TPid": tpid, "ID": name, "Prefixes": ["1"]})
    assert client.ok("GetTPDestinationIDs", {"TPid": "T"}) == ["A:B", "AX", "B"]
    assert client.ok("GetTPDestinationIDs", {"TPid": "T", "Search": "A", "Offset": 1, "Limit": 1}) == ["AX"]
    assert client.ok("GetTPDestinationIDs", {"TPid": "T:A"}) == ["B"]
    assert client.error("GetTPDestination", {"TPid": "T", "ID": "A"}) == "NOT_FOUND"
    client.ok("RemTP", {"TPid": "T"})
    assert client.ok("GetTPIds", {}) == ["T:A"]


def test_the_store_gives_profiles_the_default_tenant(client: Client) -> None:
    profile = {"TPid": "T", "ID": "C", "RunID": "*default", "AttributeIDs": ["*none"], "Weight": 5}
    client.ok("SetTPCharger", profile)
    assert client.ok("GetTPCharger", {"TPid": "T", "ID": "C"})["Tenant"] == "cgrates.org"
    assert client.ok("GetTPChargerIDs", {"TPid": "T"}) == ["cgrates.org:C"]
    assert client.error("SetTPResource", {"TPid": "T", "ID": "R"}) == "MANDATORY_IE_MISSING: [Limit]"
    client.ok("RemoveTPCharger", {"TPid": "T", "Tenant": "cgrates.org", "ID": "C"})
    assert client.ok("GetTPIds", {}) == []


def test_rating_profile_errors(client: Client) -> None:
    assert client.error("LoadRatingProfile", {"TPid": "T", "Subject": "x"}) == (
        "SERVER_ERROR: no RatingProfile for filter &{T    x []}, error: NOT_FOUND"
    )
    assert client.error("GetTPRatingProfilesByLoadID", {"TPid": "T", "LoadId": "L"}) == "NOT_FOUND"
    assert client.ok("GetTPRatingProfileLoadIds", {"TPid": "T"}) == []


def test_a_destination_goes_when_no_prefix_is_left(client: Client) -> None:
    client.ok("SetDestination", {"Id": "D", "Prefixes": ["1", "1", "2"]})
    assert client.ok("GetReverseDestination", "1") == ["D"]
    client.ok("RemoveDestination", {"DestinationIDs": ["D"], "Prefixes": ["1"]})
    assert client.ok("GetDestination", "D")["Prefixes"] == ["2"]
    client.ok("RemoveDestination", {"DestinationIDs": ["D"], "Prefixes": ["2"]})
    assert client.error("GetDestination", "D") == "NOT_FOUND"


def test_one_unknown_destination_removes_none(client: Client) -> None:
    client.ok("SetDestination", {"Id": "D", "Prefixes": ["1"]})
    assert client.error("RemoveDestination", {"DestinationIDs": ["D", "NO"]}) == "NOT_FOUND"
    assert client.ok("GetDestination", "D")["Prefixes"] == ["1"]


def test_members_of_a_shared_group(client: Client, tmp_path: Path) -> None:
    client.ok("LoadTariffPlanFromFolder", {"FolderPath": folder(tmp_path, RATING)})
    assert client.ok("GetSharedGroup", "G")["MemberIds"] is None
    for account in ("a", "b"):
        balance = {"ID": "B", "SharedGroups": "G"}
        client.ok("AddBalance", {"Account": account, "BalanceType": "*monetary", "Value": 1, "Balance": balance})
    assert client.ok("GetSharedGroup", "G") == {
        "Id": "G",
        "AccountParameters": {"*any": {"Strategy": "*lowest", "RatingSubject": ""}},
        "MemberIds": {"cgrates.org:a": True, "cgrates.org:b": True},
    }


def test_a_long_load_leaves_turns_to_others(tmp_path: Path) -> None:
    node = Node(1)
    rows = "".join(f"D{n},{n}\n" for n in range(5 * SLICE_ROWS))
    load = node.send("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": folder(tmp_path, {"Destinations.csv": rows})})
    assert node.call("APIerSv1.GetDestination", "D7")["error"] == "NOT_FOUND"  # answered while it is under way
    assert node.wait(load)["result"] == "OK"
    assert node.call("APIerSv1.GetDestination", "D7")["result"] == {"Id": "D7", "Prefixes": ["7"]}


def test_a_load_survives_a_crash_at_any_event(tmp_path: Path) -> None:
    path = folder(tmp_path, {**RATING, **ACCOUNTS})
    whole = Node(3)
    whole.call("APIerSv1.LoadTariffPlanFromFolder", {"FolderPath": path})
    for event in range(1, whole.events + 1):
        client = Client(3)
        client.node.crash_at = {event}
        client.ok("LoadTariffPlanFromFolder", {"FolderPath": path})
        assert client.node.crashes == 1
        assert client.ok("GetRatingPlan", "P")["Id"] == "P"
        assert all(client.account(f"cgrates.org:acc{n}") is not None for n in range(20)), event
