-- Pauses of a recording: card numbers and the like are not kept. The engine writes them, the recorder takes them over into its ledger.
create table recording_pauses (
    id          uuid primary key,
    attempt_id  uuid not null references attempts,
    agent_id    uuid not null references agents,
    reason      text not null check (reason in ('card_number', 'identity_number', 'other')),
    note        text not null default '' check (length(note) <= 100),
    started_at  timestamptz not null,
    ended_at    timestamptz,
    ended_by    text check (ended_by in ('agent', 'limit', 'handed_over', 'call_end', 'failed')),
    from_ms     integer not null check (from_ms >= 0),     -- in the recording, from the answer
    to_ms       integer,
    check ((ended_at is null) = (ended_by is null)),
    check ((ended_at is null) = (to_ms is null)),
    check (ended_at >= started_at and to_ms >= from_ms),
    check ((reason = 'other') = (note <> ''))
);
create unique index recording_pauses_one_open on recording_pauses (attempt_id) where ended_at is null;
create index recording_pauses_attempt on recording_pauses (attempt_id, started_at);

-- How long a recording may be paused; 0: not at all.
alter table projects add column recording_pause_limit_s integer not null default 120 check (recording_pause_limit_s between 0 and 900);

alter table recordings
    add column pauses    jsonb not null default '[]',                                   -- [{from_ms, to_ms, reason, ...}], as they were at the intake
    add column paused_ms integer not null default 0 check (paused_ms >= 0);

-- What was not recorded is evidence too. A row without a pause keeps the line it had.
create or replace function recording_line(r recordings) returns text language sql immutable as $$
    select concat(r.id, '|', r.attempt_id, '|', r.project_id, '|', r.state, '|', r.reason, '|', r.path, '|', encode(r.sha256, 'hex'), '|', r.bytes, '|',
        r.duration_ms, '|', encode(r.content_sha256, 'hex'), '|', r.content_bytes, '|', r.project_key_id, '|',
        (extract(epoch from r.started_at) * 1000000)::bigint, '|', (extract(epoch from r.ended_at) * 1000000)::bigint, '|',
        (extract(epoch from r.verified_at) * 1000000)::bigint, '|', (extract(epoch from r.key_destroyed_at) * 1000000)::bigint, '|',
        encode(sha256(convert_to(concat(r.lead_id, '|', r.agent_id, '|', (extract(epoch from r.created_at) * 1000000)::bigint, '|', r.faults, '|',
            r.customer_ms, '|', r.agent_ms, '|', r.customer_first_word_ms, '|', r.agent_first_word_ms, '|', r.dead_air_ms, '|',
            r.longest_silence_ms, '|', r.talk_over_ms, '|', r.talk_overs, '|', r.longest_monologue_ms, '|',
            encode(float4send(r.customer_db), 'hex'), '|', encode(float4send(r.agent_db), 'hex'), '|',
            encode(sha256(r.wrapped_key), 'hex')), 'UTF8')), 'hex'),
        case when r.pauses <> '[]' or r.paused_ms <> 0 then concat('|', r.paused_ms, '|', r.pauses) end)
$$;
