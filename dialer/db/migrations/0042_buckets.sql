-- Copies in buckets with Object Lock.
alter table archive_copies drop constraint archive_copies_kind_check;
alter table archive_copies add constraint archive_copies_kind_check check (kind in ('disc', 'folder', 's3'));
comment on column archive_copies.location is 'Of a folder''s copy: its file; of a disc: the drive that wrote it; of one in a bucket: s3://bucket/key?versionId=version.';
