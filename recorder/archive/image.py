"""The image of a volume: the bag's files and the store's recordings as one ISO 9660 file system, the same bytes for the same content.

xorriso writes it to a pipe; it is hashed and written to disk in one pass, side by side. Rock Ridge for Unix, Joliet for everybody else and for our own reader.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, Final

from recorder.archive.media import SECTOR
from recorder.archive.programs import ending_with_us, failed
from recorder.errors import ArchiveError
from recorder.spool import sync_directory

_BLOCK: Final = 4 << 20
_WORDS: Final = 64 * 1024


def write_image(
    image: Path,
    *,
    label: str,
    created_at: datetime,
    files: Iterable[tuple[str, Path]],
    progress: Callable[[int], None] = lambda _bytes: None,
) -> tuple[int, bytes]:
    """Write the image of these (path on the volume, file) and give its bytes and SHA-256. Durable when it returns. Blocking.

    Raises ArchiveError `archive_program_failed` (a file that cannot be read is one reason), OSError when the disk does not take it.
    """
    part, listing = image.with_name(image.name + ".part"), image.with_name(image.name + ".list")
    with listing.open("w", encoding="utf-8") as file:
        file.writelines(f"{_escaped(name)}={_escaped(str(source))}\n" for name, source in files)
    moment = created_at.astimezone(UTC)
    command = [
        "xorriso", "-return_with", "SORRY", "32", "-as", "mkisofs", "-quiet", "-r", "-J", "-joliet-long", "-iso-level", "3", "-V", label,
        "-publisher", "WAIHU", "--set_all_file_dates", f"{moment:%Y%m%d%H%M%S}00", "-graft-points", "-path-list", str(listing),
    ]  # fmt: skip
    environment = {**os.environ, "LC_ALL": "C", "SOURCE_DATE_EPOCH": str(int(moment.timestamp()))}
    said = image.with_name(image.name + ".log")
    try:
        with (
            part.open("wb") as target,
            said.open("wb") as words,
            _started(command, environment, words) as child,
        ):
            size, digest = _pour(child, target, progress)
            target.flush()
            os.fsync(target.fileno())
        if child.returncode:
            raise failed("xorriso", child.returncode, said.read_bytes()[-_WORDS:].decode("utf-8", errors="replace"))
        if size == 0 or size % SECTOR:
            raise ArchiveError("archive_program_failed", f"xorriso wrote {size} bytes, which is no image.")
        part.replace(image)
        sync_directory(image.parent)
    finally:
        part.unlink(missing_ok=True)
        listing.unlink(missing_ok=True)
        said.unlink(missing_ok=True)
    return size, digest


def _started(command: list[str], environment: dict[str, str], words: IO[bytes]) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        ending_with_us(command), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, env=environment, pipesize=1 << 20
    )  # fmt: skip


def _pour(child: subprocess.Popen[bytes], target: IO[bytes], progress: Callable[[int], None]) -> tuple[int, bytes]:
    digest, size = hashlib.sha256(), 0
    under_way: list[Future[Any]] = []
    try:
        assert child.stdout is not None  # noqa: S101  # it was asked for
        with ThreadPoolExecutor(2) as beside:  # so that xorriso waits neither for the disk nor for the hash
            while block := child.stdout.read(_BLOCK):
                for one in under_way:
                    one.result()
                under_way = [beside.submit(digest.update, block), beside.submit(target.write, block)]
                size += len(block)
                progress(len(block))
        for one in under_way:
            one.result()
    except BaseException:
        child.kill()
        raise
    finally:
        child.wait()
    return size, digest.digest()


def _escaped(text: str) -> str:
    """As graft points want it: a backslash before = and itself."""
    return text.replace("\\", "\\\\").replace("=", "\\=")
