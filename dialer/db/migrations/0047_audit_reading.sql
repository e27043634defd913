-- Whoever reads the audit log asks for a person, an action or a subject, newest first: each of them by an index in that order, however long the log has grown.
drop index audit_log_subject;
create index audit_log_subject on audit_log (subject_type, subject_id, id);
create index audit_log_user on audit_log (user_id, id);
create index audit_log_action on audit_log (action, id);
