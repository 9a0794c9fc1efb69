"""SessionSv1.STIRAuthenticate and STIRIdentity, and the STIR flags of ProcessEvent (spec 30.15)."""

from __future__ import annotations

from typing import Any

import msgspec

from cgr_cluster.engine.domain import GenerationView, Operation, Steps, outside
from cgr_cluster.events.durations import parse_duration
from cgr_cluster.events.event import CGREvent
from cgr_cluster.events.values import text_of
from cgr_cluster.rpc.errors import ApiError, missing
from cgr_cluster.rpc.owners import ANY
from cgr_cluster.rpc.registry import Params, method
from cgr_cluster.sessions import stir
from cgr_cluster.sessions.reading import text_field

NS = 1_000_000_000


class Destination(msgspec.Struct, gc=False):
    tn: list[str] = []
    uri: list[str] = []


class Originator(msgspec.Struct, gc=False):
    tn: str = ""
    uri: str = ""


class PassportPayload(msgspec.Struct, gc=False):
    attest: str = ""
    dest: Destination = msgspec.field(default_factory=Destination)
    iat: int = 0
    orig: Originator = msgspec.field(default_factory=Originator)
    origid: str = ""


class AuthenticateArgs(Params, go="sessions.V1STIRAuthenticateArgs"):
    Attest: list[str] = []
    DestinationTn: str = ""
    DestinationURI: str = ""
    Identity: str = ""
    OriginatorTn: str = ""
    OriginatorURI: str = ""
    PayloadMaxDuration: str = ""


class IdentityArgs(Params, go="sessions.V1STIRIdentityArgs"):
    Payload: PassportPayload | None = None
    PublicKeyPath: str = ""
    PrivateKeyPath: str = ""
    OverwriteIAT: bool = False


def _settings(generation: GenerationView) -> dict[str, Any]:
    settings: dict[str, Any] = generation.config("sessions").get("stir") or {}
    return settings


def _max_age(generation: GenerationView, given: str) -> int:
    text = given or text_of(_settings(generation).get("payload_maxduration", "-1"))
    return parse_duration(text)


def authenticated(identity_text: str, expected: stir.Expected, now_ns: int) -> Steps[None]:
    """Raises `*stir_authenticate: ...` unless the identity is good."""
    identity = stir.parse(identity_text)
    pem = yield from _key(stir.check_header(identity))
    stir.check_signature(identity, pem)
    stir.check_payload(identity, expected, now_ns)


def _key(path: str) -> Steps[bytes]:
    try:
        pem: bytes = yield outside("read_key", path, returns=bytes)
    except ApiError as error:
        raise stir.stir_error(error.text) from error
    return pem


def identity_of(payload: dict[str, Any], public_path: str, private_path: str) -> Steps[str]:
    pem = yield from _key(private_path)
    return stir.make(payload, public_path, pem)


@method("SessionSv1.STIRAuthenticate", owner=ANY)
def stir_authenticate(op: Operation, params: AuthenticateArgs) -> Steps[str]:
    expected = stir.Expected(
        tuple(params.Attest or _settings(op.generation).get("allowed_attest") or ()),
        params.OriginatorTn,
        params.OriginatorURI,
        params.DestinationTn,
        params.DestinationURI,
        _max_age(op.generation, params.PayloadMaxDuration),
    )
    yield from authenticated(params.Identity, expected, op.now_ns)
    return "OK"


@method("SessionSv1.STIRIdentity", owner=ANY)
def stir_identity(op: Operation, params: IdentityArgs) -> Steps[str]:
    if params.Payload is None:
        raise missing(["Payload"])
    settings = _settings(op.generation)
    payload: dict[str, Any] = msgspec.to_builtins(params.Payload)
    if params.OverwriteIAT or not payload["iat"]:
        payload["iat"] = op.now_ns // NS
    return (
        yield from identity_of(
            payload,
            params.PublicKeyPath or text_of(settings.get("publickey_path")),
            params.PrivateKeyPath or text_of(settings.get("privatekey_path")),
        )
    )


# --- flags of ProcessEvent -----------------------------------------------------------------------------------------


def authenticate_event(op: Operation, event: CGREvent) -> Steps[None]:
    """`*stir_authenticate`: the identity in the options, numbers from the options, else Account and Destination."""
    opts = event.opts
    attest = text_field(opts, "*stirATest")
    expected = stir.Expected(
        (attest,) if attest else tuple(_settings(op.generation).get("allowed_attest") or ()),
        text_field(opts, "*stirOriginatorTn") or text_field(event.event, "Account"),
        text_field(opts, "*stirOriginatorURI"),
        text_field(opts, "*stirDestinationTn") or text_field(event.event, "Destination"),
        text_field(opts, "*stirDestinationURI"),
        _max_age(op.generation, text_field(opts, "*stirPayloadMaxDuration")),
    )
    yield from authenticated(text_field(opts, "*stirIdentity"), expected, op.now_ns)


def identify_event(op: Operation, event: CGREvent) -> Steps[str]:
    """`*stir_initiate`: the identity of a call."""
    opts = event.opts
    settings = _settings(op.generation)
    originator: dict[str, Any] = {}
    destination: dict[str, Any] = {}
    if uri := text_field(opts, "*stirOriginatorURI"):
        originator["uri"] = uri
    else:
        originator["tn"] = text_field(opts, "*stirOriginatorTn") or text_field(event.event, "Account")
    if uri := text_field(opts, "*stirDestinationURI"):
        destination["uri"] = [uri]
    else:
        destination["tn"] = [text_field(opts, "*stirDestinationTn") or text_field(event.event, "Destination")]
    payload = {
        "attest": text_field(opts, "*stirATest") or text_of(settings.get("default_attest", "A")),
        "dest": destination,
        "iat": op.now_ns // NS,
        "orig": originator,
        "origid": op.new_uuid(),
    }
    return (
        yield from identity_of(
            payload,
            text_field(opts, "*stirPublicKeyPath") or text_of(settings.get("publickey_path")),
            text_field(opts, "*stirPrivateKeyPath") or text_of(settings.get("privatekey_path")),
        )
    )
