"""The fake carrier's Asterisk: ports, trunk credentials, time scale, records."""

from __future__ import annotations

import secrets
from pathlib import Path

from dialer.asterisk.site import TrunkSettings
from lab.asterisk_container import CHECKOUT, AsteriskContainer
from lab.carrier.cdr import CarrierCdr, read_cdr
from lab.carrier.site import CarrierSite, render_carrier_site
from lab.ports import free_port, free_range
from lab.voices import PROMPTS, SOUNDS_IN_IMAGE, VOICES_DIR, make_voices, voices_are_made


class Carrier(AsteriskContainer):
    """Trunk credentials go both ways: it challenges our INVITE, and answers the challenge when it calls us.

    `time_scale` shortens every ring, talk and announcement; 1 is real time. `trunk` is what the node's site needs to reach it.
    """

    sip_host = "127.0.0.1"

    def __init__(
        self,
        run_dir: Path,
        *,
        node_sip_port: int | None = None,
        time_scale: float = 1.0,
        authenticate: bool = True,
        name: str = "waihu-carrier",
        trunk_name: str = "carrier",
        rtp_ports: int = 200,
    ) -> None:
        """`node_sip_port` is only needed for calls from the carrier to us (`call_node`); it may be set later."""
        rtp = free_range(rtp_ports, self)
        self.sip_port = free_port(self)
        self.time_scale = time_scale
        self.node_sip_port = node_sip_port
        self._rtp = (rtp.start, rtp.stop - 1)
        self.trunk = TrunkSettings(
            name=trunk_name,
            host=self.sip_host,
            port=self.sip_port,
            username="dialer" if authenticate else None,
            password=secrets.token_urlsafe(18) if authenticate else None,
            inbound_password=secrets.token_urlsafe(18),
            qualify_s=5,
        )
        self.voices_dir = VOICES_DIR
        directory = run_dir / name
        super().__init__(
            directory,
            name,
            CHECKOUT / "lab" / "carrier" / "conf",
            {},
            {self.voices_dir: "/var/lib/asterisk/voices:ro", directory / "prompts": "/prompts"},
        )
        self.cdr_file = self.log_dir / "cdr-custom" / "carrier.csv"

    async def start(self, *, timeout_s: float = 30.0) -> None:
        self._site = render_carrier_site(
            CarrierSite(
                sip_host=self.sip_host,
                sip_port=self.sip_port,
                rtp_ports=self._rtp,
                trunk=self.trunk,
                node_sip_port=self.node_sip_port or 5060,
                time_scale=self.time_scale,
            )
        )
        await super().start(timeout_s=timeout_s)
        if not voices_are_made(self.voices_dir):
            await self._make_voices()

    def cdr(self) -> list[CarrierCdr]:
        """What reached the carrier so far and has ended, oldest first."""
        return read_cdr(self.cdr_file)

    async def call_node(self, number: str, *, talk_s: int = 2) -> None:
        """Call us as the carrier would, with its credentials: what a customer who rings back does."""
        await self.console(f"channel originate PJSIP/{number}@dialer application Wait {talk_s}")

    async def _make_voices(self) -> None:
        prompts_dir = self.directory / "prompts"
        copied = await self.container.exec(["cp", *(f"{SOUNDS_IN_IMAGE}/{name}.gsm" for name in PROMPTS), "/prompts/"])
        copied.check_returncode()
        make_voices(prompts_dir, self.voices_dir)
