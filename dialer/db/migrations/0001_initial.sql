-- The whole first schema. What must never happen is refused here, not only in the code.
-- Ids of what is dialled are UUID version 7: they sort by time, so the month partitions of `attempts` need no second key column.

-- People and access ---------------------------------------------------------------------------------------------------

create table users (
    id            uuid primary key default gen_random_uuid(),
    login         text not null,
    display_name  text not null,
    password_hash text not null,
    role          text not null check (role in ('agent', 'team_leader', 'supervisor', 'project_manager', 'qa',
                                                'technical_lead', 'network', 'payroll', 'general_manager', 'admin')),
    disabled_at   timestamptz,
    created_at    timestamptz not null default now()
);
create unique index users_login on users (lower(login));

create table sessions (
    token_hash  bytea primary key,
    user_id     uuid not null references users on delete cascade,
    csrf_hash   bytea not null,
    address     inet,
    user_agent  text,
    created_at  timestamptz not null default now(),
    seen_at     timestamptz not null default now(),
    expires_at  timestamptz not null
);
create index sessions_user on sessions (user_id);

create table api_tokens (
    id          uuid primary key default gen_random_uuid(),
    user_id     uuid not null references users on delete cascade,
    name        text not null,
    token_hash  bytea not null unique,
    created_at  timestamptz not null default now(),
    used_at     timestamptz,
    expires_at  timestamptz,
    revoked_at  timestamptz
);

create table audit_log (
    id           bigint generated always as identity primary key,
    at           timestamptz not null default now(),
    user_id      uuid,
    actor        text not null,
    address      inet,
    action       text not null,
    subject_type text not null,
    subject_id   text not null,
    detail       jsonb not null default '{}'
);
create index audit_log_subject on audit_log (subject_type, subject_id, at desc);
create index audit_log_at on audit_log (at desc);

create function refuse_change() returns trigger language plpgsql as $$
begin
    raise exception '% is append-only', tg_table_name using errcode = 'integrity_constraint_violation';
end $$;
create trigger audit_log_append_only before update or delete on audit_log for each row execute function refuse_change();

-- Nodes: one engine owns one Asterisk ---------------------------------------------------------------------------------

create table nodes (
    name         text primary key,
    holder       uuid,                 -- the engine run that holds the lease
    lease_until  timestamptz,
    control_url  text,                 -- where this engine takes commands from the web processes
    started_at   timestamptz
);

-- Projects ------------------------------------------------------------------------------------------------------------

create table trunks (
    id            uuid primary key default gen_random_uuid(),
    name          text not null unique,
    node          text not null references nodes,
    endpoint      text not null check (endpoint ~ '^[A-Za-z0-9_-]{1,64}$'),   -- PJSIP endpoint name
    max_channels  integer not null check (max_channels >= 0),
    max_cps       numeric(6,2) not null check (max_cps > 0),
    number_format text not null default 'e164' check (number_format in ('e164', 'national', 'digits')),
    enabled       boolean not null default true
);

create table caller_numbers (
    id        uuid primary key default gen_random_uuid(),
    number    text not null unique check (number ~ '^\+[1-9][0-9]{4,17}$'),
    trunk_id  uuid not null references trunks,
    state     text not null default 'active' check (state in ('active', 'resting', 'retired')),
    why       text
);

create table projects (
    id                    uuid primary key default gen_random_uuid(),
    name                  text not null unique check (length(name) between 1 and 200),
    client                text not null default '',
    state                 text not null default 'draft' check (state in ('draft', 'running', 'paused', 'completed', 'archived')),
    mode                  text not null default 'progressive' check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive')),
    ratio                 numeric(4,2) not null default 1 check (ratio between 1 and 10),
    trunk_id              uuid references trunks,
    zone                  text not null default 'Asia/Shanghai',
    window_start          time not null default '09:00',
    window_end            time not null default '20:00' check (window_end < '24:00'),   -- Python knows no 24:00
    ring_timeout_s        integer not null default 30 check (ring_timeout_s between 5 and 120),
    agent_wait_ms         integer not null default 2000 check (agent_wait_ms between 0 and 10000),
    wrap_up_limit_s       integer not null default 60 check (wrap_up_limit_s between 0 and 3600),
    preview_limit_s       integer not null default 60 check (preview_limit_s between 5 and 3600),
    abandonment_cap       numeric(5,4) not null default 0.03 check (abandonment_cap between 0 and 1),
    max_attempts          integer not null default 3 check (max_attempts between 1 and 100),
    daily_cap_per_number  integer not null default 3 check (daily_cap_per_number between 1 and 100),
    safe_harbour          text not null default 'safe-harbour' check (safe_harbour ~ '^[A-Za-z0-9_-]{1,64}$'),
    record_calls          boolean not null default true,
    mask_numbers          boolean not null default true,
    script                text not null default '',
    created_at            timestamptz not null default now(),
    check (window_start < window_end)
);

create table project_caller_numbers (
    project_id       uuid not null references projects on delete cascade,
    caller_number_id uuid not null references caller_numbers,
    primary key (project_id, caller_number_id)
);

