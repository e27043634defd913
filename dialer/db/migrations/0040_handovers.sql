-- An export that is handed over as a volume: encrypted to this public key of the client's (age, X25519).
alter table recording_exports add column recipient text check (recipient ~ '^age1[a-z0-9]{58}$');
