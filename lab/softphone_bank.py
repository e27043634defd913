"""Softphones for many agents, in one container, behind one registrar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from lab.containers import Container, ensure_image
from lab.errors import NotReady
from lab.softphone import Account, Softphone, SoftphoneFailed
from lab.voices import VOICES_DIR

_ALIVE_WITHIN_S = 3.0

# `phone` is a directory under /phones; the process id lets one of them be killed. TERM goes to all of them.
_RUN_ONE = 'baresip -f "$phone" > "$phone/log" 2>&1 & echo $! > "$phone/pid"'
_RUN_ALL = (
    "trap 'kill -9 $(cat /phones/*/pid); exit 0' TERM; "
    f"for phone in /phones/phone-*; do {_RUN_ONE}; done; "
    "while :; do sleep 3600 & wait $!; done"
)


class SoftphoneBank:
    """Softphones behind one registrar (a node's SIP address), in one container."""

    def __init__(self, run_dir: Path, accounts: Sequence[Account], registrar: str, *, name: str = "softphones") -> None:
        """`registrar`: host:port."""
        self.directory = run_dir / name
        self.registrar = registrar
        self.phones: dict[str, Softphone] = {}
        for account in accounts:
            self._add(account)
        self.container = Container(
            f"waihu-{name}",
            ensure_image(),
            ["sh", "-c", _RUN_ALL],
            {self.directory: "/phones", VOICES_DIR: "/voices:ro"},
            self.directory.with_suffix(".log"),
        )

    def phone(self, username: str) -> Softphone:
        return self.phones[username]

    async def start(self, *, registered: bool = True, timeout_s: float = 20.0) -> None:
        """Start all; with `registered`, back when every account is registered. The voices must have been made (Carrier.start)."""
        await self.launch()
        await self.attach(registered=registered, timeout_s=timeout_s)

    async def launch(self) -> None:
        """Start the processes only; `attach` takes hold of them, and may do so again in another event loop after `detach`."""
        self.directory.mkdir(parents=True, exist_ok=True)
        VOICES_DIR.mkdir(parents=True, exist_ok=True)
        for phone in self.phones.values():
            phone.write_files()
        await self.container.start()

    async def attach(self, *, registered: bool = True, timeout_s: float = 20.0) -> None:
        """Take hold of all; one that has died is started anew."""
        for username, phone in self.phones.items():
            try:
                await phone.connect(_ALIVE_WITHIN_S)
            except NotReady:
                await self.come_back(username, registered=False, timeout_s=timeout_s)
        if registered:
            for phone in self.phones.values():
                await phone.wait_registered(timeout_s)

    async def add(self, account: Account, *, registered: bool = True, timeout_s: float = 20.0) -> Softphone:
        """One more softphone while the others run."""
        phone = self._add(account)
        phone.write_files()
        await self.come_back(account.username, registered=registered, timeout_s=timeout_s)
        return phone

    async def vanish(self, username: str) -> None:
        """SIGKILL to one softphone: no BYE, no more sound."""
        phone = self.phone(username)
        await phone.disconnect()
        await self._shell(f"kill -9 $(cat /phones/{phone.directory.name}/pid)")

    async def come_back(self, username: str, *, registered: bool = True, timeout_s: float = 20.0) -> None:
        """Start one that has vanished."""
        phone = self.phone(username)
        await self._shell(f"phone=/phones/{phone.directory.name}; {_RUN_ONE}")
        await phone.connect(timeout_s)
        if registered:
            await phone.wait_registered(timeout_s)

    async def detach(self) -> None:
        """Let go; the softphones stay registered, and nobody answers their calls."""
        for phone in self.phones.values():
            await phone.disconnect()

    async def stop(self) -> None:
        await self.detach()
        await self.container.stop(timeout_s=2.0)

    def kill(self) -> None:
        """All of them vanish."""
        self.container.kill()

    def _add(self, account: Account) -> Softphone:
        place = len(self.phones)
        phone = Softphone(self.directory / f"phone-{place}", place, account, self.registrar)
        self.phones[account.username] = phone
        return phone

    async def _shell(self, script: str) -> None:
        done = await self.container.exec(["sh", "-c", script])
        if done.returncode:
            raise SoftphoneFailed(f"{script}: {done.stderr.strip()}")
