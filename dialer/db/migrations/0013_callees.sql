-- What is known of a number for the rules: the calls of the last month, consent, lists it may not be called by, its zone and region.

-- Calls of the last 32 days to a number, oldest first, one place in each array for each call. One row, because only a row that is locked can be counted
-- exactly: a statement's own view of a table is older than what others have just committed.
create table callees (
    number     text primary key,
    called     timestamptz[] not null,
    projects   uuid[] not null,
    clients    text[] not null,
    answered   timestamptz[] not null,     -- null in the place of a call that nobody took
    abandoned  timestamptz[] not null,
    check (cardinality(called) between 1 and 10000 and cardinality(projects) = cardinality(called) and cardinality(clients) = cardinality(called)
           and cardinality(answered) = cardinality(called) and cardinality(abandoned) = cardinality(called))
);
insert into callees
select a.number, array_agg(a.created_at order by a.id), array_agg(a.project_id order by a.id), array_agg(p.client order by a.id),
       array_agg(a.answered_at order by a.id), array_agg(case when a.abandoned then a.answered_at end order by a.id)
from attempts a join projects p on p.id = a.project_id
where a.id >= uuid7_floor(now() - interval '32 days')
group by a.number;
drop table callee_days;

-- How many of these calls were made on a day of a zone.
create function calls_on_day(called timestamptz[], day date, zone text) returns bigint language sql stable as $$
    select count(*) from unnest(called) c where (c at time zone zone)::date = day
$$;

-- When the last of these caps that is used up will be free again; null: none is. A cap: fewer than `most` calls in the last `period_s` seconds.
create function capped_until(called timestamptz[], projects uuid[], clients text[], answered timestamptz[], abandoned timestamptz[],
                             at timestamptz, project uuid, client text, most integer[], period_s bigint[], counts text[], reach text[])
returns timestamptz language sql stable as $$
    select max(full_until) from unnest(most, period_s, counts, reach) cap (most, period_s, counts, reach)
    cross join lateral (
        select (array_agg(c.at order by c.at desc))[cap.most] + make_interval(secs => cap.period_s) as full_until
        from (select case cap.counts when 'attempts' then u.called when 'answered' then u.answered when 'abandoned' then u.abandoned end as at,
                     u.project, u.client
              from unnest(called, projects, clients, answered, abandoned) u (called, project, client, answered, abandoned)) c
        where c.at > capped_until.at - make_interval(secs => cap.period_s)
          and (cap.reach = 'everybody' or c.project = capped_until.project or (cap.reach = 'client' and c.client = capped_until.client))
    ) used
$$;

-- The prefixes of a number, +8 and +86 and so on: what a list of prefixes is looked up by, an index step each.
create function prefixes_of(number text) returns text[] language sql immutable as $$
    select array_agg(left(number, n)) from generate_series(2, length(number)) n
$$;

-- The lines of a project's packs that the claim itself asks, as columns: so that they hold whatever an engine believes.
create table project_rules (
    project_id  uuid not null references projects on delete cascade,
    rule        text not null,              -- pack@version#line
    kind        text not null check (kind in ('frequency', 'attempts', 'consent', 'blind_region')),
    modes       text[] not null,            -- none: all
    from_day    date not null,
    until_day   date not null,
    most        integer check (most > 0),
    period_s    bigint check (period_s between 1 and 2678400),
    counts      text check (counts in ('attempts', 'answered', 'abandoned')),
    reach       text check (reach in ('everybody', 'client', 'project')),
    scope       text,
    prefixes    text[],
    regions     text[],
    primary key (project_id, rule),
    check (kind <> 'frequency' or (most is not null and period_s is not null and counts is not null and reach is not null)),
    check (kind <> 'attempts' or most is not null),
    check (kind <> 'consent' or scope is not null),
    check (kind <> 'blind_region' or (prefixes is not null and regions is not null))
);

-- Who agreed to be called: for whom, about what, and what proves it. Rows are ended, never changed otherwise.
create table consents (
    id            uuid primary key default gen_random_uuid(),
    number        text not null check (number ~ '^\+[1-9][0-9]{4,17}$'),
    client        text not null default '',      -- '': whoever we call for
    scope         text not null check (scope ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    evidence      text not null check (length(evidence) between 1 and 2000),
    granted_at    timestamptz not null,
    expires_at    timestamptz check (expires_at > granted_at),
    withdrawn_at  timestamptz check (withdrawn_at >= granted_at),
    user_id       uuid,
    created_at    timestamptz not null
);
create index consents_number on consents (number, scope);

-- Do-not-call: for everybody, a client or a project; until a time; of a list that is loaded as a whole; not to be lifted before a time.
alter table do_not_call
    add column client text,                      -- null: for every client
    add column project_id uuid references projects on delete cascade,
    add column category text not null default 'own' check (category ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    add column expires_at timestamptz,
    add column guarded_until timestamptz,
    drop constraint do_not_call_pkey,
    add constraint do_not_call_one_reach check (client is null or project_id is null);
create unique index do_not_call_number on do_not_call (number, category, coalesce(client, ''), coalesce(project_id, '00000000-0000-0000-0000-000000000000'));

create table do_not_call_areas (
    kind           text not null check (kind in ('prefix', 'region')),
    value          text not null check (kind <> 'prefix' or value ~ '^\+[1-9][0-9]{0,14}$'),
    client         text,
    project_id     uuid references projects on delete cascade,
    reason         text not null,
    expires_at     timestamptz,
    user_id        uuid,
    created_at     timestamptz not null,
    check (client is null or project_id is null)
);
create unique index do_not_call_areas_value on do_not_call_areas (kind, value, coalesce(client, ''), coalesce(project_id, '00000000-0000-0000-0000-000000000000'));

create table do_not_call_lists (
    category   text primary key check (category ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    loaded_at  timestamptz not null,
    entries    bigint not null check (entries >= 0),
    source     text not null,
    user_id    uuid
);

-- Where the callee is. The claim goes through a list zone by zone, so that leads of a zone that sleeps cost nothing and hold nobody up.
alter table leads add column if not exists zone text, add column if not exists region text;
drop index leads_dialable;
create index leads_dialable on leads (project_id, priority desc, coalesce(zone, ''), next_at, id) where state in ('new', 'retry') and callback_agent_id is null;
