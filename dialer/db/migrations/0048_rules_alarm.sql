-- An alarm of its own for rule packs that come to their end.
alter table project_alarms drop constraint project_alarms_kind_check;
alter table project_alarms add constraint project_alarms_kind_check check (kind in ('supply', 'complaints', 'abandonment', 'answers', 'rules'));
