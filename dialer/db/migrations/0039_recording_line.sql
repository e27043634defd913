-- What an entry of the chain says of a row covers the whole row but copies of the attempt's columns (number, disposition, note) and tags: also whose
-- the call was, its faults and figures, and the wrapped key, without which nobody hears the recording. Figures and the like are in one hash.
create or replace function recording_line(r recordings) returns text language sql immutable as $$
    select concat(r.id, '|', r.attempt_id, '|', r.project_id, '|', r.state, '|', r.reason, '|', r.path, '|', encode(r.sha256, 'hex'), '|', r.bytes, '|',
        r.duration_ms, '|', encode(r.content_sha256, 'hex'), '|', r.content_bytes, '|', r.project_key_id, '|',
        (extract(epoch from r.started_at) * 1000000)::bigint, '|', (extract(epoch from r.ended_at) * 1000000)::bigint, '|',
        (extract(epoch from r.verified_at) * 1000000)::bigint, '|', (extract(epoch from r.key_destroyed_at) * 1000000)::bigint, '|',
        encode(sha256(convert_to(concat(r.lead_id, '|', r.agent_id, '|', (extract(epoch from r.created_at) * 1000000)::bigint, '|', r.faults, '|',
            r.customer_ms, '|', r.agent_ms, '|', r.customer_first_word_ms, '|', r.agent_first_word_ms, '|', r.dead_air_ms, '|',
            r.longest_silence_ms, '|', r.talk_over_ms, '|', r.talk_overs, '|', r.longest_monologue_ms, '|',
            encode(float4send(r.customer_db), 'hex'), '|', encode(float4send(r.agent_db), 'hex'), '|',
            encode(sha256(r.wrapped_key), 'hex')), 'UTF8')), 'hex'))
$$;

-- The rows that are there say it from now on: one more entry each.
insert into recording_events (attempt_id, line) select attempt_id, recording_line(recordings) from recordings order by attempt_id;
