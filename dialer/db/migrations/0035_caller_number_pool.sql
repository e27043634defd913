-- What is known of a caller number: whose it is, what it may be shown for, where it is at home, what it may carry in a day and when it rests.
alter table caller_numbers
    add column owner text not null default '' check (length(owner) <= 200),
    add column purposes text[] not null default '{}',                   -- none: whatever the project calls for
    add column province text not null default '' check (length(province) <= 100),
    add column city text not null default '' check (length(city) <= 100),
    add column zone text not null default 'Asia/Shanghai',              -- whose days its daily cap counts
    add column certified datemultirange,                                -- the days its certificates cover; null: it never had one
    add column max_per_day integer check (max_per_day > 0),
    add column cool_after_calls integer check (cool_after_calls > 0),   -- after so many calls it is not shown for so long
    add column cool_min integer check (cool_min between 1 and 44640),
    add column rests_until timestamptz,                                 -- a rest that ends by itself; null: somebody has to end it
    -- Counted by the claim, in the row it locks, for numbers with a daily cap or a cool-down.
    add column used_on date,
    add column used_today integer not null default 0 check (used_today >= 0),
    add column used_since_cool integer not null default 0 check (used_since_cool >= 0),
    add column cools_until timestamptz,
    add constraint caller_numbers_cool_whole check ((cool_after_calls is null) = (cool_min is null)),
    add constraint caller_numbers_rests_until check (rests_until is null or state = 'resting');
alter table caller_numbers set (fillfactor = 50);                       -- so that counting stays in the page

create table caller_number_certificates (
    id               uuid primary key default gen_random_uuid(),
    caller_number_id uuid not null references caller_numbers,
    file_name        text not null check (length(file_name) between 1 and 200),
    sha256           bytea not null check (length(sha256) = 32),
    content          bytea not null check (length(content) between 1 and 5242880),
    valid_from       date not null,
    valid_until      date not null,
    user_id          uuid,
    created_at       timestamptz not null,
    withdrawn_at     timestamptz,
    withdrawn_why    text,
    check (valid_from <= valid_until),
    check ((withdrawn_at is null) = (withdrawn_why is null)),
    unique (caller_number_id, sha256, valid_from, valid_until)
);

alter table projects add column purpose text not null default '' check (purpose ~ '^([a-z0-9][a-z0-9_.-]{0,39})?$');

-- The number a person was shown last: shown again while it may be.
alter table leads add column last_caller_number text;

-- May a number be shown for a purpose on a day? What counts how often is asked where it is counted.
create function may_be_shown(n caller_numbers, purpose text, day date) returns boolean language sql immutable as $$
    select n.state = 'active' and (n.certified is null or n.certified @> day) and (n.purposes = '{}' or purpose = any (n.purposes))
$$;

-- How many more calls a number may be shown for at a moment, by its day and its cooling down; null: as many as one likes.
create function calls_left(n caller_numbers, at timestamptz) returns integer language sql stable as $$
    select case when n.cools_until > at then 0
                else least(n.cool_after_calls - n.used_since_cool,
                           n.max_per_day - case when n.used_on = (at at time zone n.zone)::date then n.used_today else 0 end) end
$$;
