-- What kind of line a lead's number is. Null: the lead is older than this, until `waihu locality relocate` has looked at it.
alter table leads add column kind text;
-- Not asked of the leads that are there: they have none.
alter table leads add constraint leads_kind_known check (kind in ('mobile', 'fixed', 'fixed_or_mobile', 'toll_free', 'other')) not valid;
