-- Calling rules as data: versions of rule packs, which never change, and which project chose which, from when to when.

create table rule_packs (
    pack        text not null check (pack ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    version     text not null check (version ~ '^[a-z0-9][a-z0-9_.-]{0,39}$'),
    document    text not null check (length(document) <= 65536),       -- as it was given: TOML
    sha256      bytea not null check (length(sha256) = 32),
    user_id     uuid,
    created_at  timestamptz not null,
    primary key (pack, version)
);
create trigger rule_packs_append_only before update or delete on rule_packs for each row execute function refuse_change();

-- A row for each stay of a version with a project: what was in force at any past moment can be told.
create table project_rule_packs (
    project_id  uuid not null references projects on delete cascade,
    pack        text not null,
    version     text not null,
    chosen_at   timestamptz not null,
    dropped_at  timestamptz check (dropped_at >= chosen_at),
    user_id     uuid,
    foreign key (pack, version) references rule_packs,
    primary key (project_id, pack, chosen_at)
);
create unique index project_rule_packs_now on project_rule_packs (project_id, pack) where dropped_at is null;
