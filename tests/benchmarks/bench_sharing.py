"""What it costs to divide 500 ready agents among 20 projects.

Processor time of this process. Prints `name | figure | bound | ratio | ok/MISSED`.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from random import Random
from uuid import UUID

from dialer.domain.pacing.sharing import Party, share

SHARE_MS_BOUND = 1.0
ROUNDS = 400


def _median_ms(work: Callable[[], object]) -> float:
    spent = []
    for _ in range(ROUNDS):
        begun = time.process_time_ns()
        work()
        spent.append(time.process_time_ns() - begun)
    return sorted(spent)[ROUNDS // 2] / 1e6


def share_ms(random: Random, teams: int) -> float:
    """500 agents in so many teams, each serving one to four of 20 projects."""
    names = [UUID(int=random.getrandbits(128)) for _ in range(20)]
    serve = [frozenset(random.sample(names, random.randint(1, 4))) for _ in range(teams)]
    agents = [random.choice(serve) for _ in range(500)]
    parties = {
        name: Party(weight=random.randint(1, 5), holds=random.randint(0, 20), promised=random.randint(0, 3))
        for name in names
    }
    return _median_ms(lambda: share(Counter(agents), parties))


def main() -> None:
    for teams in (1, 12, 40):
        figure = share_ms(Random(teams), teams)
        verdict = "ok" if figure <= SHARE_MS_BOUND else "MISSED"
        name = f"share 500 ready agents in {teams} teams among 20 projects"
        print(f"{name} | {figure:.2f} ms | {SHARE_MS_BOUND:.2f} ms | {figure / SHARE_MS_BOUND:.2f} | {verdict}")


if __name__ == "__main__":
    main()
