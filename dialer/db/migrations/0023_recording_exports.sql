-- Bulk exports of recordings: one person asks and says why, another one agrees, then it can be fetched for a day.
create table recording_exports (
    id            uuid primary key default gen_random_uuid(),
    project_id    uuid not null references projects,
    first_day     date not null,          -- in the project's zone
    last_day      date not null,
    dispositions  text[] not null,        -- empty: whatever the result
    pattern       text not null,
    reason        text not null check (length(reason) between 1 and 500),
    requested_by  uuid not null references users,
    requested_at  timestamptz not null,
    approved_by   uuid references users,
    approved_at   timestamptz,
    check (first_day <= last_day),
    check ((approved_by is null) = (approved_at is null)),
    check (approved_by <> requested_by)   -- two persons
);
create index recording_exports_newest on recording_exports (requested_at desc, id desc);
