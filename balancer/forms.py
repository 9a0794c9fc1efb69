"""Fields of forms (spec chapter 40 §8): of a body and of a URL's query."""

from __future__ import annotations

from urllib.parse import parse_qsl

MAX_FIELDS = 1000
FORM = b"application/x-www-form-urlencoded"


def form_fields(url: bytes, content_type: bytes | None, body: bytes) -> dict[str, str]:
    """The first value of each field; those of a form in the body come before those of the query. Raises ValueError for more
    than MAX_FIELDS."""
    texts = [url.partition(b"?")[2].partition(b"#")[0]]
    if content_type is None or content_type.partition(b";")[0].strip().lower() == FORM:
        texts.insert(0, body)
    found: dict[str, str] = {}
    for text in texts:
        form = text.decode("utf-8", "replace").strip()
        pairs = parse_qsl(form, keep_blank_values=True, max_num_fields=MAX_FIELDS)
        for name, value in pairs:
            found.setdefault(name, value)
    return found
