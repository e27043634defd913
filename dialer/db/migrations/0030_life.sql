-- The life of a project: trial, review, formal run, stop for correction, settlement. campaigns/life/table.py says which step leads where.
alter table projects
    drop constraint projects_state_check,
    add constraint projects_state_check check (state in ('draft', 'running', 'review', 'paused', 'stopped', 'completed', 'settled', 'archived')),
    add column stage text not null default 'formal' check (stage in ('trial', 'formal')),
    add column sign_offs boolean not null default false,          -- does it go through a trial and signatures?
    add column formal_mode text check (formal_mode <> 'trial'),   -- how it is dialled when its trial is over
    add column valid_connect_s integer not null default 15 check (valid_connect_s between 1 and 3600),   -- a conversation this long is a valid connect
    add constraint projects_review_is_of_a_trial check (state <> 'review' or stage = 'trial'),
    add constraint projects_trial_is_sampled check (stage = 'formal' or state not in ('running', 'paused', 'stopped') or mode = 'trial');

-- What a result says of the call, for figures and stop rules; null: nothing.
alter table dispositions add column meaning text check (meaning in ('conversion', 'complaint'));
update dispositions set meaning = 'conversion' where code = 'agreed';

-- Who agreed to what, and the hash of the file that proves it.
create table sign_offs (
    id               uuid primary key default gen_random_uuid(),
    project_id       uuid not null references projects,
    kind             text not null check (kind in ('trial', 'formal', 'correction', 'settlement')),
    signer           text not null check (length(signer) between 1 and 200),       -- as written on the paper
    signed_at        timestamptz not null,
    evidence_name    text not null check (length(evidence_name) between 1 and 500),
    evidence_sha256  bytea not null check (length(evidence_sha256) = 32),
    covers           bytea check (length(covers) = 32),      -- the hash of what was signed: of frozen figures
    note             text not null default '' check (length(note) <= 4000),
    user_id          uuid,
    actor            text not null,
    recorded_at      timestamptz not null,
    check (kind <> 'formal' or covers is not null)
);
create index sign_offs_project on sign_offs (project_id, recorded_at);
create trigger sign_offs_append_only before update or delete on sign_offs for each row execute function refuse_change();

-- The figures of a trial as they were when it was closed; they never change, whatever is dialled or corrected afterwards.
create table trial_figures (
    id          uuid primary key default gen_random_uuid(),
    project_id  uuid not null references projects,
    run         integer not null,
    document    text not null,                                  -- JSON, in the very bytes that were hashed
    sha256      bytea not null check (sha256 = sha256(convert_to(document, 'UTF8'))),
    frozen_at   timestamptz not null,
    unique (project_id, run)
);
create trigger trial_figures_append_only before update or delete on trial_figures for each row execute function refuse_change();

-- Every step that was taken: by whom, why, and what was found.
create table project_steps (
    id           bigint generated always as identity primary key,
    project_id   uuid not null references projects,
    step         text not null check (step in ('start', 'begin_trial', 'close_trial', 'go_formal', 'pause', 'resume', 'stop', 'lift', 'complete', 'reopen', 'settle', 'archive')),
    from_life    text not null,
    to_life      text not null check (to_life in ('draft', 'trial', 'trial_paused', 'trial_stopped', 'review', 'formal', 'paused', 'stopped', 'completed', 'settled', 'archived')),
    at           timestamptz not null,
    user_id      uuid,
    actor        text not null,
    role         text,                                           -- null: no person, a stop rule
    why          text not null default '' check (length(why) <= 4000),
    changed      text not null default '' check (length(changed) <= 4000),
    found        jsonb not null,                                 -- requirement → what was found
    sign_off_id  uuid references sign_offs,
    figures_id   uuid references trial_figures
);
create index project_steps_project on project_steps (project_id, id);
create unique index project_steps_sign_off on project_steps (sign_off_id) where sign_off_id is not null;    -- a signature is good for one step
create trigger project_steps_append_only before update or delete on project_steps for each row execute function refuse_change();
