"""An nginx of our own, in front of an application or beside it: for the X-Accel mode and as the bound of streaming.

The distribution's package would start a service on port 80, so its files are only unpacked.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from pathlib import Path

from lab.errors import ProgramMissing
from lab.ports import free_port
from lab.process import ChildProcess
from lab.waiting import wait_until

_CONFIG = """
{user} daemon off; worker_processes 1; pid {directory}/nginx.pid; error_log stderr warn;
events {{ worker_connections 1024; }}
http {{
    access_log off; sendfile on; tcp_nodelay on; keepalive_requests 1000000; default_type audio/ogg;
    client_body_temp_path {directory}/body; proxy_temp_path {directory}/proxy; fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi; scgi_temp_path {directory}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {locations}
    }}
}}
"""


class Nginx:
    """One worker on a free port of this machine. `locations` is the inside of its server block."""

    def __init__(self, run_dir: Path, locations: str) -> None:
        self.directory = run_dir / "nginx"
        self.port = free_port()
        self._locations = locations
        self._child: ChildProcess | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        if self._child is None:
            raise RuntimeError("nginx is not running")
        return self._child.pid

    async def start(self) -> None:
        """Start. Raises ProgramMissing where there is none and none can be fetched."""
        self.directory.mkdir(parents=True, exist_ok=True)
        config = self.directory / "nginx.conf"
        config.write_text(
            _CONFIG.format(
                user="user root;" if os.getuid() == 0 else "",  # else its worker may not read what is ours
                directory=self.directory,
                port=self.port,
                locations=self._locations,
            ),
            encoding="utf-8",
        )
        words = [str(program()), "-e", "stderr", "-p", str(self.directory), "-c", str(config)]
        self._child = ChildProcess(words, self.directory / "nginx.log")
        await self._child.start()
        await wait_until(self._listens, timeout_s=20, what="nginx to listen")

    async def _listens(self) -> bool:
        if self._child is not None:
            self._child.raise_if_ended()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self) -> None:
        """Stop."""
        if self._child is not None:
            await self._child.stop()


def program() -> Path:
    """Where nginx is: installed, or unpacked below .run. Raises ProgramMissing."""
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if found:
        return Path(found)
    unpacked = Path(__file__).resolve().parents[1] / ".run" / "tools" / "nginx"
    if not (unpacked / "usr" / "sbin" / "nginx").is_file():
        _unpack(unpacked)
    return unpacked / "usr" / "sbin" / "nginx"


def _unpack(into: Path) -> None:
    into.mkdir(parents=True, exist_ok=True)
    try:
        subprocess.run(["apt-get", "-qq", "download", "nginx"], cwd=into, check=True, capture_output=True, timeout=120)
        for package in into.glob("nginx_*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(into)], check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError) as error:
        raise ProgramMissing("nginx is not installed and cannot be fetched: install it, or leave this out") from error
