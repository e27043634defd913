"""Days on which pacing goes wrong, if it can: each with the study's setting but for one thing. Answer probability 0.20, 8 h, cap 3 %."""

from __future__ import annotations

from dialer.simulation.world import Steps, World, always

_HOUR_S = 3600.0


def hard_days(agents: int = 20) -> dict[str, World]:
    """By name."""
    usual = always(0.20)
    by_the_hour = (0.20, 0.26, 0.32, 0.26, 0.20, 0.15, 0.12, 0.17)
    return {
        "a usual day": World(agents=agents, answer=usual),
        "answers 0.20 → 0.45 → 0.20": World(
            agents=agents, answer=Steps(((0, 0.20), (3 * _HOUR_S, 0.45), (5 * _HOUR_S, 0.20)))
        ),
        "answers drift by the hour": World(
            agents=agents, answer=Steps(tuple((n * _HOUR_S, p) for n, p in enumerate(by_the_hour)))
        ),
        "leads of mixed quality": World(
            agents=agents, answer=usual, quality=(0.4, 1.6, 1.0, 0.7, 1.3), quality_block=50
        ),
        "talk doubles at noon": World(agents=agents, answer=usual, talk_factor=Steps(((0, 1.0), (4 * _HOUR_S, 2.0)))),
        "half leave within 2 min": World(agents=agents, answer=usual, leaving=(0.5, 4 * _HOUR_S, 120.0)),
        "half leave, known ahead": World(
            agents=agents, answer=usual, leaving=(0.5, 4 * _HOUR_S, 120.0), leaving_known=True
        ),
        "too few channels": World(agents=agents, answer=usual, channels=round(1.4 * agents)),
        "machines 40 %, heard after 2.5 s": World(agents=agents, answer=always(1 / 3), machines=0.4),
        "3 agents": World(agents=3, answer=usual),
        "500 agents, 2 h": World(agents=500, answer=usual, hours=2),
    }
