-- The pacer's decisions after their hour in memory: a minute of a project in a row, kept for some days.
create table pace_samples (
    project_id  uuid not null references projects on delete cascade,
    began_at    timestamptz not null,       -- of the first decision in it
    decisions   integer not null check (decisions > 0),
    placed      integer not null check (placed >= 0),
    limits      jsonb not null,             -- limit → how many of the decisions
    figures     jsonb not null,             -- name → [least, mean, most] of what was weighed
    primary key (project_id, began_at)
);
create index pace_samples_began on pace_samples (began_at);   -- what is too old is found without a scan
