-- Which leads a project dials, in what order. The claim only walks an index: who is left out by the filter is not in it, and the order is in it as a rank.
alter table leads
    add column held boolean not null default false,     -- outside the project's filter, or not yet judged by it
    add column rank bigint not null default 0;          -- among the leads that were never called, lower first

-- As it was, without who is held, and with the rank behind the time: of all that may be dialled at any time ('-infinity') the lowest rank goes first.
drop index leads_dialable;
create index leads_dialable on leads (project_id, priority desc, coalesce(zone, ''), next_at, rank, id)
    where state in ('new', 'retry') and callback_agent_id is null and not held;

create table supplies (
    project_id   uuid primary key references projects on delete cascade,
    filter       jsonb,                             -- null: everybody
    ordering     jsonb not null default '{}',
    retry_first  boolean not null default false,
    alarm_hours  integer not null default 4 check (alarm_hours between 0 and 1000),
    wanted       bigint not null default 1,         -- raised by every change and every import
    applied      bigint not null default 0,         -- the one that all leads were judged by
    applied_at   timestamptz,
    opened       bigint not null default 0,         -- the one by which the project may be dialled: who is left out is out of the way
    resift       boolean not null default false,    -- what the filter says changes with calls or time
    judged       bigint not null default 0,         -- how far the judging is
    to_judge     bigint not null default 0,
    matching     bigint,                            -- leads within the filter, when they were judged
    user_id      uuid,
    changed_at   timestamptz not null default now()
);
