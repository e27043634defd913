"""Who may do what, by the roles of the floor."""

from __future__ import annotations

from dialer.domain.roles import Role

EVERYBODY = frozenset(Role)
ADMINS = frozenset({Role.ADMIN})
LEADERS = frozenset({Role.TEAM_LEADER, Role.SUPERVISOR, Role.ADMIN})  # may act for any agent
DESK = LEADERS | {Role.AGENT}
PLANNERS = frozenset({Role.PROJECT_MANAGER, Role.SUPERVISOR, Role.TECHNICAL_LEAD, Role.ADMIN})
LIFE_LEADERS = frozenset(
    {Role.PROJECT_MANAGER, Role.ADMIN}
)  # signatures, stop rules; which step is whose: campaigns/life/table.py
PROJECT_READERS = EVERYBODY - {Role.PAYROLL}
SCRIPT_READERS = PROJECT_READERS - {Role.AGENT}
SCRIPT_WRITERS = PLANNERS | {Role.NETWORK, Role.QA}  # who writes drafts; publishing is the planners'
TELEPHONY = frozenset({Role.TECHNICAL_LEAD, Role.NETWORK, Role.ADMIN})  # trunks, caller numbers, devices
TELEPHONY_READERS = TELEPHONY | {Role.SUPERVISOR, Role.PROJECT_MANAGER}
STAFF = frozenset({Role.TEAM_LEADER, Role.SUPERVISOR, Role.TECHNICAL_LEAD, Role.ADMIN})  # agents and who works on what
STAFF_READERS = STAFF | {Role.PROJECT_MANAGER, Role.QA, Role.NETWORK, Role.PAYROLL, Role.GENERAL_MANAGER}
IMPORTERS = frozenset({Role.TECHNICAL_LEAD, Role.PROJECT_MANAGER, Role.ADMIN})
LEAD_READERS = frozenset(
    {Role.TEAM_LEADER, Role.SUPERVISOR, Role.PROJECT_MANAGER, Role.TECHNICAL_LEAD, Role.QA, Role.ADMIN}
)
CALL_READERS = LEAD_READERS | {Role.NETWORK, Role.AGENT}  # an agent: own calls only
LISTENERS = frozenset({Role.QA, Role.TEAM_LEADER, Role.SUPERVISOR, Role.PROJECT_MANAGER, Role.ADMIN})
EXPORTERS = LISTENERS - {Role.TEAM_LEADER}  # many recordings at once; two of them for each export
SAMPLERS = frozenset({Role.QA, Role.PROJECT_MANAGER, Role.SUPERVISOR, Role.ADMIN})  # who pulls recordings for QA
DO_NOT_CALL = frozenset(
    {Role.QA, Role.TEAM_LEADER, Role.SUPERVISOR, Role.PROJECT_MANAGER, Role.TECHNICAL_LEAD, Role.ADMIN}
)
REPORT_READERS = EVERYBODY - {Role.AGENT, Role.PAYROLL}
EXPLAIN_READERS = REPORT_READERS - {Role.GENERAL_MANAGER}
AUDITORS = frozenset({Role.ADMIN, Role.GENERAL_MANAGER})
OPERATORS = frozenset({Role.TECHNICAL_LEAD, Role.NETWORK, Role.ADMIN})
KEEPERS = frozenset({Role.TECHNICAL_LEAD, Role.ADMIN})  # retention policies, deletion, archive volumes
HOLDERS = KEEPERS | {Role.PROJECT_MANAGER}  # legal holds and business dates
KEEPING_READERS = HOLDERS | {Role.SUPERVISOR, Role.QA, Role.GENERAL_MANAGER}
