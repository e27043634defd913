-- The assisted trial: progressive dialling until the sample is full. The sample is counted in the project's own row, which a claim
-- changes, so two engines cannot both take the last place.
alter table projects
    drop constraint projects_mode_check,
    add constraint projects_mode_check check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive', 'trial')),
    add column trial_size     integer not null default 100 check (trial_size between 1 and 1000000),
    add column trial_counts   text not null default 'attempted' check (trial_counts in ('attempted', 'reached')),
    add column trial_run      integer not null default 1,             -- which sample: a new one begins empty
    add column trial_began_at timestamptz not null default now(),
    add column trial_taken    integer not null default 0 check (trial_taken >= 0);   -- leads of this sample, with those that are being called
alter table attempts
    drop constraint attempts_mode_check,
    add constraint attempts_mode_check check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive', 'trial'));

-- Which leads are in a sample. `kept`: for good; else the place is given back when the call ends without what the trial counts.
create table trial_leads (
    project_id  uuid not null references projects,
    run         integer not null,
    lead_id     bigint not null,
    kept        boolean not null default false,
    primary key (project_id, run, lead_id)
);
