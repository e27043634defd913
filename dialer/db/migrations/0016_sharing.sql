-- Several projects share agents, trunks and a node: who gets how much. docs/sharing.md says by which rule.
alter table projects add column share_weight integer not null default 1 check (share_weight between 1 and 100);
alter table projects add column share_priority integer not null default 0 check (share_priority between 0 and 9);
alter table projects add column guaranteed_agents integer not null default 0 check (guaranteed_agents between 0 and 10000);

-- What one caller number and one node may carry; null: no limit of its own.
alter table caller_numbers add column max_channels integer check (max_channels > 0);
alter table caller_numbers add column max_cps numeric(6,2) check (max_cps > 0);
alter table caller_numbers add column max_per_hour integer check (max_per_hour > 0);
alter table nodes add column max_channels integer check (max_channels > 0);
alter table nodes add column max_cps numeric(6,2) check (max_cps > 0);
