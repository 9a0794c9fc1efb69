"""Flags of ProcessEvent: `main`, `main:sub`, `main:sub:a&b` (spec 30.9). Pure."""

from __future__ import annotations


class Flags:
    """Flags by main name; several of one main are joined."""

    __slots__ = ("_subs",)

    def __init__(self, flags: list[str]) -> None:
        self._subs: dict[str, dict[str, list[str]]] = {}
        for flag in flags:
            main, *rest = flag.split(":", 2)
            subs = self._subs.setdefault(main, {})
            if rest:
                values = rest[1].split("&") if len(rest) > 1 and rest[1] else []
                subs.setdefault(rest[0], []).extend(values)

    def on(self, main: str) -> bool:
        """Whether a main flag is on: present, unless one of its subs is `false` and none is `true`."""
        subs = self._subs.get(main)
        return subs is not None and ("true" in subs or "false" not in subs)

    def present(self, main: str) -> bool:
        """Whether a main flag is there, whatever its subs say."""
        return main in self._subs

    def has(self, main: str, sub: str) -> bool:
        return sub in self._subs.get(main, {})

    def first(self, main: str, subs: tuple[str, ...]) -> str:
        """The first of `subs` that `main` has, or empty."""
        return next((sub for sub in subs if self.has(main, sub)), "")

    def values(self, main: str, sub: str) -> list[str]:
        return self._subs.get(main, {}).get(sub, [])

    def subs(self, main: str) -> list[str]:
        """The sub flags of a main as flags of their own (`*cdrs:*store:false` → `*store:false`)."""
        return [
            ":".join([sub, "&".join(values)]) if values else sub for sub, values in self._subs.get(main, {}).items()
        ]
