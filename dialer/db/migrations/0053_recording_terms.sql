-- PostgreSQL analyses and vacuums with an empty search path: what an index is made of must name its functions in full, or the table is never looked after.
do $do$
begin
    execute format($sql$
        create or replace function recording_terms(note text, tags text[], project_id uuid, attempt_id uuid) returns text[]
            language sql immutable parallel safe as $$
            select %1$I.pairs_of(note) || array(select 'tag ' || tag from unnest(tags) tag) || ('project ' || project_id)
                || ('week ' || %1$I.recording_week(attempt_id))
        $$
    $sql$, current_schema());
end
$do$;
