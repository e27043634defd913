-- What a project's pacing policy has learned, so that a restart at noon is no cold start. The counts of the abandonment
-- budget are not here: they are read from attempts.
create table pacing_states (
    project_id  uuid primary key references projects,
    state       jsonb not null,
    saved_at    timestamptz not null
);

-- The times of a project's agents, newest first: what the simulator plays again.
create index agent_times_project on agent_times (project_id, began_at) where state in ('talking', 'wrap_up');
