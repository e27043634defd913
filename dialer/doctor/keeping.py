"""What keeps recordings readable: the master keys, and the programs that make and read archive discs."""

from __future__ import annotations

import asyncio
import shutil

from dialer.doctor import postgres
from dialer.doctor.finding import Finding, fault, ok, warning
from dialer.settings import Settings
from recorder.archive.erasing import ArchiveKeys
from recorder.archive.standing import thin
from recorder.errors import KeysRefused, RecorderError
from recorder.file_keys import FileKeys, masters_in_use
from recorder.keyring import KeySource

ARCHIVE_PROGRAMS = ("xorriso", "dvdisaster")
_NAMED = 5


async def master_keys(settings: Settings) -> list[Finding]:
    """The master keys can be read, by nobody else, and open what was sealed under them."""
    subject = "recording keys"
    try:
        async with postgres.connect(settings) as connection:
            in_use = await masters_in_use(connection)
    except postgres.Unreachable:
        in_use = set()  # the check of PostgreSQL says so
    source = KeySource(path=settings.recording_keys, command=settings.recording_keys_command)
    try:
        ring = await asyncio.to_thread(source.load)
    except KeysRefused as error:
        if error.error_id == "recording_keys_missing" and not in_use:
            return [ok(subject, "none yet: the recorder makes the key file at its first start")]
        return [fault(subject, str(error), "Until this is mended nothing is recorded or heard. docs/recordings.md.")]
    lacking = sorted(in_use - set(ring.keys))
    if lacking:
        return [
            fault(
                subject,
                f"recordings are sealed under {', '.join(lacking)}, which is not there",
                "Add the line of that key from the copy of the key file: without it nobody hears these recordings again.",
            )
        ]
    return [ok(subject, f"{len(ring.keys)} master keys, {ring.current} in use")]


async def archive_key_file(settings: Settings) -> list[Finding]:
    """The archive's key file opens, and is there where volumes need it."""
    subject = "archive keys"
    keys = ArchiveKeys(
        path=settings.archive_keys,
        keys=FileKeys(KeySource(path=settings.recording_keys, command=settings.recording_keys_command)),
    )
    try:
        async with postgres.connect(settings) as connection:
            needed = await keys.needed(connection)
    except postgres.Unreachable:
        needed = False  # the check of PostgreSQL says so
    if not needed and not await asyncio.to_thread(settings.archive_keys.exists):
        return [ok(subject, "none yet: the first volume makes the file")]
    try:
        tree = await keys.tree()
    except RecorderError as error:
        return [
            fault(
                subject,
                str(error),
                "Until this is mended no recording is deleted and no volume is built. docs/discs.md.",
            )
        ]
    return [ok(subject, f"{len(tree.nodes)} nodes in {settings.archive_keys}")]


async def archive_copies(settings: Settings) -> list[Finding]:
    """What only discs have is on as many good copies as are wanted."""
    subject = "archive copies"
    try:
        async with postgres.connect(settings) as connection:
            few = [one for one in await thin(connection) if one.only_on_discs]
    except postgres.Unreachable:
        return []  # the check of PostgreSQL says so
    if not few:
        return [ok(subject, "as many good ones as wanted of all that only discs have")]
    named = "; ".join(f"{one.label} {one.good} of {one.wanted} ({one.bad})" for one in few[:_NAMED])
    return [
        warning(
            subject,
            f"{sum(one.only_on_discs for one in few)} recordings are on too few: {named}{' ...' if len(few) > _NAMED else ''}",
            "Bring lent ones back and read them (waihu archive verify), or make others: waihu archive recopy, then run. docs/discs.md.",
        )
    ]


async def archive_programs(settings: Settings, *, programs: tuple[str, ...] = ARCHIVE_PROGRAMS) -> list[Finding]:
    """The programs that make and read archive discs are installed."""
    del settings
    lacking = [program for program in programs if shutil.which(program) is None]
    if lacking:
        return [
            warning(
                "archive programs",
                f"{' and '.join(lacking)} not found",
                f"Calls go on, but no disc can be made or read: apt-get install {' '.join(lacking)}",
            )
        ]
    return [ok("archive programs", ", ".join(programs))]
