"""A shard: everything mutable of 1/256 of the owners (design 2). Objects stay packed until they are touched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from cgr_cluster.engine.codec import pack, unpack
from cgr_cluster.engine.domain import STORED

_NOTHING: dict[str, Any] = {}


class Shard:
    """Tables kind → id → object (or its packed bytes)."""

    __slots__ = ("number", "tables")

    def __init__(self, number: int) -> None:
        self.number = number
        self.tables: dict[str, dict[str, Any]] = {}

    def get(self, kind: str, key: str) -> Any:
        table = self.tables.get(kind)
        if table is None:
            return None
        value = table.get(key)
        if type(value) is bytes:
            value = table[key] = unpack(STORED[kind], value)
        return value

    def peek(self, kind: str, key: str) -> Any:
        """As `get`, but what is packed stays packed: an object of the caller's own."""
        value = self.tables.get(kind, _NOTHING).get(key)
        return unpack(STORED[kind], value) if type(value) is bytes else value

    def is_packed(self, kind: str, key: str) -> bool:
        return type(self.tables.get(kind, _NOTHING).get(key)) is bytes

    def set(self, kind: str, key: str, value: Any) -> None:
        """Store an object (or packed bytes); None removes it."""
        if value is None:
            table = self.tables.get(kind)
            if table is not None:
                table.pop(key, None)
            return
        table = self.tables.get(kind)
        if table is None:
            table = self.tables[kind] = {}
        table[key] = value

    def replace(self, kind: str, key: str, value: Any) -> Any:
        """As `set`; answers what was there before, packed or not."""
        table = self.tables.get(kind)
        if table is None:
            if value is not None:
                self.tables[kind] = {key: value}
            return None
        old = table.get(key)
        if value is not None:
            table[key] = value
        elif old is not None:
            del table[key]
        return old

    def items(self, kind: str) -> Iterator[tuple[str, Any]]:
        for key in list(self.tables.get(kind, ())):
            value = self.get(kind, key)
            if value is not None:
                yield key, value

    def export(self) -> list[tuple[str, bytes]]:
        """All records of the shard, as they are logged: (`kind/key`, value)."""
        return [
            (f"{kind}/{key}", value if type(value) is bytes else pack(value))
            for kind, table in sorted(self.tables.items())
            for key, value in sorted(table.items(), key=lambda item: item[0])
        ]

    def load(self, records: Iterable[tuple[str, bytes]]) -> None:
        for name, value in records:
            kind, _, key = name.partition("/")
            self.set(kind, key, value)
