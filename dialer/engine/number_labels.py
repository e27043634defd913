"""What people are told a number is (号码标记): asked of a label service over HTTP.

The services differ; a small adapter of yours stands between, and speaks this: `GET <url>?number=%2B8621...`, with `Authorization: Bearer <token>` when
there is one, answered by `{"label": "...", "marks": 12}`: an empty or missing label says that it knows none, `marks` how many people said so.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

import aiohttp

_DEADLINE_S = 5.0
_MOST_BYTES = 64 * 1024
_LONGEST = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Label:
    """`text` empty: none."""

    text: str
    marks: int


class LabelsAway(Exception):
    """The service did not answer, or not as agreed."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NumberLabels:
    """One service."""

    def __init__(self, url: str, token: str = "") -> None:
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    async def ask(self, number: str) -> Label:
        """What it says of a number (E.164). Errors: LabelsAway."""
        timeout = aiohttp.ClientTimeout(total=_DEADLINE_S)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout, headers=self._headers) as session,
                session.get(self._url, params={"number": number}, allow_redirects=False) as answer,
            ):
                if answer.status != 200:
                    raise LabelsAway(f"status {answer.status}")
                return _read(await answer.content.read(_MOST_BYTES))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise LabelsAway(type(error).__name__) from error


def _read(body: bytes) -> Label:
    try:
        said = json.loads(body)
        text, marks = said.get("label") or "", said.get("marks") or 0
    except (ValueError, AttributeError) as error:
        raise LabelsAway("no JSON object") from error
    if not isinstance(text, str) or not isinstance(marks, int) or isinstance(marks, bool) or marks < 0:
        raise LabelsAway("not as agreed")
    return Label(text=text.strip()[:_LONGEST], marks=min(marks, 2**31 - 1))
