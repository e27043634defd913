-- The log of a project's day (项目日志): drafted from facts, finished and signed by the project manager. Each saving is a version; none is ever changed.
create table daily_logs (
    project_id  uuid not null references projects,
    day         date not null,                       -- in the project's zone
    version     integer not null check (version > 0),
    document    text not null,                       -- facts and notes as JSON, in the very bytes that were hashed
    sha256      bytea not null check (sha256 = sha256(convert_to(document, 'UTF8'))),
    signed      boolean not null,
    user_id     uuid,
    actor       text not null,
    saved_at    timestamptz not null,
    primary key (project_id, day, version)
);
create trigger daily_logs_append_only before update or delete on daily_logs for each row execute function refuse_change();
