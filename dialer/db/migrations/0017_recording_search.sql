-- What recordings are looked for by, in their own row: a search reads one table. Number, result and note come from the attempt, and follow it.
alter table recordings
    add column number      text,
    add column disposition text,
    add column note        text not null default '',
    add column tags        text[] not null default '{}' check (cardinality(tags) <= 50);

update recordings r set number = a.number, disposition = a.disposition, note = coalesce(a.note, '') from attempts a where a.id = r.attempt_id;

create function fill_recording() returns trigger language plpgsql as $$
begin
    select a.number, a.disposition, coalesce(a.note, '') into new.number, new.disposition, new.note from attempts a where a.id = new.attempt_id;
    return new;
end $$;
create trigger recordings_filled before insert on recordings for each row execute function fill_recording();

create function follow_attempt() returns trigger language plpgsql as $$
begin
    update recordings set disposition = new.disposition, note = coalesce(new.note, '') where attempt_id = new.id;
    return null;
end $$;
create trigger attempts_followed after update of disposition, note on attempts for each row
    when (old.disposition is distinct from new.disposition or old.note is distinct from new.note) execute function follow_attempt();

-- Pairs of neighbouring characters: Chinese has no spaces between words, and its words have two characters. One character is a pair with nothing.
create function pairs_of(words text) returns text[] language sql immutable parallel safe as $$
    select array(select distinct substr(lower(words), i, 2) from generate_series(1, length(words) - 1) i)
$$;

-- Ids of attempts sort by time, so each of these gives its recordings newest first, from any moment on. The first carries what QA selects by.
create index recordings_of_project on recordings (project_id, attempt_id) include
    (state, agent_id, disposition, duration_ms, customer_ms, agent_ms, agent_first_word_ms, dead_air_ms, longest_silence_ms, talk_over_ms, longest_monologue_ms);
create index recordings_of_agent on recordings (agent_id, attempt_id);
create index recordings_of_number on recordings (number, attempt_id);
create index recordings_of_result on recordings (project_id, disposition, attempt_id) where disposition is not null;
create index recordings_tags on recordings using gin (tags) where tags <> '{}';
create index recordings_note on recordings using gin (pairs_of(note)) where note <> '';
drop index recordings_project;
drop index recordings_agent;
