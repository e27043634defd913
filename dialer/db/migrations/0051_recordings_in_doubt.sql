-- Stored recordings whose file was found to be another than the ledger says, or was never read back: few, and looked for again and again.
create index recordings_in_doubt on recordings (attempt_id) where state = 'stored' and verified_at is null;
