"""What is printed for a volume: a label for each disc, and the sheet that goes with it when it changes hands."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from recorder.archive.planner import NO_YEAR
from recorder.archive.volume import DiscCopy, Volume


def print_sheets(target: Path, volume: Volume, copies: Sequence[DiscCopy], project: str) -> None:
    """Write the page; it opens by double click and prints on A4. Blocking."""
    target.write_text(sheets(volume, copies, project), encoding="utf-8")


def sheets(volume: Volume, copies: Sequence[DiscCopy], project: str) -> str:
    """The page. `project` is a text from outside."""
    expires = "—" if volume.expiry_year == NO_YEAR else str(volume.expiry_year)
    facts = {
        "项目 Project": project,
        "录音 Recordings": f"{volume.recordings:,}",
        "大小 Size": f"{(volume.image_bytes or volume.bytes) / 1e9:.2f} GB · {volume.medium}",
        "制作 Made": f"{volume.created_at:%Y-%m-%d}",
        "到期 Expires after": expires,
        "SHA-256": volume.image_sha256.hex() if volume.image_sha256 else "",
    }
    rows = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{html.escape(value)}</td></tr>" for name, value in facts.items()
    )
    discs = "".join(
        f"<section class=label><h2>{html.escape(copy.name)}</h2><table>{rows}</table>"
        f"<p>保管 Kept by: {html.escape(copy.custodian) or '________'} · 位置 Place: {html.escape(copy.place) or '________'}</p></section>"
        for copy in copies
    )
    listed = "".join(
        f"<tr><td>{html.escape(copy.name)}</td><td>{_read_on(copy)}</td><td></td><td></td><td></td><td></td></tr>"
        for copy in copies
    )
    return (
        _PAGE.replace("@LABEL@", html.escape(volume.label))
        .replace("@DISCS@", discs)
        .replace("@FACTS@", rows)
        .replace("@LISTED@", listed)
    )


def _read_on(copy: DiscCopy) -> str:
    return f"{copy.verified_at:%Y-%m-%d}" if copy.verified_at is not None else "未复核 not yet"


_PAGE: Final = """<!doctype html>
<html lang="zh"><head><meta charset="utf-8"><title>@LABEL@</title>
<style>
body { font: 13px/1.4 system-ui, sans-serif; margin: 1.5cm }
.label { width: 12cm; min-height: 12cm; border: 1px dashed #888; padding: .6cm; display: inline-block; vertical-align: top; margin: .3cm }
th { text-align: left; padding-right: .8em; vertical-align: top; white-space: nowrap } td { word-break: break-all }
.sheet { page-break-before: always } .sheet table.grid { border-collapse: collapse; width: 100% }
.grid th, .grid td { border: 1px solid #444; padding: .3cm; height: .8cm }
</style></head><body>
@DISCS@
<section class="sheet"><h1>交接单 Handover sheet · @LABEL@</h1><table>@FACTS@</table>
<p>接收前请用 waihu archive verify 复核。Before taking over, read the disc again: waihu archive verify &lt;copy&gt; --from &lt;drive&gt;.</p>
<table class="grid"><tr><th>光盘 Disc</th><th>复核 Read again</th><th>交出 Given by</th><th>接收 Taken by</th><th>日期 Date</th><th>签名 Signatures</th></tr>@LISTED@</table>
</section></body></html>
"""
