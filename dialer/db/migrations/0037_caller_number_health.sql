-- How the calls that showed a number went, by project and hour: what its health is judged by. A few rows for each number and hour.
create table caller_number_hours (
    caller_number text not null,
    hour          timestamptz not null,
    project_id    uuid not null references projects on delete cascade,
    calls         integer not null check (calls > 0),
    answered      integer not null check (answered between 0 and calls),
    short         integer not null check (short between 0 and answered),   -- of the answered: over within six seconds, though an agent or a message was there
    primary key (caller_number, hour, project_id)
);

create table caller_number_complaints (
    id               bigint generated always as identity primary key,
    caller_number_id uuid not null references caller_numbers,
    attempt_id       uuid unique,            -- of the call that was complained about, when that is known
    source           text not null check (source in ('result', 'carrier', 'regulator', 'customer')),
    note             text not null default '' check (length(note) <= 2000),
    user_id          uuid,
    created_at       timestamptz not null
);
create index caller_number_complaints_number on caller_number_complaints (caller_number_id, created_at);

alter table caller_numbers
    add column watched_from timestamptz not null default '-infinity',   -- what was before it does not count: it has rested for it
    add column alarm text,                                              -- what is wrong with it; null: nothing
    add column label text not null default '',                          -- what a label service says of it (号码标记)
    add column label_marks integer not null default 0 check (label_marks >= 0),
    add column labelled_at timestamptz;
