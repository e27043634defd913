-- Keys of sealed recordings: each wrapped under the one above it. The master keys are in a file of the installation, never here.
create table recording_project_keys (
    id           uuid primary key,
    project_id   uuid not null references projects,
    master       text not null,           -- name of the master key that wraps it
    wrapped      bytea,                   -- null: destroyed, and with it everything sealed under it
    created_at   timestamptz not null,
    retired_at   timestamptz              -- opens what it has sealed, seals nothing new
);
create unique index recording_project_keys_current on recording_project_keys (project_id) where retired_at is null;

-- `sha256` and `bytes` are those of the file as it lies in the store, sealed or not: a check needs no key.
alter table recordings
    add column project_key_id   uuid references recording_project_keys,   -- null: the file is not sealed
    add column wrapped_key      bytea,                                    -- null with a project key: destroyed
    add column key_destroyed_at timestamptz,
    add column content_sha256   bytea check (length(content_sha256) = 32),   -- of the sound inside
    add column content_bytes    bigint check (content_bytes > 0),
    add constraint recordings_sealed check (
        state <> 'stored' or project_key_id is null
        or (content_sha256 is not null and content_bytes is not null and (wrapped_key is null) = (key_destroyed_at is not null))
    );
