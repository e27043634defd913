"""An Asterisk in a container with a configuration directory of ours: what the node and the fake carrier have in common."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Mapping
from pathlib import Path

from lab.containers import Container, ensure_image
from lab.errors import NotReady
from lab.waiting import wait_until

CHECKOUT = Path(__file__).resolve().parents[1]
_READY = b"Asterisk Ready."


class AsteriskContainer:
    """Restartable on the same ports and data: `directory` holds the database, the logs and the spool of all its lives."""

    def __init__(
        self, directory: Path, name: str, conf_dir: Path, site: Mapping[str, str], mounts: Mapping[Path, str]
    ) -> None:
        """`site`: file name → text, seen as <conf>/site. `mounts` come on top of configuration, database, logs and spool."""
        self.directory = directory
        self.name = name
        self.log_path = directory / "console.log"
        self.database_dir = directory / "lib"
        self.log_dir = directory / "log"
        self.spool_root = directory / "spool"
        self._site = dict(site)
        self._container = Container(
            name,
            ensure_image(),
            ["asterisk", "-f", "-n", "-vv"],
            {
                conf_dir: "/etc/asterisk:ro",
                directory / "site": "/etc/asterisk/site:ro",
                self.database_dir: "/var/lib/asterisk",
                self.log_dir: "/var/log/asterisk",
                self.spool_root: "/var/spool/asterisk",
                **mounts,
            },
            self.log_path,
        )
        self._log_from = 0

    @property
    def container(self) -> Container:
        return self._container

    @property
    def pid(self) -> int:
        return self._container.pid

    @property
    def running(self) -> bool:
        return self._container.running

    async def start(self, *, timeout_s: float = 60.0) -> None:
        """Write the site's files, start, and wait until Asterisk says that it is ready."""
        self._make_directories()
        self._log_from = self.log_path.stat().st_size if self.log_path.exists() else 0
        await self._container.start()
        await self.wait_ready(timeout_s)

    async def wait_ready(self, timeout_s: float) -> None:
        await wait_until(self._said_ready, timeout_s=timeout_s, what=f"{self.name} (log: {self.log_path})")

    async def stop(self) -> None:
        await self._container.stop()

    def kill(self) -> None:
        """SIGKILL, nothing is said to anybody. `start` brings it back."""
        self._container.kill()

    async def restart(self) -> None:
        """An orderly end, then a new start on the same data."""
        await self.stop()
        await self.start()

    async def revive(self) -> None:
        """A new start after kill()."""
        await self._container.wait_ended(10.0)
        await self._container.remove()
        await self.start()

    def freeze(self) -> None:
        """SIGSTOP: it lives, holds its ports and says nothing."""
        self._container.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._container.send_signal(signal.SIGCONT)

    async def console(self, command: str) -> str:
        """What Asterisk's own console answers; for tests and for people, never for the product."""
        return (await self._container.exec(["asterisk", "-rx", command])).stdout

    async def channels(self) -> list[str]:
        """The channels that live, a row of `core show channels concise` each; for tests. Raises NotReady when Asterisk does not answer.

        Without the husks of channels that were pulled into a bridge: when the other side hangs up in that very moment, Asterisk
        22.10 takes the husk off its list and puts it on again, where it stays without a thread (channel_do_masquerade).
        """
        answer = await self._container.exec(["asterisk", "-rx", "core show channels concise"])
        if answer.returncode != 0:
            raise NotReady(f"Asterisk's console does not answer: {answer.stderr.strip()}")
        return [row for row in answer.stdout.splitlines() if row and not row.startswith("Surrogate/")]

    def _make_directories(self) -> None:
        for path in (
            self.directory / "site",
            self.database_dir / "keys",
            self.log_dir / "cdr-custom",
            self.log_dir / "cel-custom",
            self.spool_root / "monitor" / "waihu",
        ):
            path.mkdir(parents=True, exist_ok=True)
        for path in self._container.mounts:
            if not path.exists():
                path.mkdir(parents=True)
        for name, text in self._site.items():
            path = self.directory / "site" / name
            path.write_text(text, encoding="utf-8")

    def _said_ready(self) -> bool:
        self._container.raise_if_ended()
        if not self.log_path.exists():
            return False
        with self.log_path.open("rb") as log:
            # podman may begin the file anew
            log.seek(self._log_from if self.log_path.stat().st_size >= self._log_from else 0)
            return _READY in log.read()


def forget(directory: Path) -> None:
    """Remove what an Asterisk left in its directory."""
    shutil.rmtree(directory, ignore_errors=True)
