-- Files of consents: which consents came with which, so that a wrong one can be taken back.
create table consent_loads (
    id          uuid primary key default gen_random_uuid(),
    file_name   text not null,
    sha256      bytea not null,
    user_id     uuid,
    created_at  timestamptz not null,
    accepted    integer not null check (accepted >= 0),
    known       integer not null check (known >= 0),
    rejected    integer not null check (rejected >= 0),
    undone_at   timestamptz
);
alter table consents add column load_id uuid references consent_loads;
create index consents_load on consents (load_id) where load_id is not null;
