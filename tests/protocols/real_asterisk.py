"""A real Asterisk with the small configuration of conf/, for the contract tests."""

from __future__ import annotations

from pathlib import Path

from lab.asterisk_container import AsteriskContainer
from lab.ports import free_port
from lab.waiting import wait_until

CONF = Path(__file__).parent / "conf"


class RealAsterisk(AsteriskContainer):
    """`port` is AMI's; the account is the one in conf/manager.conf."""

    def __init__(self, run_dir: Path) -> None:
        self.port = free_port()
        site = {"manager.conf": f"port = {self.port}\nbindaddr = 127.0.0.1\n"}
        super().__init__(run_dir / "contract-asterisk", "waihu-contract", CONF, site, {})

    async def wait_ready(self, timeout_s: float) -> None:
        """Until AMI can be reached."""
        await super().wait_ready(timeout_s)
        await wait_until(self._ami_listens, timeout_s=timeout_s, what="AMI of the contract tests' Asterisk")

    async def _ami_listens(self) -> bool:
        import asyncio

        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True
