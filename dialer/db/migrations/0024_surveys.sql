-- Agentless calls: a message or a survey, as data with versions; what people answered stays with the version they heard.
alter table projects
    drop constraint projects_mode_check,
    add constraint projects_mode_check check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive', 'trial', 'agentless'));
alter table attempts
    drop constraint attempts_mode_check,
    add constraint attempts_mode_check check (mode in ('manual', 'preview', 'progressive', 'ratio', 'predictive', 'trial', 'agentless'));

create table surveys (
    project_id  uuid not null references projects,
    version     integer not null check (version > 0),
    document    jsonb not null,          -- campaigns.survey says what is in it
    created_at  timestamptz not null,
    primary key (project_id, version)
);

-- Which version an answered call heard.
create table survey_calls (
    attempt_id  uuid primary key references attempts,
    project_id  uuid not null,
    version     integer not null,
    foreign key (project_id, version) references surveys
);
create index survey_calls_version on survey_calls (project_id, version, attempt_id);

-- One row for each step of a call that has an answer. A step is come to once, so a row that is written twice is there once.
create table survey_answers (
    attempt_id  uuid not null references survey_calls,
    step        text not null check (step ~ '^[a-z0-9_]{1,40}$'),
    answer      text not null check (answer ~ '^([0-9*#]?|opt_out|agent)$'),   -- empty: nothing that could be understood
    at          timestamptz not null,
    primary key (attempt_id, step)
);
