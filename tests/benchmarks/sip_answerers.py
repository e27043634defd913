"""SIPp as the far end of calls without media: customers who answer and hang up, softphones that answer and stay."""

from __future__ import annotations

from pathlib import Path

from lab.containers import Container, ensure_image

_OPENING = """<?xml version="1.0" encoding="UTF-8"?>
<scenario name="answers">
<recv request="INVITE"><action>
<ereg regexp=".*" search_in="hdr" header="From:" assign_to="caller"/>
<ereg regexp="sip:[^>]*" search_in="hdr" header="Contact:" assign_to="contact"/>
</action></recv>
<send><![CDATA[
SIP/2.0 180 Ringing
[last_Via:]
[last_From:]
[last_To:];tag=[pid]t[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Length: 0

]]></send>
<send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:];tag=[pid]t[call_number]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port]>
Content-Type: application/sdp
Content-Length: [len]

v=0
o=- 1 1 IN IP4 [local_ip]
s=-
c=IN IP4 [local_ip]
t=0 0
m=audio 9 RTP/AVP 8
a=rtpmap:8 PCMA/8000

]]></send>
<recv request="ACK"/>
"""
_LEAVES = """<pause milliseconds="{talk_ms}"/>
<send retrans="500"><![CDATA[
BYE [$contact] SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:uas@[local_ip]:[local_port]>;tag=[pid]t[call_number]
To:[$caller]
Call-ID: [call_id]
CSeq: 1 BYE
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>
"""
_STAYS = """<recv request="BYE"/>
<send><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Content-Length: 0

]]></send>
<Reference variables="caller,contact"/>
</scenario>
"""


def answerers(directory: Path, name: str, port: int, *, talk_ms: int | None) -> Container:
    """Answer every call on `port`; hang up after `talk_ms`, or never."""
    directory.mkdir(parents=True, exist_ok=True)
    ending = _STAYS if talk_ms is None else _LEAVES.format(talk_ms=talk_ms)
    (directory / f"{name}.xml").write_text(_OPENING + ending, encoding="ascii")
    command = [
        "sipp",
        "-sf",
        f"/scenario/{name}.xml",
        "-i",
        "127.0.0.1",
        "-p",
        str(port),
        "-nostdin",
        "-aa",
        "-trace_err",
        "-error_file",
        f"/scenario/{name}.errors",
    ]
    return Container(name, ensure_image(), command, {directory: "/scenario"}, directory / f"{name}.log")
