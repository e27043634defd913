-- Where numbers are at home. A place is there once; leads and blocks name it, and places are never taken away.
create table places (
    id       integer generated always as identity primary key,
    country  text not null,
    province text not null,
    city     text not null,
    carrier  text not null,
    zone     text not null,             -- empty: not one zone
    unique (country, province, city, carrier, zone)
);

-- Versions of prefix tables, and the numbering plan's own answers. One prefix table is in use.
create table locality_tables (
    id        integer generated always as identity primary key,
    name      text not null check (name <> ''),
    version   text not null check (version <> ''),
    sha256    bytea,
    blocks    bigint not null default 0,
    in_use    boolean not null default false,
    user_id   uuid,
    loaded_at timestamptz not null default now(),
    unique (name, version)
);
create unique index locality_tables_one_in_use on locality_tables (in_use) where in_use;

-- A block is a number without its last four digits.
create table locality_blocks (
    table_id integer not null references locality_tables on delete cascade,
    block    text not null,
    place_id integer not null references places,
    primary key (table_id, block)
);

alter table leads
    add column place_id integer,        -- of `places`; no foreign key: places are never taken away, and a list has millions of rows
    add column carrier text;            -- what the list says over the table: a ported number (携号转网)
