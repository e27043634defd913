-- A delay may grow with each time: 100 stays as it is, 200 doubles.
alter table retry_rules add column growth_percent integer not null default 100 check (growth_percent between 100 and 1000);
alter table dispositions add column growth_percent integer not null default 100 check (growth_percent between 100 and 1000);

-- The delay after so many earlier times; never more than thirty days, unless the first already is.
create function grown(delay interval, growth_percent integer, times_before bigint) returns interval language sql immutable strict as $$
    select case when growth_percent = 100 or times_before = 0 then delay
                else greatest(delay, least(delay * least(power(growth_percent / 100.0, least(times_before, 100)), 2592000)::double precision, interval '30 days')) end
$$;
