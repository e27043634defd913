"""Our Asterisk node in a container: the product's own configuration, with the site part rendered as a user would get it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dialer.asterisk.conf_dir import asterisk_conf
from dialer.asterisk.site import SiteSettings, TrunkSettings, render_site
from lab.asterisk_container import AsteriskContainer
from lab.ports import free_port, free_range
from lab.waiting import wait_until


class AsteriskNode(AsteriskContainer):
    """Ports and secrets are fixed when it is made and stay over kills and restarts.

    ami_host, ami_port, ami_user, ami_secret: where the engine logs in. sip_port: UDP and TCP, for softphones. ws_port: browsers.
    spool_dir: where the two legs of a recording appear. cdr_file, hangups_file: what the engine reads after a restart.
    prompts_dir: safe-harbour messages of projects, by name.
    """

    ami_host = "127.0.0.1"
    sip_host = "127.0.0.1"

    def __init__(
        self,
        run_dir: Path,
        *,
        agi_port: int,
        trunks: Sequence[TrunkSettings] = (),
        name: str = "waihu-node",
        rtp_ports: int | range = 400,
        spool_dir: Path | None = None,
        **site: Any,
    ) -> None:
        """`rtp_ports`: four for a bridged call; how many, or which. `site`: further fields of SiteSettings, e.g. seat_rtp_timeout_s=5."""
        rtp = rtp_ports if isinstance(rtp_ports, range) else free_range(rtp_ports, self)
        self.settings = replace(
            SiteSettings(
                ami_port=free_port(self),
                ami_secret=secrets.token_urlsafe(24),
                agi_port=agi_port,
                sip_port=free_port(self),
                http_port=free_port(self),
                rtp_ports=(rtp.start, rtp.stop - 1),
                trunks=tuple(trunks),
                sip_bind="127.0.0.1",
            ),
            **site,
        )
        directory = run_dir / name
        self.spool_dir = spool_dir or directory / "recordings"
        self.prompts_dir = directory / "prompts"
        super().__init__(
            directory,
            name,
            asterisk_conf(),
            render_site(self.settings),
            {self.spool_dir: "/var/spool/asterisk/monitor/waihu", self.prompts_dir: "/var/lib/asterisk/prompts"},
        )
        self.cdr_file = self.log_dir / "cdr-custom" / "calls.csv"
        self.hangups_file = self.log_dir / "cel-custom" / "hangups.csv"
        self.ami_user = self.settings.ami_user
        self.ami_secret = self.settings.ami_secret
        self.ami_port = self.settings.ami_port
        self.agi_port = agi_port
        self.sip_port = self.settings.sip_port
        self.ws_port = self.settings.http_port

    async def wait_ready(self, timeout_s: float) -> None:
        """Back when Asterisk is up and its AMI answers."""
        await super().wait_ready(timeout_s)
        await wait_until(self._ami_greets, timeout_s=timeout_s, what=f"AMI of {self.name} on port {self.ami_port}")

    async def _ami_greets(self) -> bool:
        self.container.raise_if_ended()
        try:
            reader, writer = await asyncio.open_connection(self.ami_host, self.ami_port)
        except OSError:
            return False
        try:
            return (await reader.readline()).startswith(b"Asterisk Call Manager")
        finally:
            writer.close()
