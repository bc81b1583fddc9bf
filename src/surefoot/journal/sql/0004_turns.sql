-- Which runs of a session hold the next, however many have ended.
CREATE INDEX IF NOT EXISTS run_turn ON run (session, tenant, user, key)
WHERE session <> '' AND status IN ('ready', 'running') AND parent = '';
