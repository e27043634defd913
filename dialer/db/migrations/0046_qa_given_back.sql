-- What a listener gave back comes after what nobody has looked at yet, or the same recording would stand in the way for ever.
alter table qa_sample_items add column given_back_at timestamptz;
