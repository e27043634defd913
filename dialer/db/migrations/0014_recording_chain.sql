-- The ledger of recordings as a chain: every state a row was ever in, each entry hashed together with the one before it.

-- What of a row is evidence, as one line. The check of the ledger compares it with the row as it is.
create function recording_line(r recordings) returns text language sql immutable as $$
    select concat(r.id, '|', r.attempt_id, '|', r.project_id, '|', r.state, '|', r.reason, '|', r.path, '|', encode(r.sha256, 'hex'), '|', r.bytes, '|',
        r.duration_ms, '|', encode(r.content_sha256, 'hex'), '|', r.content_bytes, '|', r.project_key_id, '|',
        (extract(epoch from r.started_at) * 1000000)::bigint, '|', (extract(epoch from r.ended_at) * 1000000)::bigint, '|',
        (extract(epoch from r.verified_at) * 1000000)::bigint, '|', (extract(epoch from r.key_destroyed_at) * 1000000)::bigint)
$$;

create table recording_events (
    id          bigint generated always as identity primary key,
    attempt_id  uuid not null,
    at          timestamptz not null default clock_timestamp(),
    line        text not null,            -- 'removed' where the row was deleted
    position    bigint unique check (position > 0),     -- in the chain; null for the moments until it is chained
    hash        bytea check (length(hash) = 32),
    check ((position is null) = (hash is null))
);
create index recording_events_unchained on recording_events (id) where position is null;
create index recording_events_attempt on recording_events (attempt_id, id);

create function refuse_other_than_chaining() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' or old.position is not null
        or (new.id, new.attempt_id, new.at, new.line) is distinct from (old.id, old.attempt_id, old.at, old.line) then
        raise exception '% is append-only', tg_table_name using errcode = 'integrity_constraint_violation';
    end if;
    return new;
end $$;
create trigger recording_events_append_only before update or delete on recording_events for each row execute function refuse_other_than_chaining();

create function note_recording() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' then
        insert into recording_events (attempt_id, line) values (old.attempt_id, 'removed');
        return old;
    end if;
    if tg_op = 'INSERT' or recording_line(new) is distinct from recording_line(old) then
        insert into recording_events (attempt_id, line) values (new.attempt_id, recording_line(new));
    end if;
    return new;
end $$;
create trigger recordings_noted after insert or update or delete on recordings for each row execute function note_recording();

-- What is there already begins the chain.
insert into recording_events (attempt_id, line) select attempt_id, recording_line(recordings) from recordings order by attempt_id;

-- Signed now and then: who has a head that was signed once can tell whether the chain up to it was rewritten.
create table recording_heads (
    position    bigint primary key references recording_events (position),
    hash        bytea not null check (length(hash) = 32),
    at          timestamptz not null,
    master      text not null,            -- the master key that the signing key is derived from
    public_key  bytea not null check (length(public_key) = 32),
    signature   bytea not null check (length(signature) = 64)
);
create trigger recording_heads_append_only before update or delete on recording_heads for each row execute function refuse_change();
