"""What to answer to a request for a recording: HTTP ranges (RFC 9110 section 14) as a pure plan.

A stored master never changes, so the SHA-256 of its sound is a strong entity tag and its date a strong validator too. Sizes and spans are those of the sound.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from typing import Final, Literal

from recorder.paths import MEDIA_TYPE

_MOST_RANGES: Final = 16
"""More in one request is nobody's player: the whole file is answered, as RFC 9110 section 14.2 allows."""

_SPEC = re.compile(r"(\d*)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Bytes of the file from `start` up to, not including, `stop`."""

    start: int
    stop: int

    @property
    def length(self) -> int:
        """Bytes in it."""
        return self.stop - self.start


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamPlan:
    """An answer without its body, and what the body consists of: literal bytes and spans of the file."""

    size: int  # of the whole
    status: Literal[200, 206, 304, 416]
    headers: dict[str, str]
    parts: tuple[bytes | Span, ...]

    @property
    def spans(self) -> tuple[Span, ...]:
        """What of the file is sent; the audit row says so."""
        return tuple(part for part in self.parts if isinstance(part, Span))


def etag_of(sha256: bytes) -> str:
    """Strong entity tag of a file with this hash."""
    return f'"{sha256.hex()}"'


def parse_ranges(header: str, size: int) -> tuple[Span, ...] | None:
    """Spans that a Range header asks of a file of `size` bytes, in the order they were asked for, overlaps joined.

    None: the header is to be ignored (unknown unit, malformed, too many). Empty: nothing of it can be satisfied.
    """
    unit, equals, rest = header.partition("=")
    if not equals or unit.strip().lower() != "bytes":
        return None
    specs = [spec.strip(" \t") for spec in rest.split(",")]
    specs = [spec for spec in specs if spec]  # a list may have empty elements (RFC 9110 section 5.6.1)
    if not specs or len(specs) > _MOST_RANGES:
        return None
    spans: list[Span] = []
    for spec in specs:
        match = _SPEC.fullmatch(spec)
        if match is None or not spec.isascii():
            return None
        first, last = match.groups()
        if not first and not last:
            return None
        if first and last and int(first) > int(last):
            return None
        span = _span(first, last, size)
        if span.length > 0:
            spans.append(span)
    return _joined(spans)


def _span(first: str, last: str, size: int) -> Span:
    if not first:
        return Span(start=max(0, size - int(last)), stop=size)
    return Span(start=min(int(first), size), stop=min(int(last) + 1, size) if last else size)


def _joined(spans: list[Span]) -> tuple[Span, ...]:
    """Join what overlaps or touches; a file is then never sent twice in one answer."""
    joined: list[Span] = []
    for span in spans:
        merged = span
        rest: list[Span] = []
        at = len(joined)
        for index, other in enumerate(joined):
            if other.start <= merged.stop and merged.start <= other.stop:
                merged = Span(start=min(other.start, merged.start), stop=max(other.stop, merged.stop))
                at = min(at, index)
            else:
                rest.append(other)
        rest.insert(min(at, len(rest)), merged)
        joined = rest
    return tuple(joined)


def plan_response(
    *,
    method: Literal["GET", "HEAD"],
    range_header: str | None,
    if_range: str | None,
    size: int,
    sha256: bytes,
    modified: datetime,
    media_type: str = MEDIA_TYPE,
    if_none_match: str | None = None,
) -> StreamPlan:
    """Decide status, headers and body. A HEAD plan has no parts; its headers are those of the whole file."""
    etag = etag_of(sha256)
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": etag,
        "Last-Modified": format_datetime(modified.astimezone(UTC), usegmt=True),
    }
    if if_none_match is not None and _names(if_none_match, etag):
        return StreamPlan(size=size, status=304, headers=headers, parts=())
    spans = None
    if method == "GET" and range_header is not None and (if_range is None or _unchanged(if_range, etag, modified)):
        spans = parse_ranges(range_header, size)
    if spans is None:
        headers |= {"Content-Type": media_type, "Content-Length": str(size)}
        whole = (Span(start=0, stop=size),) if method == "GET" and size else ()
        return StreamPlan(size=size, status=200, headers=headers, parts=whole)
    if not spans:
        headers |= {"Content-Range": f"bytes */{size}", "Content-Length": "0"}
        return StreamPlan(size=size, status=416, headers=headers, parts=())
    if len(spans) == 1:
        headers |= {
            "Content-Type": media_type,
            "Content-Length": str(spans[0].length),
            "Content-Range": _content_range(spans[0], size),
        }
        return StreamPlan(size=size, status=206, headers=headers, parts=spans)
    return _multipart(spans, size, media_type, headers, boundary=sha256.hex()[:40])


def _multipart(
    spans: tuple[Span, ...], size: int, media_type: str, headers: dict[str, str], *, boundary: str
) -> StreamPlan:
    parts: list[bytes | Span] = []
    for span in spans:
        head = f"\r\n--{boundary}\r\nContent-Type: {media_type}\r\nContent-Range: {_content_range(span, size)}\r\n\r\n"
        parts += [head.encode("ascii"), span]
    parts.append(f"\r\n--{boundary}--\r\n".encode("ascii"))
    length = sum(len(part) if isinstance(part, bytes) else part.length for part in parts)
    headers |= {"Content-Type": f"multipart/byteranges; boundary={boundary}", "Content-Length": str(length)}
    return StreamPlan(size=size, status=206, headers=headers, parts=tuple(parts))


def _content_range(span: Span, size: int) -> str:
    return f"bytes {span.start}-{span.stop - 1}/{size}"


def _names(if_none_match: str, etag: str) -> bool:
    """Weak comparison (RFC 9110 section 13.1.2)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return "*" in tags or etag in tags


def _unchanged(if_range: str, etag: str, modified: datetime) -> bool:
    """Strong comparison of either validator (RFC 9110 section 13.1.5); a weak tag never matches."""
    value = if_range.strip()
    if value.startswith(('"', "W/")):
        return value == etag
    try:
        date = parsedate_to_datetime(value)
    except ValueError:
        return False
    return date.tzinfo is not None and date == modified.astimezone(UTC).replace(microsecond=0)
