-- Retention: how long recordings are kept, what stands above it, and the proof of everything that went.

create table retention_policies (
    name        text not null check (name ~ '^[a-z0-9-]{1,60}$'),
    version     integer not null check (version > 0),
    body        jsonb not null,
    created_at  timestamptz not null,
    created_by  text not null,
    primary key (name, version)
);
create trigger retention_policies_append_only before update or delete on retention_policies for each row execute function refuse_change();

-- A project without a row has no policy: nothing of it is deleted.
create table project_retention (
    project_id  uuid primary key references projects,
    policy      text not null,
    since       timestamptz not null,
    set_by      text not null
);

-- Of a project, or of one of its calls (which goes before the project's).
create table business_dates (
    project_id  uuid not null references projects,
    attempt_id  uuid,
    basis       text not null check (basis in ('contract_end', 'product_end', 'dispute_end')),
    day         date not null
);
create unique index business_dates_once on business_dates (project_id, basis, coalesce(attempt_id, '00000000-0000-0000-0000-000000000000'));

create table legal_holds (
    id          uuid primary key default gen_random_uuid(),
    project_id  uuid not null references projects,
    attempt_id  uuid,                  -- null: everything of the project
    reason      text not null check (length(reason) between 1 and 500),
    placed_at   timestamptz not null,
    placed_by   text not null,
    lifted_at   timestamptz,
    lifted_by   text,
    lift_reason text,
    check ((lifted_at is null) = (lifted_by is null) and (lifted_at is null) = (lift_reason is null))
);
create index legal_holds_open on legal_holds (project_id, attempt_id) where lifted_at is null;

-- `archived`: the store's file has gone, verified copies on volumes have it. `deleted`: over, lawfully.
alter table recordings drop constraint recordings_state_check;
alter table recordings add constraint recordings_state_check
    check (state in ('pending', 'stored', 'missing', 'poisoned', 'archived', 'deleted'));
alter table recordings add constraint recordings_file_known
    check (state not in ('archived', 'deleted') or (path is not null and sha256 is not null and bytes is not null));

-- One row for each file that left the store: written, with the verdict, in the transaction that decides; the file goes afterwards.
create table recording_removals (
    id             bigint generated always as identity primary key,
    recording_id   uuid not null,
    attempt_id     uuid not null,
    project_id     uuid not null,
    kind           text not null check (kind in ('released', 'expired')),
    path           text not null,
    sha256         bytea not null check (length(sha256) = 32),
    bytes          bigint not null,
    policy         text,
    policy_version integer,
    verdict        text not null,
    at             timestamptz not null,
    by             text not null,
    was            text not null check (was in ('stored', 'archived')),
    file_gone_at   timestamptz,
    withdrawn_at   timestamptz,        -- a hold came before the file had gone
    check (file_gone_at is null or withdrawn_at is null),
    foreign key (policy, policy_version) references retention_policies (name, version)
);
create index recording_removals_open on recording_removals (id) where file_gone_at is null and withdrawn_at is null;
create index recording_removals_attempt on recording_removals (attempt_id);

create function refuse_other_than_ending() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.file_gone_at is not null or old.withdrawn_at is not null
        or to_jsonb(new) - array['file_gone_at', 'withdrawn_at'] is distinct from to_jsonb(old) - array['file_gone_at', 'withdrawn_at'] then
        raise exception '% is append-only', tg_table_name using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger recording_removals_proof before update or delete on recording_removals for each row execute function refuse_other_than_ending();
