"""API errors: one family, with the API's exact text (spec chapter 01, section 6)."""

from __future__ import annotations

from collections.abc import Iterable


class ApiError(Exception):
    """An error that is the answer of a call. `text` is what the client gets, word for word."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ApiError) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def not_found() -> ApiError:
    return ApiError("NOT_FOUND")


def missing(fields: Iterable[str]) -> ApiError:
    """`MANDATORY_IE_MISSING: [A B]`, fields in the order in which the method checks them."""
    return ApiError(f"MANDATORY_IE_MISSING: [{' '.join(fields)}]")


def server_error(cause: ApiError | str) -> ApiError:
    """Wrap a cause as the administration methods do: `SERVER_ERROR: cause`."""
    return ApiError(f"SERVER_ERROR: {cause.text if isinstance(cause, ApiError) else cause}")


def partially_executed() -> ApiError:
    return ApiError("PARTIALLY_EXECUTED")


def require(params: object, *fields: str) -> None:
    """Raise `MANDATORY_IE_MISSING` for those text, list or map `fields` of `params` that are empty or absent."""
    absent = [name for name in fields if not getattr(params, name)]
    if absent:
        raise missing(absent)
