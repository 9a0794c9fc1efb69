"""The Prometheus text format (version 0.0.4). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n"})


class Page:
    """Families of samples, in the order in which they are added."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def family(self, name: str, kind: str, about: str, samples: Sequence[tuple[Mapping[str, str], float]]) -> None:
        """`kind`: gauge, counter. A family without samples is left out."""
        if not samples:
            return
        self._lines += (f"# HELP {name} {about}", f"# TYPE {name} {kind}")
        for labels, value in samples:
            text = ",".join(f'{label}="{labels[label].translate(_ESCAPES)}"' for label in sorted(labels))
            self._lines.append(f"{name}{{{text}}} {value:.15g}" if text else f"{name} {value:.15g}")

    def text(self) -> str:
        return "".join(f"{line}\n" for line in self._lines)