create table dispositions (
    project_id    uuid not null references projects on delete cascade,
    code          text not null check (code ~ '^[a-z0-9_]{1,40}$'),
    label_zh      text not null,
    label_en      text not null,
    effect        text not null check (effect in ('final', 'retry', 'callback', 'do_not_call')),
    retry_after   interval check (retry_after >= interval '0'),
    position      integer not null default 0,
    primary key (project_id, code),
    check ((effect = 'retry') = (retry_after is not null))
);

-- outcome → what happens to the lead; an outcome without a row is final.
create table retry_rules (
    project_id   uuid not null references projects on delete cascade,
    outcome      text not null check (outcome ~ '^[a-z_]{1,40}$'),
    retry_after  interval not null check (retry_after >= interval '0'),
    max_times    integer not null check (max_times >= 0),
    primary key (project_id, outcome)
);

-- Agents --------------------------------------------------------------------------------------------------------------

create table agents (
    id            uuid primary key default gen_random_uuid(),
    user_id       uuid not null unique references users,
    number        text not null unique check (number ~ '^[0-9A-Za-z_-]{1,20}$'),   -- 工号
    display_name  text not null,
    skills        text[] not null default '{}',
    created_at    timestamptz not null default now()
);

create table devices (
    id           uuid primary key default gen_random_uuid(),
    agent_id     uuid not null references agents,
    node         text not null references nodes,
    kind         text not null check (kind in ('softphone', 'webrtc')),
    username     text not null unique check (username ~ '^[a-z0-9-]{3,64}$'),
    digest       text not null,        -- HA1; the secret itself is shown once and never kept
    rotated_at   timestamptz not null default now(),
    removed_at   timestamptz
);
create index devices_agent on devices (agent_id) where removed_at is null;

create table project_agents (
    project_id uuid not null references projects on delete cascade,
    agent_id   uuid not null references agents on delete cascade,
    primary key (project_id, agent_id)
);
create index project_agents_agent on project_agents (agent_id);

-- One row for each agent who is logged in; what a restarted engine adopts.
create table agent_live (
    agent_id        uuid primary key references agents,
    node            text not null references nodes,
    device_id       uuid references devices,
    state           text not null check (state in ('seating', 'break', 'ready', 'preview', 'reserved', 'talking', 'wrap_up')),
    wanted          text not null default 'break' check (wanted in ('ready', 'break', 'logged_out')),  -- where to go when the present work is done
    reason          text,
    seat_channel    text,
    attempt_id      uuid,
    since           timestamptz not null,
    logged_in_at    timestamptz not null
);

-- The facts for attendance: one row for each stay in a state, closed when left.
create table agent_times (
    id         bigint generated always as identity primary key,
    agent_id   uuid not null references agents,
    state      text not null check (state in ('seating', 'break', 'ready', 'preview', 'reserved', 'talking', 'wrap_up')),
    reason     text,
    project_id uuid,
    attempt_id uuid,
    began_at   timestamptz not null,
    ended_at   timestamptz,
    check (ended_at is null or ended_at >= began_at)
);
create unique index agent_times_one_open on agent_times (agent_id) where ended_at is null;
create unique index agent_times_agent on agent_times (agent_id, began_at);   -- a batch that is written twice is there once

-- Leads ---------------------------------------------------------------------------------------------------------------

create table imports (
    id           uuid primary key default gen_random_uuid(),
    project_id   uuid not null references projects,
    file_name    text not null,
    sha256       bytea not null,
    state        text not null default 'running' check (state in ('running', 'done', 'failed', 'undone')),
    accepted     bigint not null default 0,
    rejected     bigint not null default 0,
    reject_path  text,
    error_id     text,
    first_lead   bigint,               -- the leads lie between these two ids: undoing needs no index of its own on `leads`
    last_lead    bigint,
    user_id      uuid,
    created_at   timestamptz not null default now(),
    ended_at     timestamptz,
    check ((first_lead is null) = (last_lead is null))
);

create table leads (
    id             bigint generated always as identity primary key,
    project_id     uuid not null references projects,
    import_id      uuid references imports,
    number         text not null check (number ~ '^\+[1-9][0-9]{4,17}$'),
    name           text not null default '' check (length(name) <= 200),
    fields         jsonb not null default '{}',
    state          text not null default 'new' check (state in ('new', 'in_flight', 'retry', 'callback', 'done', 'do_not_call', 'exhausted')),
    priority       smallint not null default 0,
    next_at        timestamptz not null default '-infinity',
    attempts       integer not null default 0 check (attempts >= 0),
    last_outcome   text,
    last_attempt_at timestamptz,
    disposition    text,
    callback_agent_id uuid references agents,
    created_at     timestamptz not null default now()
);
-- The claim walks this index from the front; what is not dialable is not in it, so its cost does not grow with the table.
create index leads_dialable on leads (project_id, priority desc, next_at, id) where state in ('new', 'retry') and callback_agent_id is null;
create index leads_callbacks on leads (project_id, next_at) where state = 'callback';
create unique index leads_once_in_project on leads (number, project_id);   -- number first: do-not-call looks up by number alone

