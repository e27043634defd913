"""Structured logging: one sentence, fields beside it; telephone numbers and names never in clear.

Calls and projects are bound with `structlog.contextvars` where the work on them begins; everything logged below carries them.
"""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, Literal

import orjson
import structlog

# A run of 7 to 18 digits that is not a piece of an id: neighbours may not be hex digits or a dash (UUIDs, channel ids).
_NUMBER = re.compile(r"(?<![0-9A-Fa-f\-.:])\+?[0-9]{7,18}(?![0-9A-Fa-f\-.:])")
_PERSONAL = frozenset({"name", "customer_name", "lead_name", "note", "fields"})
_SECRET = frozenset({"secret", "password", "token", "authorization", "digest", "cookie", "csrf"})


def mask_number(text: str) -> str:
    """`+8613800001234` → `+861*******34`: enough to compare two lines of a log, too little to call."""
    return text[:4] + "*" * (len(text) - 6) + text[-2:]


def mask_text(text: str) -> str:
    """Every telephone number in a text, masked."""
    return _NUMBER.sub(lambda found: mask_number(found.group()), text)


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {key: _masked_field(str(key), item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_masked(item) for item in value]
    return value


def _masked_field(key: str, value: Any) -> Any:
    if key in _SECRET:
        return "***"
    if key in _PERSONAL and value:
        return "***"
    return _masked(value)


def mask(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The structlog processor that masks; it runs after tracebacks became text, so that these are masked too."""
    for key, value in event.items():
        event[key] = _masked_field(key, value)
    return event


def _dumps(event: Any, **options: Any) -> str:
    return orjson.dumps(event, default=options.get("default", str)).decode()


def configure(log_format: Literal["json", "console"], level: str) -> None:
    """Sends structlog and the standard library's loggers through one chain to stderr."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        mask,
    ]
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer(serializer=_dumps)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared, processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer]
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Every request is in the metrics; a line for each would be the whole log.
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared[:3],
            *shared[4:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
