-- Preview: what a project says about leads that are shown and not dialled, and what became of each of them.
alter table projects
    add column preview_at_limit          text not null default 'give_back' check (preview_at_limit in ('give_back', 'dial')),
    add column preview_skips_per_hour    integer not null default 20 check (preview_skips_per_hour between 0 and 1000),      -- of one agent
    add column preview_skips_per_lead    integer not null default 3 check (preview_skips_per_lead between 0 and 100),        -- by all agents
    add column preview_skip_wait_s       integer not null default 300 check (preview_skip_wait_s between 0 and 604800),
    add column preview_same_agent_wait_s integer not null default 3600 check (preview_same_agent_wait_s between 0 and 604800);

-- A lead that was shown to an agent and not dialled. No key to `leads`: who skipped a lead stays known when its import is undone.
create table preview_passes (
    id          bigint generated always as identity primary key,
    project_id  uuid not null references projects,
    lead_id     bigint not null,
    agent_id    uuid not null references agents,
    how         text not null check (how in ('skipped', 'lapsed', 'left')),
    reason      text not null default '' check (length(reason) <= 200),
    at          timestamptz not null,
    check ((how = 'skipped') = (reason <> ''))
);
create index preview_passes_lead on preview_passes (lead_id, agent_id, at);
create index preview_passes_agent on preview_passes (agent_id, at);
create index preview_passes_project on preview_passes (project_id, at);