create table do_not_call (
    number      text primary key check (number ~ '^\+[1-9][0-9]{4,17}$'),
    reason      text not null,
    source      text not null,
    user_id     uuid,
    created_at  timestamptz not null default now()
);
create index do_not_call_created on do_not_call (created_at);

-- Attempts: history, by month; and the few that are alive, apart -----------------------------------------------------

create table attempts (
    id              uuid not null,               -- version 7: the partition key is the time in the id
    lead_id         bigint references leads,     -- null for a manual call to a number that is no lead
    project_id      uuid not null references projects,
    number          text not null,
    node            text not null,
    trunk_id        uuid not null,
    caller_number   text not null,
    mode            text not null check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive')),
    agent_id        uuid,
    device_id       uuid,
    state           text not null check (state in ('committed', 'originating', 'ringing', 'answered', 'bridged', 'held', 'ended')),
    created_at      timestamptz not null,
    sent_at         timestamptz,
    ringing_at      timestamptz,
    answered_at     timestamptz,
    bridged_at      timestamptz,
    ended_at        timestamptz,
    outcome         text check (outcome ~ '^[a-z_]{1,40}$'),
    hangup_cause    integer,
    abandoned       boolean not null default false,
    disposition     text,
    note            text,
    wrapped_at      timestamptz,
    primary key (id),
    check ((state = 'ended') = (ended_at is not null)),
    check ((state = 'ended') = (outcome is not null)),
    check (bridged_at is null or answered_at is not null),
    check (not abandoned or answered_at is not null)
) partition by range (id);
create index attempts_lead on attempts (lead_id, id);
create index attempts_project on attempts (project_id, id);
create index attempts_agent on attempts (agent_id, id) where agent_id is not null;

-- The lowest UUIDv7 of a moment: its first 48 bits are milliseconds since 1970.
create function uuid7_floor(at timestamptz) returns uuid language sql immutable as $$
    select (lpad(to_hex((extract(epoch from at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid
$$;

-- Makes the partition of a month. A month whose calls already lie in `attempts_elsewhere` keeps them there.
create function ensure_attempt_partition(month date) returns void language plpgsql as $$
declare
    first timestamptz := (date_trunc('month', month::timestamp)) at time zone 'UTC';
    next  timestamptz := (date_trunc('month', month::timestamp) + interval '1 month') at time zone 'UTC';
    name  text := 'attempts_' || to_char(date_trunc('month', month::timestamp), 'YYYYMM');
begin
    if to_regclass(name) is null then
        execute format('create table %I partition of attempts for values from (%L) to (%L)', name, uuid7_floor(first), uuid7_floor(next));
    end if;
exception
    when duplicate_table then null;     -- another process was faster
    when check_violation then raise warning '% is not made: its calls are in attempts_elsewhere', name;
end $$;
do $$ begin
    perform ensure_attempt_partition((now() + make_interval(months => i))::date) from generate_series(-1, 3) i;
end $$;
create table attempts_elsewhere partition of attempts default;   -- a stepped clock must not lose a call

-- At most one live attempt for a number, on however many nodes: the primary key says so.
create table live_attempts (
    number      text primary key,
    attempt_id  uuid not null unique references attempts,
    lead_id     bigint,
    project_id  uuid not null,
    node        text not null,
    created_at  timestamptz not null
);
create index live_attempts_node on live_attempts (node);
create index live_attempts_project on live_attempts (project_id);

-- How often a number was called on a day (in the project's zone); the cap is checked in the statement that counts.
create table callee_days (
    number    text not null,
    day       date not null,
    attempts  integer not null check (attempts > 0),
    primary key (number, day)
);

-- Recordings ----------------------------------------------------------------------------------------------------------

create table recordings (
    id           uuid primary key default gen_random_uuid(),
    attempt_id   uuid not null unique references attempts,
    lead_id      bigint,
    project_id   uuid not null,
    agent_id     uuid,
    state        text not null default 'pending' check (state in ('pending', 'stored', 'missing', 'poisoned')),
    reason       text,                 -- why there is none, or what is wrong with it
    path         text,                 -- relative to the store
    sha256       bytea check (length(sha256) = 32),
    bytes        bigint check (bytes > 0),
    duration_ms  bigint check (duration_ms >= 0),
    faults       jsonb not null default '[]',
    started_at   timestamptz,          -- answer
    ended_at     timestamptz,          -- hang-up
    created_at   timestamptz not null default now(),
    verified_at  timestamptz,
    check (state <> 'stored' or (path is not null and sha256 is not null and bytes is not null and duration_ms is not null)),
    check (state not in ('missing', 'poisoned') or reason is not null)
);
create index recordings_pending on recordings (created_at) where state = 'pending';
create index recordings_project on recordings (project_id, started_at);
create index recordings_agent on recordings (agent_id, started_at);
