-- The rest of a project's abandonment contract; `abandonment_cap` is its limit, `safe_harbour` its message.
alter table projects
    add column abandonment_period text not null default 'day' check (abandonment_period in ('day', 'hours_24', 'days_30')),
    add column abandonment_at_limit text not null default 'one_to_one' check (abandonment_at_limit in ('one_to_one', 'stop')),
    add column abandonment_within_ms integer not null default 2000 check (abandonment_within_ms between 0 and 60000 and abandonment_within_ms % 100 = 0),
    add column abandonment_counts_late boolean not null default true,
    add column abandonment_counts_machines boolean not null default false,
    add column abandonment_false_machine_rate numeric(5,4) not null default 0 check (abandonment_false_machine_rate between 0 and 1);

-- Answered calls that are over, by the quarter of an hour they ended in: what every contract can be counted from, whatever its period and its zone
-- (zones differ by quarters of an hour). Written by the statement that ends an attempt, so a call is in it exactly once.
create table answered_calls (
    project_id  uuid not null references projects on delete cascade,
    quarter     timestamptz not null check (quarter = date_bin('15 minutes', quarter, '2000-01-01 00:00+00')),
    outcome     text not null,
    wait_ds     smallint not null check (wait_ds between 0 and 601),   -- tenths of a second from answer to agent, rounded up; 0: no agent
    calls       integer not null check (calls > 0),
    primary key (project_id, quarter, outcome, wait_ds)
);

-- One place says in which row an ended attempt is counted.
create function quarter_of(ended_at timestamptz) returns timestamptz language sql immutable as $$
    select date_bin('15 minutes', ended_at, '2000-01-01 00:00+00')
$$;
create function wait_ds(answered_at timestamptz, bridged_at timestamptz) returns smallint language sql immutable as $$
    select case when bridged_at is null then 0 else least(601, greatest(0, ceil(extract(epoch from bridged_at - answered_at) * 10))) end::smallint
$$;

insert into answered_calls (project_id, quarter, outcome, wait_ds, calls)
select project_id, quarter_of(ended_at), outcome, wait_ds(answered_at, bridged_at), count(*)
from attempts where state = 'ended' and answered_at is not null
group by 1, 2, 3, 4;
