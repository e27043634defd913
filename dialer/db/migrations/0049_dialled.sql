-- How often somebody was called in all, for the lines of packs that say how often at most. The project's own retry rules may count otherwise (`attempts`); what they do not count was dialled all the same.
alter table leads add column dialled integer not null default 0 check (dialled >= 0);
update leads l set dialled = a.calls
from (select lead_id, count(*) as calls from attempts where lead_id is not null and outcome is distinct from 'not_sent' group by lead_id) a
where l.id = a.lead_id;

-- The same for numbers that are dialled by hand and are no lead of the project.
create table dialled_numbers (
    number      text not null,
    project_id  uuid not null references projects on delete cascade,
    calls       integer not null check (calls >= 0),
    primary key (number, project_id)
);
insert into dialled_numbers
select number, project_id, count(*) from attempts where lead_id is null and outcome is distinct from 'not_sent' group by number, project_id;
