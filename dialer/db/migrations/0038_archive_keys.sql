-- The place of a recording on its volume, from which its archive key follows. Null: on a volume that was planned before there were such keys.
alter table archive_items add column number integer check (number >= 0);
