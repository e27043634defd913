"""Import of a million leads from a GB18030 list, beside a bare COPY of the same rows into the same table with the same indexes; and the reading of a workbook.

Bound: PostgreSQL taking the rows and keeping the indexes that are not partial on another state. The import adds reading the file, its encoding, numbers,
duplicates, do-not-call and the reject file. Memory: what the process grows by between the first tenth of the file and its end. WAIHU_BENCH_ROWS: how many rows.
A workbook is read apart, with its cells made into texts: processor time, both processes, beside python-calamine reading the same rows and nothing more.
Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from uuid import UUID

from campaigns.importing.run import ImportProgress, import_file
from campaigns.sql import Pool
from campaigns.tables.writing import XlsxWriter
from tests.benchmarks.database import a_database
from tests.builders import a_project

BOUND = 0.2
BOUND_SHEET = 0.7
BOUND_GROWTH_MIB = 64
ROWS = int(os.environ.get("WAIHU_BENCH_ROWS", "1000000"))
SHEET_ROWS = min(ROWS, 500_000)


def write_csv(path: Path, rows: int) -> None:
    """A list as clients send it: GB18030-able Chinese names, four columns of their own, one number in a hundred there already, one in a thousand wrong."""
    with path.open("w", encoding="gb18030") as file:
        file.write("手机号,姓名,城市,产品,金额,备注\n")
        for i in range(rows):
            number = f"138{i:08d}" if i % 100 else f"138{i // 2:08d}"
            file.write(
                f'{number if i % 1000 != 7 else "12345"},客户{i},上海市,理财{i % 17},{i % 100000}.00,"去年, 已联系"\n'
            )


async def bare_copy(pool: Pool, path: Path, project_id: UUID) -> float:
    """Seconds for COPY of the file's columns into `leads`: no staging, no checks; the rows it would refuse are taken out beforehand."""
    clean = path.with_suffix(".copy")
    seen: set[str] = set()  # after the import was measured: this one does not have constant memory
    with path.open(encoding="gb18030") as source, clean.open("w", encoding="utf-8") as target:
        next(source)
        for line in source:
            number, _, rest = line.partition(",")
            if len(number) == 11 and number not in seen:
                seen.add(number)
                name, city, product, amount, _ = rest.split(",", 4)
                fields = f'{{""城市"": ""{city}"", ""产品"": ""{product}"", ""金额"": ""{amount}"", ""备注"": ""去年, 已联系""}}'
                target.write(f'{project_id},+86{number},{name},"{fields}"\n')
    seen.clear()
    async with pool.acquire() as conn:
        began = time.perf_counter()
        with clean.open("rb") as file:
            await conn.copy_to_table(
                "leads", source=file, columns=["project_id", "number", "name", "fields"], format="csv", timeout=600
            )
        return time.perf_counter() - began


async def measure() -> tuple[float, float, int]:
    """Seconds of the import, and of the bare COPY; MiB that the import grew by after its first tenth."""
    peaks: list[int] = []

    def note(progress: ImportProgress) -> None:
        if progress.bytes_read * 10 > progress.bytes_in_all and not peaks:
            peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)

    with tempfile.TemporaryDirectory() as folder:
        async with a_database() as pool:
            path = Path(folder) / "leads.csv"
            write_csv(path, ROWS)
            project = await a_project(pool)
            began = time.perf_counter()
            result = await import_file(pool, project_id=project.id, path=path, reject_dir=Path(folder), progress=note)
            took = time.perf_counter() - began
            grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peaks[0]) // 1024
            await pool.execute("truncate leads cascade")
            await pool.execute("checkpoint")
            bare = await bare_copy(pool, path, project.id)
    print(f"import: {ROWS:,} rows, {result.accepted:,} taken, {result.rejected:,} given back: {took:.1f} s")
    return took, bare, grown


_BARE = """
import sys, python_calamine
for row in python_calamine.CalamineWorkbook.from_path(sys.argv[1]).get_sheet_by_index(0).iter_rows(): pass
"""
_OURS = """
import sys, pathlib
from campaigns.tables.open_table import open_table
table = open_table(pathlib.Path(sys.argv[1]), lambda cells: cells[0] == "手机号")
for record in table: pass
table.close()
"""


def write_sheet(path: Path) -> None:
    """The same list as a workbook."""
    writer = XlsxWriter(path)
    writer.row(["手机号", "姓名", "城市", "产品", "金额", "备注"])
    for i in range(SHEET_ROWS):
        writer.row([f"138{i:08d}", f"客户{i}", "上海市", f"理财{i % 17}", f"{i % 100000}.00", "去年, 已联系"])
    writer.close()


def processor_s(script: str, path: Path) -> float:
    """Seconds of the processor for a Python program and what it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", script, str(path)], check=True, timeout=600)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def sheets() -> tuple[float, float]:
    """Processor seconds of our reading and of the bare one: the best of three each, in turn."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "leads.xlsx"
        write_sheet(path)
        rounds = [(processor_s(_OURS, path), processor_s(_BARE, path)) for _ in range(3)]
    return min(ours for ours, _ in rounds), min(bare for _, bare in rounds)


def figure(name: str, value: str, bound: str, ratio: float, held: bool) -> None:
    """A line of the table."""
    print(f"{name} | {value} | {bound} | {ratio:.2f} | {'ok' if held else 'MISSED'}")


def main() -> None:
    """Measure and print."""
    took, bare, grown = asyncio.run(measure())
    value, bound = f"{ROWS / took:,.0f} rows/s", f">= {BOUND} of bare COPY's {ROWS / bare:,.0f} rows/s"
    figure(f"import of {ROWS:,} leads", value, bound, bare / took, bare / took >= BOUND)
    growth = grown / BOUND_GROWTH_MIB
    figure("memory after the first tenth", f"+{grown} MiB", f"<= {BOUND_GROWTH_MIB} MiB", growth, growth <= 1)
    ours, theirs = sheets()
    value, bound = (
        f"{SHEET_ROWS / ours:,.0f} rows/s",
        f">= {BOUND_SHEET} of calamine's {SHEET_ROWS / theirs:,.0f} rows/s",
    )
    figure(f"xlsx of {SHEET_ROWS:,} rows, read", value, bound, theirs / ours, theirs / ours >= BOUND_SHEET)


if __name__ == "__main__":
    main()
