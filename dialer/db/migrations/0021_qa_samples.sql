-- Recordings pulled for QA: what was asked for, with which seed, and who listened to what of it.
create table qa_samples (
    id          uuid primary key default gen_random_uuid(),
    name        text not null check (length(name) between 1 and 200),
    seed        text not null,
    strata      text[] not null,         -- empty: simple random sampling
    wanted      jsonb not null,          -- the search whose recordings are the population
    population  integer not null check (population >= 0),
    created_at  timestamptz not null,
    created_by  uuid
);
create index qa_samples_newest on qa_samples (created_at desc, id desc);

create table qa_sample_items (
    sample_id     uuid not null references qa_samples on delete cascade,
    recording_id  uuid not null references recordings,
    position      integer not null,
    stratum       text not null,
    drawn         integer not null check (drawn > 0),          -- its chance to be here was drawn / population
    population    integer not null check (population >= drawn),
    claimed_by    uuid,
    claimed_at    timestamptz,
    heard_by      uuid,
    heard_at      timestamptz,
    primary key (sample_id, recording_id),
    check ((claimed_by is null) = (claimed_at is null) and (heard_by is null) = (heard_at is null))
);
create unique index qa_sample_items_position on qa_sample_items (sample_id, position);
