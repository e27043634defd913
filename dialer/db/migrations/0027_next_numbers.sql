-- Several numbers of one person: those that were tried, or will not be tried any more; and the few leads that wait for their next number.
alter table leads add column former_numbers text[] not null default '{}';
create index leads_next_number on leads (id) where state in ('done', 'exhausted') and other_numbers <> '{}';

-- A supply by which the leads cannot be judged (an order by zones of which one does not exist): it waits for a change and holds nobody else up.
alter table supplies add column failed bigint, add column error text;
