-- What makes a project stop by itself; campaigns/life/stop_rules.py says how it is judged.
create table stop_rules (
    project_id        uuid not null references projects on delete cascade,
    kind              text not null check (kind in ('complaints', 'abandonment', 'answers')),
    tolerated         float8 not null check (tolerated > 0 and tolerated < 1),      -- shares, not money
    alarming          float8 not null check (alarming > 0 and alarming < 1),
    false_stop_calls  integer not null check (false_stop_calls >= 2),
    least_calls       integer not null check (least_calls >= 1),
    since             timestamptz not null,                                         -- calls from here on count for it
    primary key (project_id, kind),
    check (case when kind = 'answers' then alarming < tolerated else tolerated < alarming end)
);

-- What somebody should look at: raised once, cleared when it is over.
create table project_alarms (
    id          uuid primary key default gen_random_uuid(),
    project_id  uuid not null references projects on delete cascade,
    kind        text not null check (kind in ('supply', 'complaints', 'abandonment', 'answers')),
    raised_at   timestamptz not null,
    cleared_at  timestamptz check (cleared_at >= raised_at),
    detail      jsonb not null default '{}'
);
create unique index project_alarms_open on project_alarms (project_id, kind) where cleared_at is null;
create index project_alarms_project on project_alarms (project_id, raised_at);
