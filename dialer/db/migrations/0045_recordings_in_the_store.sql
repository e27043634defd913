-- What lies in the store, oldest first: what may leave it is looked for there, however much has left it already.
create index recordings_stored on recordings (attempt_id) where state = 'stored';
