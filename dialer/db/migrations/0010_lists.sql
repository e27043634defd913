-- What a list may say beyond a number and a name, and how it was read.
alter table leads
    add column other_numbers text[] not null default '{}',     -- to be tried after `number`, in this order
    add column reference text check (length(reference) between 1 and 200),      -- the client's own key for the person
    add column zone text;                                       -- of the number; null: not known
create index leads_reference on leads (reference, project_id) where reference is not null;

alter table imports
    add column format text not null default 'csv' check (format in ('csv', 'xlsx', 'xls', 'xlsb', 'ods')),
    add column encoding text not null default '',
    add column sheet text not null default '';
create index imports_same_file on imports (project_id, sha256);

-- Which column of a client's lists is what, when the headers do not say it.
create table column_mappings (
    client   text not null check (client <> ''),
    mapping  jsonb not null,
    saved_at timestamptz not null default now(),
    primary key (client, mapping)
);
