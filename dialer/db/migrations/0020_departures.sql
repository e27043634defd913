-- When agents are going to leave, known ahead: breaks, lunch, the end of a shift. Kept until it has come about.
create table agent_departures (
    agent_id    uuid not null references agents on delete cascade,
    at          timestamptz not null,
    wanted      text not null check (wanted in ('break', 'logged_out')),
    reason      text not null default '' check (length(reason) <= 40),
    user_id     uuid,
    created_at  timestamptz not null default now(),
    primary key (agent_id, at)
);
