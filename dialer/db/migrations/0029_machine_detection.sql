-- Whether answered calls of a project are listened to before an agent is looked for, and by what.
alter table projects add column machine_detection text not null default 'off' check (machine_detection in ('off', 'amd'));

-- When the greeting was over, as detection heard it: from there on the wait for an agent counts. Null: nobody listened.
alter table attempts add column greeted_at timestamptz;

-- The word that outcomes use.
update retry_rules r set outcome = 'machine'
where outcome = 'voicemail' and not exists (select from retry_rules m where m.project_id = r.project_id and m.outcome = 'machine');
