-- Scripts: what agents say and ask, as documents in versions; which version a project uses, and which one is on trial for a share of its calls;
-- what was answered and read on each call.
create table scripts (
    id          uuid primary key default gen_random_uuid(),
    name        text not null unique check (length(name) between 1 and 200),
    created_at  timestamptz not null
);

create table script_versions (
    script_id     uuid not null references scripts,
    version       integer not null check (version > 0),
    document      jsonb not null,          -- campaigns.scripts.document says what is in it
    changed_at    timestamptz not null,
    published_at  timestamptz,
    published     boolean generated always as (published_at is not null) stored,
    primary key (script_id, version),
    unique (script_id, version, published)
);
create unique index script_versions_one_draft on script_versions (script_id) where published_at is null;

create function refuse_change_of_published() returns trigger language plpgsql as $$
begin
    if old.published_at is not null then
        raise exception 'a published version never changes' using errcode = 'integrity_constraint_violation';
    end if;
    return case when tg_op = 'DELETE' then old else new end;
end $$;
create trigger script_versions_published before update or delete on script_versions for each row execute function refuse_change_of_published();

-- A row for each time that a project used the same versions: what was in force for any past call can be told. Only published versions: the foreign keys say so.
create table script_assignments (
    id               bigint generated always as identity primary key,
    project_id       uuid not null references projects on delete cascade,
    script_id        uuid not null,
    version          integer not null,
    trial_script_id  uuid,
    trial_version    integer,
    trial_percent    smallint check (trial_percent between 1 and 99),
    published        boolean not null default true check (published),
    began_at         timestamptz not null,
    ended_at         timestamptz check (ended_at >= began_at),
    foreign key (script_id, version, published) references script_versions (script_id, version, published),
    foreign key (trial_script_id, trial_version, published) references script_versions (script_id, version, published),
    check (num_nulls(trial_script_id, trial_version, trial_percent) in (0, 3))
);
create unique index script_assignments_one_open on script_assignments (project_id) where ended_at is null;
create index script_assignments_project on script_assignments (project_id, began_at);

-- 0 to 99, from the random end of an attempt's id; campaigns.scripts.assignments draws the same.
create function script_draw(attempt_id uuid) returns integer language sql immutable as $$
    select (('x' || right(attempt_id::text, 8))::bit(32)::bigint % 100)::integer
$$;

-- The version that a call was answered to: from its first answer or clause on.
create table script_calls (
    attempt_id  uuid primary key references attempts,
    project_id  uuid not null,
    script_id   uuid not null,
    version     integer not null,
    trial       boolean not null,
    status      text not null default 'open' check (status in ('open', 'complete', 'screened_out', 'quota_full')),
    full_cell   text,                      -- the quota that had no place left
    foreign key (script_id, version) references script_versions (script_id, version)
);
create index script_calls_version on script_calls (project_id, script_id, version, attempt_id);

create table script_answers (
    attempt_id  uuid not null references script_calls,
    name        text not null check (name ~ '^[a-z0-9_]{1,40}$'),    -- of a question or a selection list
    answer      jsonb,                     -- null: skipped
    at          timestamptz not null,
    user_id     uuid,                      -- who said so last
    changes     integer not null default 0 check (changes >= 0),
    primary key (attempt_id, name)
);

-- When a clause was read, as a place in the recording, which begins with the answer.
create table script_reads (
    attempt_id  uuid not null references script_calls,
    section     text not null check (section ~ '^[a-z0-9_]{1,40}$'),
    read_at     timestamptz not null,
    offset_ms   bigint not null check (offset_ms >= 0),
    user_id     uuid,
    primary key (attempt_id, section)
);

-- Places of quotas. `taken` is the number of rows in script_places; whoever changes a place holds the quota's row.
create table script_quotas (
    project_id  uuid not null references projects on delete cascade,
    script_id   uuid not null references scripts,
    cell        text not null,
    taken       bigint not null default 0 check (taken >= 0),
    primary key (project_id, script_id, cell)
);
create table script_places (
    attempt_id  uuid not null references script_calls,
    cell        text not null,
    project_id  uuid not null,
    script_id   uuid not null,
    kept        boolean not null,          -- its questionnaire is complete
    primary key (attempt_id, cell),
    foreign key (project_id, script_id, cell) references script_quotas
);
create index script_places_waiting on script_places (project_id, script_id, cell) where not kept;
