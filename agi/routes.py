"""Which handler answers which question: `agi://host:port/call/answered` asks the route `/call/answered`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlsplit

from agi.protocol import Environment

if TYPE_CHECKING:
    from agi.session import AgiSession


@dataclass(frozen=True, slots=True, kw_only=True)
class AgiRequest:
    """One question: who asks (the channel) and what (the path, with query and arguments)."""

    path: str
    channel_id: str
    """Asterisk's Uniqueid; ours (`call-…`, `seat-…`) for the channels that we originated."""
    channel: str
    query: Mapping[str, str]
    arguments: tuple[str, ...]
    """What the dialplan gave after the URL: `AGI(agi://…,first,second)`."""
    environment: Environment

    @classmethod
    def of(cls, environment: Environment) -> AgiRequest:
        """Read it from the environment; a missing part is an empty text."""
        script = environment.get("network_script") or _script(environment.get("request"))
        path, _, query = script.partition("?")
        arguments: list[str] = []
        while (value := environment.fields.get(f"arg_{len(arguments) + 1}")) is not None:
            arguments.append(value)
        return cls(
            path="/" + path.strip("/"),
            channel_id=environment.get("uniqueid"),
            channel=environment.get("channel"),
            query=dict(parse_qsl(query, max_num_fields=64)) if query.count("&") < 64 else {},
            arguments=tuple(arguments),
            environment=environment,
        )


Handler = Callable[["AgiSession", AgiRequest], Awaitable[None]]


class Routes:
    """A fixed table from path to handler.

    Errors: ValueError for a path that does not start with `/`, ends with `/` or holds a `?`.
    """

    def __init__(self, table: Mapping[str, Handler]) -> None:
        for path in table:
            if not path.startswith("/") or (path != "/" and path.endswith("/")) or "?" in path:
                raise ValueError(f"AGI route {path!r}: write it like /call/answered")
        self._table = dict(table)

    def __iter__(self) -> Iterator[str]:
        return iter(self._table)

    def find(self, path: str) -> Handler | None:
        """The handler, or None when nobody answers this."""
        return self._table.get(path)


def _script(request: str) -> str:
    try:
        parts = urlsplit(request)
    except ValueError:
        return ""
    return parts.path + ("?" + parts.query if parts.query else "")
