-- Giving up calls that ring. 15 s is the least ring time of published rules (16 CFR 310.4(b)(4)(ii)); 0: never give up.
alter table projects add column cancel_after_s integer not null default 0 check (cancel_after_s = 0 or cancel_after_s between 15 and 120);

-- Does an outcome use up one of the attempts a project allows? A call that we gave up ourselves does not.
alter table retry_rules add column counts boolean not null default true;
insert into retry_rules (project_id, outcome, retry_after, max_times, counts)
select id, 'canceled', interval '30 minutes', 3, false from projects
on conflict do nothing;
