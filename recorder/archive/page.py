"""The page on a volume: opens by double click, needs no network and no program, finds and plays its recordings."""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from recorder.archive.catalogue import Line

_SHOWN: Final = ("started_at", "number", "agent", "duration_ms", "outcome", "disposition", "call", "file", "sealed")


def page(label: str, project: str, lines: Sequence[Line]) -> str:
    """The whole of index.html. Texts from outside are data, never markup: they are set by textContent."""
    rows = json.dumps(
        [[getattr(line, name) for name in _SHOWN] for line in lines], ensure_ascii=False, separators=(",", ":")
    )
    # "</script>" and "<!--" inside a JSON text would end it.
    return (
        _PAGE.replace("@TITLE@", html.escape(f"{label} · {project}"))
        .replace("@COUNT@", str(len(lines)))
        .replace("@ROWS@", rows.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029"))
    )


_PAGE: Final = """<!doctype html>
<html lang="zh">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; media-src 'self' file:">
<meta name="viewport" content="width=device-width">
<title>@TITLE@</title>
<style>
body { font: 15px/1.4 system-ui, sans-serif; margin: 1.5rem; color: #222 }
header { position: sticky; top: 0; background: #fff; padding-bottom: .5rem }
h1 { font-size: 1.2rem } input { font: inherit; width: 24rem; max-width: 100% } audio { width: 100%; margin: .5rem 0 }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #ddd }
tr[data-row] { cursor: pointer } tr[data-row]:hover, tr.playing { background: #eef5ff } .quiet { color: #666 }
</style>
</head>
<body>
<header>
<h1>@TITLE@</h1>
<label>查找 Search <input id="find" autofocus placeholder="2026-03 138 ..."></label> <span class="quiet" id="count">@COUNT@</span>
<audio id="player" controls preload="none"></audio>
<p id="sealed" hidden>录音已加密：请用 waihu archive restore 取回后收听。This recording is sealed: bring it back with waihu archive restore to listen.</p>
</header>
<table><thead><tr><th>时间 Time (UTC)</th><th>号码 Number</th><th>座席 Agent</th><th>时长 Length</th><th>结局 Outcome</th><th>结果 Result</th><th>呼叫 Call</th></tr></thead>
<tbody id="rows"></tbody></table>
<p class="quiet">左声道为客户，右声道为座席。Left: the customer; right: the agent. catalogue/catalogue.csv: 全部 all of them.</p>
<script type="application/json" id="data">@ROWS@</script>
<script>
"use strict";
const all = JSON.parse(document.getElementById("data").textContent);
const body = document.getElementById("rows"), player = document.getElementById("player"), most = 300;
const length = ms => Math.floor(ms / 60000) + ":" + String(Math.floor(ms / 1000) % 60).padStart(2, "0");
function show() {
  const words = document.getElementById("find").value.toLowerCase().split(/\\s+/).filter(Boolean);
  const found = all.filter(row => words.every(word => row.join(" ").toLowerCase().includes(word)));
  document.getElementById("count").textContent = found.length > most ? most + " / " + found.length : found.length;
  body.replaceChildren(...found.slice(0, most).map(row => {
    const line = document.createElement("tr");
    line.dataset.row = row[7];
    [row[0].slice(0, 19).replace("T", " "), row[1], row[2], length(row[3]), row[4], row[5], row[6]].forEach(text => {
      line.appendChild(document.createElement("td")).textContent = text;
    });
    line.onclick = () => {
      if (row[8]) { document.getElementById("sealed").hidden = false; return; }
      document.querySelectorAll(".playing").forEach(one => one.classList.remove("playing"));
      line.classList.add("playing");
      player.src = row[7].split("/").map(encodeURIComponent).join("/");
      player.play();
    };
    return line;
  }));
}
document.getElementById("find").oninput = show;
show();
</script>
</body>
</html>
"""
