"""Import of a million leads, beside a bare COPY of the same file into the same table with the same indexes.

Bound: PostgreSQL taking the rows and keeping the three indexes that are not partial on another state (key, number, dialable). The import adds reading
the file, its encoding, numbers, duplicates, do-not-call and the reject file. WAIHU_BENCH_ROWS: how many.
Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import asyncio
import os
import resource
import tempfile
import time
from pathlib import Path
from uuid import UUID

from campaigns.importing.run import import_file
from campaigns.sql import Pool
from tests.benchmarks.database import a_database
from tests.builders import a_project

BOUND = 0.3
ROWS = int(os.environ.get("WAIHU_BENCH_ROWS", "1000000"))


def write_csv(path: Path, rows: int) -> None:
    """A list as clients send it: GB18030-able Chinese names, four columns of their own, one number in a hundred there already, one in a thousand wrong."""
    with path.open("w", encoding="utf-8") as file:
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
    with path.open(encoding="utf-8") as source, clean.open("w", encoding="utf-8") as target:
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


async def measure() -> tuple[float, float]:
    """Seconds of the import, and of the bare COPY."""
    with tempfile.TemporaryDirectory() as folder:
        async with a_database() as pool:
            path = Path(folder) / "leads.csv"
            write_csv(path, ROWS)
            project = await a_project(pool)
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            began = time.perf_counter()
            result = await import_file(pool, project_id=project.id, path=path, reject_dir=Path(folder))
            took = time.perf_counter() - began
            grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
            await pool.execute("truncate leads cascade")
            await pool.execute("checkpoint")
            bare = await bare_copy(pool, path, project.id)
    print(
        f"import: {ROWS:,} rows, {result.accepted:,} taken, {result.rejected:,} given back: {took:.1f} s; memory +{grown // 1024} MiB"
    )
    return took, bare


def main() -> None:
    """Measure and print."""
    took, bare = asyncio.run(measure())
    figure, bound = f"{ROWS / took:,.0f} rows/s", f">= {BOUND} of bare COPY's {ROWS / bare:,.0f} rows/s"
    print(
        f"import of {ROWS:,} leads | {figure} | {bound} | {bare / took:.2f} | {'ok' if bare / took >= BOUND else 'MISSED'}"
    )


if __name__ == "__main__":
    main()
