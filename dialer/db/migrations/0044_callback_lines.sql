-- Callbacks that are due are read for each agent who is ready, and once for whoever is free: each such line begins at its oldest, however many wait in the others.
create index leads_callback_lines on leads (project_id, coalesce(callback_agent_id, '00000000-0000-0000-0000-000000000000'), next_at) where state = 'callback';
