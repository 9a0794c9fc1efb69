"""Owner rules: how a method's owner key is read from its raw parameters (design 4, step 1).

Balancer and worker use the same rule on the same bytes. Only the members that the rule names are decoded. Names are
looked for as params.txt spells them; one that is not there is looked for in other spellings. What can not be read has
no owner: any worker answers it with the error.
"""

from __future__ import annotations

from hashlib import sha1
from typing import Any, Protocol

import msgspec

from cgr_cluster.engine.owner import LEADER, Owner, account_owner, object_owner, registry_owner
from cgr_cluster.events.values import text_of

_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class OwnerRule(Protocol):
    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        """The owner of a request with these raw parameters (the first element of `params`); None: any worker."""
        ...


class AnyWorker:
    """Reference data only, or an orchestration that any worker can run."""

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        return None


class Leader:
    """Writers of reference data, scheduler: the owner of shard 0."""

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        return LEADER


class _Members:
    """Decodes named members of an object, and nothing else of it."""

    __slots__ = ("_decode", "_names", "_quoted")

    def __init__(self, *names: str) -> None:
        self._names = names
        self._quoted = [(name, f'"{name.lower()}"'.encode()) for name in names]
        struct = msgspec.defstruct("Members", [(name, Any, None) for name in names], gc=False)
        self._decode = msgspec.json.Decoder(struct).decode

    def read(self, raw: bytes) -> Any:
        """An object with the members as attributes (None when absent), or None for what is no object."""
        try:
            found = self._decode(raw)
        except _REFUSED:
            return None
        for name, quoted in self._quoted:
            if getattr(found, name) is None and quoted in raw.lower():
                return self._by_any_case(raw, found)
        return found

    def _by_any_case(self, raw: bytes, found: Any) -> Any:
        by_lower = {name.lower(): name for name in self._names}
        for sent, value in msgspec.json.decode(raw).items():
            name = by_lower.get(sent.lower())
            if name is not None and value is not None:
                setattr(found, name, value)
        return found


class AccountRule:
    """The account that two text members name."""

    def __init__(self, tenant: str, account: str) -> None:
        self._tenant, self._account = tenant, account
        self._members = _Members(tenant, account)

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        found = self._members.read(raw_params)
        if found is None:
            return None
        name = getattr(found, self._account)
        tenant = getattr(found, self._tenant)
        if not isinstance(name, str) or not name or not isinstance(tenant, str | None):
            return None
        return account_owner(tenant or default_tenant, name)


class ObjectRule:
    """A shared object: `tenant` alone (resources), or `tenant:id` (stat queues, thresholds)."""

    def __init__(self, tenant: str, object_id: str) -> None:
        self._tenant, self._id = tenant, object_id
        self._members = _Members(*filter(None, (tenant, object_id)))

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        found = self._members.read(raw_params)
        if found is None:
            return None
        tenant = getattr(found, self._tenant)
        object_id = getattr(found, self._id) if self._id else ""
        if not isinstance(tenant, str | None) or not isinstance(object_id, str | None):
            return None
        return object_owner(tenant or default_tenant, object_id or "")


class SessionRule:
    """The registry entry of a CGRID that a member names."""

    def __init__(self, cgrid: str) -> None:
        self._cgrid = cgrid
        self._members = _Members(cgrid)

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        found = self._members.read(raw_params)
        value = getattr(found, self._cgrid, None)
        return registry_owner(value) if isinstance(value, str) and value else None


_EVENT_FIELDS = ("Account", "CGRID", "OriginID", "OriginHost")


class _EventFields(msgspec.Struct, gc=False):
    """Fields of an event that decide its owner. Names of event fields have one spelling only."""

    Account: Any = None
    CGRID: Any = None
    OriginID: Any = None
    OriginHost: Any = None


class _EventRequest(msgspec.Struct, gc=False):
    Event: _EventFields | None = None
    Tenant: Any = None


_decode_event_request = msgspec.json.Decoder(_EventRequest).decode


def cgrid_of(origin_id: Any, origin_host: Any) -> str:
    """The CGRID of a call (30.2): SHA-1 of OriginID and OriginHost, read as texts, in hex."""
    return sha1(f"{text_of(origin_id)}{text_of(origin_host)}".encode()).hexdigest()


def event_owner(fields: _EventFields, tenant: str) -> Owner:
    """The account when the event names one, else the CGRID."""
    account = text_of(fields.Account)
    if account:
        return account_owner(tenant, account)
    return registry_owner(text_of(fields.CGRID) or cgrid_of(fields.OriginID, fields.OriginHost))


class EventRule:
    """Requests with a CGREvent (`Tenant`, `Event` on the top level)."""

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        try:
            found = _decode_event_request(raw_params)
            fields = found.Event
            tenant = found.Tenant
            if fields is None or (tenant is None and b'"tenant"' in raw_params.lower()):
                fields, tenant = self._by_any_case(raw_params)
        except (*_REFUSED, AttributeError):
            return None
        if fields is None or not isinstance(tenant, str | None):
            return None
        return event_owner(fields, tenant or default_tenant)

    def _by_any_case(self, raw: bytes) -> tuple[_EventFields | None, Any]:
        fields: _EventFields | None = None
        tenant: Any = None
        for name, value in msgspec.json.decode(raw, type=dict[str, msgspec.Raw]).items():
            if name.lower() == "event":
                fields = msgspec.json.decode(value, type=_EventFields | None) or fields
            elif name.lower() == "tenant":
                tenant = msgspec.json.decode(value) or tenant
        return fields, tenant


class RecordRule:
    """Requests whose members are those of the event itself: CDRs, and the untyped maps of SMGenericV1."""

    def __init__(self) -> None:
        self._members = _Members("Tenant", *_EVENT_FIELDS)

    def owner(self, raw_params: bytes, default_tenant: str) -> Owner | None:
        found = self._members.read(raw_params)
        if found is None or not isinstance(found.Tenant, str | None):
            return None
        fields = _EventFields(found.Account, found.CGRID, found.OriginID, found.OriginHost)
        return event_owner(fields, found.Tenant or default_tenant)


ANY = AnyWorker()
LEADER_RULE = Leader()
EVENT = EventRule()
RECORD = RecordRule()


def account(tenant: str = "Tenant", account: str = "Account") -> OwnerRule:
    """The account named by the members `tenant` and `account`: `account("Tenant", "Account")`."""
    return AccountRule(tenant, account)


def session(cgrid: str = "CGRID") -> OwnerRule:
    """The registry entry of the CGRID in the member `cgrid`."""
    return SessionRule(cgrid)


def event() -> OwnerRule:
    """The owner of a CGREvent: its account (Tenant of the request), else its CGRID."""
    return EVENT


def record() -> OwnerRule:
    """The owner of a flat record (CDR): its account, else its CGRID."""
    return RECORD


def shared_object(tenant: str = "Tenant", object_id: str = "ID") -> OwnerRule:
    """A stat queue, threshold and the like: `tenant:id`."""
    return ObjectRule(tenant, object_id)


def tenant_object(tenant: str = "Tenant") -> OwnerRule:
    """What a tenant has one of (resources)."""
    return ObjectRule(tenant, "")
