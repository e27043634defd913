-- Who works on what: agents by themselves and as members of a team, with a priority; what an agent must be able to; senior teams take trials.
create table teams (
    id      uuid primary key default gen_random_uuid(),
    name    text not null unique check (length(name) between 1 and 200),
    senior  boolean not null default false
);
alter table agents add column team_id uuid references teams;
create index agents_team on agents (team_id) where team_id is not null;
alter table project_agents add column priority smallint not null default 0 check (priority between 0 and 9);
alter table projects add column skills text[] not null default '{}';    -- an agent needs them all

create table project_teams (
    project_id  uuid not null references projects on delete cascade,
    team_id     uuid not null references teams on delete cascade,
    priority    smallint not null default 0 check (priority between 0 and 9),
    primary key (project_id, team_id)
);
create index project_teams_team on project_teams (team_id);

-- Who is assigned, by whatever way.
create view assignments as
select w.project_id, w.agent_id, max(w.priority) as priority
from (select project_id, agent_id, priority from project_agents
      union all
      select t.project_id, a.id, t.priority from project_teams t join agents a on a.team_id = t.team_id) w
group by w.project_id, w.agent_id;

-- And who gets its calls: with all its skills, and in a trial with sign-offs of a senior team.
create view serving as
select s.project_id, s.agent_id, s.priority
from assignments s
join projects p on p.id = s.project_id
join agents a on a.id = s.agent_id
left join teams t on t.id = a.team_id
where p.skills <@ a.skills and (not p.sign_offs or p.stage <> 'trial' or p.state not in ('running', 'paused', 'stopped') or coalesce(t.senior, false));
