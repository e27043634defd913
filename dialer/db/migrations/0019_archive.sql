-- Archive: volumes of recordings, their copies on discs and in folders, and where each of them is.

create sequence archive_labels;

create table archive_volumes (
    id             uuid primary key default gen_random_uuid(),
    label          text not null unique check (label ~ '^[A-Z0-9]{2,16}$'),
    project_id     uuid not null references projects,
    expiry_year    integer not null,
    medium         text not null check (medium in ('cd', 'dvd', 'dvd_dl', 'bd', 'bd_dl', 'folder')),
    state          text not null check (state in ('planned', 'frozen', 'imaged', 'protected', 'checked', 'sealed', 'void')),
    recordings     integer not null check (recordings > 0),
    bytes          bigint not null check (bytes > 0),
    copies_wanted  integer not null check (copies_wanted >= 2),
    created_at     timestamptz not null,
    created_by     text not null,
    rows_sha256    bytea check (length(rows_sha256) = 32),
    data_bytes     bigint,             -- the image without its error correction
    data_sha256    bytea check (length(data_sha256) = 32),
    image_bytes    bigint,
    image_sha256   bytea check (length(image_sha256) = 32),
    sealed_at      timestamptz,
    reason         text,               -- why it was given up
    check (state not in ('frozen', 'imaged', 'protected', 'checked', 'sealed') or rows_sha256 is not null),
    check (state not in ('imaged', 'protected', 'checked', 'sealed') or (data_sha256 is not null and data_bytes is not null)),
    check (state not in ('protected', 'checked', 'sealed') or (image_sha256 is not null and image_bytes is not null)),
    check ((state = 'sealed') = (sealed_at is not null)),
    check ((state = 'void') = (reason is not null))
);
create index archive_volumes_open on archive_volumes (label) where state not in ('sealed', 'void');

create table archive_items (
    volume_id     uuid not null references archive_volumes,
    recording_id  uuid not null,
    attempt_id    uuid not null,
    path          text not null,       -- in the store, and under data/recordings/ on the volume
    sha256        bytea not null check (length(sha256) = 32),
    bytes         bigint not null,
    void          boolean not null default false,
    primary key (volume_id, recording_id)
);
create unique index archive_items_once on archive_items (recording_id) where not void;
create index archive_items_attempt on archive_items (attempt_id);

create table archive_copies (
    id           uuid primary key default gen_random_uuid(),
    volume_id    uuid not null references archive_volumes,
    number       integer not null check (number between 1 and 99),
    state        text not null check (state in ('wanted', 'written', 'verified', 'damaged', 'lost', 'destroyed')),
    kind         text check (kind in ('disc', 'folder')),
    location     text,                 -- of a folder's copy: its file; of a disc: the drive that wrote it
    custodian    text not null default '',
    place        text not null default '',
    lent_to      text,
    written_at   timestamptz,
    verified_at  timestamptz,
    unique (volume_id, number),
    check (state = 'wanted' or (kind is not null and location is not null and written_at is not null)),
    check (state <> 'verified' or verified_at is not null)
);
create index archive_copies_verified on archive_copies (verified_at) where state = 'verified';

create table archive_copy_events (
    id       bigint generated always as identity primary key,
    copy_id  uuid not null references archive_copies,
    at       timestamptz not null,
    by       text not null,
    event    text not null check (event ~ '^[a-z_]{1,40}$'),
    detail   jsonb not null default '{}'
);
create index archive_copy_events_copy on archive_copy_events (copy_id, id);
create trigger archive_copy_events_append_only before update or delete on archive_copy_events for each row execute function refuse_change();
