-- Simulations that people asked for over the API: what was asked, how far it is, what came of it.
create table simulations (
    id          uuid primary key default gen_random_uuid(),
    project_id  uuid not null references projects on delete cascade,
    state       text not null default 'running' check (state in ('running', 'done', 'failed', 'canceled')),
    wanted      jsonb not null,
    done        integer not null default 0 check (done between 0 and total),    -- days played
    total       integer not null check (total > 0),
    result      jsonb,
    picture     text,                                                           -- SVG
    error_id    text,
    user_id     uuid,
    created_at  timestamptz not null,
    seen_at     timestamptz not null default now(),                             -- the process that runs it was alive then, by the database's clock
    ended_at    timestamptz,
    check ((state = 'done') = (result is not null and picture is not null)),
    check ((state = 'failed') = (error_id is not null)),
    check ((state = 'running') = (ended_at is null))
);
create index simulations_project on simulations (project_id, created_at, id);
create index simulations_running on simulations (seen_at) where state = 'running';
