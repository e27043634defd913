-- What the recorder hears in a call, for QA to select on. Milliseconds from the answer; null where a call was not analysed.
alter table recordings
    add column customer_ms            integer check (customer_ms >= 0),           -- 0: the customer never spoke
    add column agent_ms               integer check (agent_ms >= 0),
    add column customer_first_word_ms integer,
    add column agent_first_word_ms    integer,
    add column dead_air_ms            integer,          -- silences of both sides from 3 s on
    add column longest_silence_ms     integer,
    add column talk_over_ms           integer,
    add column talk_overs             integer,
    add column longest_monologue_ms   integer,
    add column customer_db            real,             -- RMS of the voice, dB of full scale
    add column agent_db               real;

-- Apart, so that a search does not drag pictures along.
create table recording_waveforms (
    recording_id  uuid primary key references recordings on delete cascade,
    each_ms       integer not null check (each_ms > 0),
    customer      bytea not null,       -- a peak a byte, 0 to 255 of full scale
    agent         bytea not null
);
