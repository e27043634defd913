-- How a carrier wants our number: its form, a prefix before it, and the headers it stands in. docs/caller-numbers.md says what goes out.
alter table caller_numbers add constraint caller_numbers_of_trunk unique (number, trunk_id);

alter table trunks
    add column caller_format text not null default 'e164' check (caller_format in ('e164', 'national', 'digits')),
    add column caller_prefix text not null default '' check (caller_prefix ~ '^[0-9]{0,8}$'),
    add column pai text not null default 'from' check (pai in ('off', 'from', 'e164')),
    add column privacy text not null default 'none' check (privacy in ('none', 'id')),
    add column domain text not null default '' check (domain ~ '^([A-Za-z0-9]([A-Za-z0-9.-]{0,251}[A-Za-z0-9])?)?$'),
    add column diversion text,          -- a number of the trunk's own pool, so that nothing else can stand there either
    add constraint trunks_prefix_before_digits check (caller_prefix = '' or caller_format <> 'e164'),
    add constraint trunks_somebody_knows_who_calls check (privacy = 'none' or pai <> 'off'),
    add constraint trunks_diversion_of_the_pool foreign key (diversion, id) references caller_numbers (number, trunk_id);
update trunks set caller_format = number_format;
