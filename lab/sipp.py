"""Light seats by the hundred: one SIPp that answers for many registered devices and sends every packet of sound back.

For the bench and for load. What a customer says comes back to the customer, so both legs of a recording hold sound without a gap.
The devices are registered once, for ten minutes; they are not softphones that one can steer (lab/softphone.py has those).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.containers import Container, ensure_image
from lab.errors import LabError
from lab.ports import free_port, free_range
from lab.sip_client import SipClient
from lab.softphone import Account

_REGISTERED_FOR_S = 600


class SippFailed(LabError):
    """SIPp, or a registration on its behalf, did not work."""

    error_id = "lab.sipp_failed"


class EchoSeats:
    """Registered devices that answer at once and echo. `accounts` must have been put into the node as softphones."""

    def __init__(
        self, run_dir: Path, accounts: Sequence[Account], registrar: tuple[str, int], *, name: str = "echo-seats"
    ) -> None:
        self.directory = run_dir / name
        self.accounts = list(accounts)
        self._registrar = registrar
        self._port = free_port()
        self._media = free_range(4).start
        self.container = Container(
            f"waihu-{name}",
            ensure_image(),
            [
                "sipp", "-sf", "/scenario/answer.xml", "-i", "127.0.0.1", "-p", str(self._port), "-mi", "127.0.0.1",
                "-mp", str(self._media), "-min_rtp_port", str(self._media), "-max_rtp_port", str(self._media + 3), "-rtp_echo", "-aa",
                "-nostdin", "-l", "2000", "-trace_err", "-error_file", "/scenario/errors.log",
            ],
            {self.directory: "/scenario"},
            self.directory.with_suffix(".log"),
        )  # fmt: skip

    async def start(self) -> None:
        """Register everybody from SIPp's port, then give the port to SIPp."""
        self.directory.mkdir(parents=True, exist_ok=True)
        (self.directory / "answer.xml").write_text(_SCENARIO, encoding="ascii")
        for account in self.accounts:
            async with SipClient(account.username, account.secret, self._registrar, local_port=self._port) as client:
                status = await client.register(expires_s=_REGISTERED_FOR_S)
            if status != 200:
                raise SippFailed(f"{account.username} was not registered at {self._registrar}: {status}")
        await self.container.start()

    async def stop(self) -> None:
        await self.container.stop(timeout_s=1.0)


_SCENARIO = """\
<?xml version="1.0" encoding="ISO-8859-1" ?>
<!DOCTYPE scenario SYSTEM "sipp.dtd">
<scenario name="answers at once, echoes, waits for BYE">
  <recv request="INVITE" crlf="true"/>
  <send>
    <![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:];tag=[pid]seat[call_number]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      Content-Type: application/sdp
      Content-Length: [len]

      v=0
      o=seat 1 1 IN IP[local_ip_type] [local_ip]
      s=-
      c=IN IP[media_ip_type] [media_ip]
      t=0 0
      m=audio [media_port] RTP/AVP 8
      a=rtpmap:8 PCMA/8000
      a=ptime:20
    ]]>
  </send>
  <recv request="ACK" optional="false" crlf="true"/>
  <recv request="BYE"/>
  <send>
    <![CDATA[
      SIP/2.0 200 OK
      [last_Via:]
      [last_From:]
      [last_To:]
      [last_Call-ID:]
      [last_CSeq:]
      Contact: <sip:[local_ip]:[local_port];transport=[transport]>
      Content-Length: 0
    ]]>
  </send>
</scenario>
"""
