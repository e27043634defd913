-- The marks in the sound of what leaves the house (docs/recordings.md): whose they are, and the files that carry them.
create table recording_marks (
    id         uuid primary key default gen_random_uuid(),
    secret     bytea not null unique check (octet_length(secret) = 32),   -- the mark follows from it
    made_at    timestamptz not null,
    user_id    uuid references users,                  -- null: on the command line
    actor      text not null,
    export_id  uuid references recording_exports,      -- null: a bundle of the command line
    project_id uuid not null references projects,
    reason     text not null
);
create index recording_marks_newest on recording_marks (made_at desc, id desc);
create trigger recording_marks_append_only before update or delete on recording_marks for each row execute function refuse_change();

create table recording_copies (
    mark_id      uuid not null references recording_marks,
    name         text not null,                        -- in the export
    recording_id uuid not null,
    sha256       bytea not null check (octet_length(sha256) = 32),        -- of the file that left
    made_at      timestamptz not null,
    primary key (mark_id, name)
);
create index recording_copies_by_hash on recording_copies (sha256);
create index recording_copies_of_recording on recording_copies (recording_id);
create trigger recording_copies_append_only before update or delete on recording_copies for each row execute function refuse_change();
