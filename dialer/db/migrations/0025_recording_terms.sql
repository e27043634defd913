-- One index for words, tags, projects and weeks together: what is asked for at once is intersected in the index, and only what is left is read.
create function recording_week(attempt_id uuid) returns bigint language sql immutable parallel safe as $$
    select ('x' || substr(attempt_id::text, 1, 8) || substr(attempt_id::text, 10, 4))::bit(48)::bigint / 604800000
$$;
create function recording_terms(note text, tags text[], project_id uuid, attempt_id uuid) returns text[] language sql immutable parallel safe as $$
    select pairs_of(note) || array(select 'tag ' || tag from unnest(tags) tag) || ('project ' || project_id) || ('week ' || recording_week(attempt_id))
$$;
drop index recordings_tags;
drop index recordings_note;
create index recordings_terms on recordings using gin (recording_terms(note, tags, project_id, attempt_id)) where note <> '' or tags <> '{}';

-- With the time of the answer: a project's month by figures is then found in the index alone.
drop index recordings_of_project;
create index recordings_of_project on recordings (project_id, attempt_id) include
    (started_at, state, agent_id, disposition, duration_ms, customer_ms, agent_ms, agent_first_word_ms, dead_air_ms, longest_silence_ms, talk_over_ms,
     longest_monologue_ms);
