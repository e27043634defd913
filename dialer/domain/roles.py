"""Who may do what: the roles of the floor."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """A user's role; the same words as in the `users` table."""

    AGENT = "agent"
    TEAM_LEADER = "team_leader"
    SUPERVISOR = "supervisor"
    PROJECT_MANAGER = "project_manager"
    QA = "qa"
    TECHNICAL_LEAD = "technical_lead"
    NETWORK = "network"
    PAYROLL = "payroll"
    GENERAL_MANAGER = "general_manager"
    ADMIN = "admin"
