-- Every statement of the store, by name. Lists go in and come out as one JSON value, because each row that is stepped
-- to gives the interpreter's lock away, and a busy event loop is slow to give it back.

-- name: last
SELECT coalesce((SELECT max(position) FROM event), 0), coalesce((SELECT max(key) FROM run), 0);

-- name: load
SELECT json_group_array(json_array(
    r.id, r.key, r.status, r.epoch, r.parent, r.owner, r.lease_until, r.wake_at, r.claimed, r.ended, r.ended_at,
    e.seq, e.time, hex(e.hash),
    r.session <> '' AND r.parent = '' AND EXISTS (
        SELECT 1 FROM run o
        WHERE o.session = r.session AND o.session <> '' AND o.key < r.key AND o.status IN ('ready', 'running')
        AND o.tenant = r.tenant AND o.user = r.user AND o.parent = ''
    ) AND NOT EXISTS (
        SELECT 1 FROM event e WHERE e.run = r.key AND e.tag = 'run.cancel_requested'
        AND e.seq > coalesce((SELECT max(seq) FROM event WHERE run = r.key AND tag = 'run.resumed'), 0)
    )
))
FROM run r JOIN event e ON e.run = r.key AND e.seq = (SELECT max(seq) FROM event WHERE run = r.key)
WHERE r.id IN (SELECT value FROM json_each(?));

-- name: load_app
SELECT seq, time, hash FROM event WHERE run = 0 ORDER BY seq DESC LIMIT 1;

-- name: known
SELECT json_group_array(json_array(r.tenant, r.user, r.request, r.id))
FROM json_each(?) j JOIN run r
ON r.tenant = json_extract(j.value, '$[0]') AND r.user = json_extract(j.value, '$[1]')
AND r.request = json_extract(j.value, '$[2]') AND r.request <> '';

-- name: append
INSERT INTO event (position, run, seq, epoch, time, tag, version, salt, body, hash) VALUES
(?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: add
INSERT INTO run (key, id, agent, status, request, session, user, tenant, parent, tags, created_at)
SELECT json_extract(value, '$[0]'), json_extract(value, '$[1]'), json_extract(value, '$[2]'),
    json_extract(value, '$[3]'), json_extract(value, '$[4]'), json_extract(value, '$[5]'), json_extract(value, '$[6]'),
    json_extract(value, '$[7]'), json_extract(value, '$[8]'), json_extract(value, '$[9]'), json_extract(value, '$[10]')
FROM json_each(?);

-- name: move
UPDATE run SET
    status = json_extract(j.value, '$[1]'), epoch = json_extract(j.value, '$[2]'),
    owner = json_extract(j.value, '$[3]'), lease_until = json_extract(j.value, '$[4]'),
    wake_at = json_extract(j.value, '$[5]'), claimed = json_extract(j.value, '$[6]'),
    ended = json_extract(j.value, '$[7]'), ended_at = json_extract(j.value, '$[8]')
FROM json_each(?) j WHERE run.key = json_extract(j.value, '$[0]');

-- name: renew
UPDATE run SET lease_until = ?
WHERE status IN ('ready', 'running', 'waiting') AND status = 'running' AND owner = ?;

-- name: release
UPDATE run SET owner = '', lease_until = 0 WHERE id = ? AND epoch = ? AND owner <> '';

-- name: save
INSERT INTO blob (digest, data) VALUES (?, ?) ON CONFLICT DO NOTHING;

-- name: key
SELECT key FROM run WHERE id = ?;

-- name: read
SELECT CAST('[' || group_concat(part) || ']' AS BLOB) FROM (
    SELECT '[' || position || ',' || seq || ',' || epoch || ',' || time || ',"' || tag || '",' || version || ',' || body || ']' AS part
    FROM event WHERE run = ? AND seq > ? ORDER BY seq LIMIT ?
);

-- name: read_all
SELECT CAST('[' || group_concat(part) || ']' AS BLOB) FROM (
    SELECT '[' || e.position || ',' || json_quote(CASE e.run WHEN 0 THEN 'app' ELSE r.id END) || ',' || e.seq || ',' || e.epoch
        || ',' || e.time || ',"' || e.tag || '",' || e.version || ',' || e.body || ']' AS part
    FROM event e LEFT JOIN run r ON r.key = e.run WHERE e.position > ? ORDER BY e.position LIMIT ?
);

-- name: read_some
SELECT CAST('[' || group_concat(part) || ']' AS BLOB) FROM (
    SELECT '[' || e.position || ',' || json_quote(CASE e.run WHEN 0 THEN 'app' ELSE r.id END) || ',' || e.seq || ',' || e.epoch
        || ',' || e.time || ',"' || e.tag || '",' || e.version || ',' || e.body || ']' AS part
    FROM event e LEFT JOIN run r ON r.key = e.run
    WHERE e.position > ? AND e.tag IN (SELECT value FROM json_each(?)) ORDER BY e.position LIMIT ?
);

-- name: blob
SELECT data FROM blob WHERE digest >= ? AND digest < ? LIMIT 2;

-- name: get
SELECT json_array(json_object(
    'id', id, 'agent', agent, 'status', status, 'key', request, 'session', session, 'user', user, 'tenant', tenant,
    'parent', parent, 'tags', CASE WHEN json_valid(tags) THEN json(tags) ELSE tags END, 'epoch', epoch, 'owner', owner, 'lease_until', lease_until,
    'wake_at', wake_at, 'created_at', created_at,
    'head', (SELECT max(seq) FROM event WHERE run = key)
)) FROM run WHERE id = ?;

-- name: find
SELECT json_group_array(json_object(
    'id', id, 'agent', agent, 'status', status, 'key', request, 'session', session, 'user', user, 'tenant', tenant,
    'parent', parent, 'tags', CASE WHEN json_valid(tags) THEN json(tags) ELSE tags END, 'epoch', epoch, 'owner', owner, 'lease_until', lease_until,
    'wake_at', wake_at, 'created_at', created_at,
    'head', (SELECT max(seq) FROM event WHERE run = key)
)) FROM (
    SELECT * FROM run r
    WHERE {conditions}
    ORDER BY {order} DESC LIMIT :limit
);

-- name: sessions
SELECT json_group_array(json_object(
    'id', s.session, 'user', s.user, 'tenant', s.tenant, 'runs', s.runs, 'open', s.open,
    'first', first.id, 'last', last.id, 'created_at', first.created_at, 'last_at', last.created_at,
    'title', coalesce((
        SELECT json_extract(e.body, '$.title')
        FROM run t JOIN event e ON e.run = t.key AND e.tag = 'session.renamed'
        WHERE t.session = s.session AND t.session <> '' AND t.user = s.user AND t.tenant = s.tenant
        AND json_extract(e.body, '$.title') IS NOT NULL
        ORDER BY e.position DESC LIMIT 1
    ), '')
)) FROM (
    SELECT session, user, tenant, max(key) AS latest, min(key) AS earliest, count(*) AS runs,
        sum(status IN ('ready', 'running', 'waiting')) AS open
    FROM (SELECT * FROM run r WHERE {conditions}) WHERE session <> '' AND parent = ''
    GROUP BY session, user, tenant ORDER BY latest DESC LIMIT :limit
) s JOIN run first ON first.key = s.earliest JOIN run last ON last.key = s.latest;

-- The conditions of a search; those it has take the place of {conditions}. A partial index is used only where its own
-- condition is repeated.

-- name: find_all
TRUE

-- name: find_agent
agent = :agent

-- name: find_session
session = :session AND session <> ''

-- name: find_no_session
session = ''

-- name: find_user
user = :user

-- name: find_tenant
tenant = :tenant

-- name: find_parent
parent = :parent AND parent <> ''

-- name: find_no_parent
parent = ''

-- name: find_key
request = :key

-- name: find_status
status IN (SELECT value FROM json_each(:status))

-- name: find_waiting
status = 'waiting'

-- name: find_open
status IN ('ready', 'running', 'waiting')

-- name: find_before
id < :before

-- name: find_after
id > :after

-- name: find_ahead_of
r.key < (SELECT key FROM run WHERE id = :ahead_of)

-- name: find_tags
NOT EXISTS (SELECT 1 FROM json_each(:tags) t WHERE t.value NOT IN (SELECT value FROM json_each(r.tags)))

-- name: find_unknown
key IN (SELECT run FROM event WHERE tag = 'tool.indeterminate')

-- name: find_text
EXISTS (
    SELECT 1 FROM event e
    WHERE e.run = r.key AND e.tag IN ('run.started', 'message.received', 'run.finished')
    AND says(e.tag, e.version, coalesce(
        (SELECT data FROM blob WHERE e.body LIKE '{"$blob":%' AND digest = substr(e.body, 11, 64)), e.body
    ), :text)
)

-- name: due
SELECT json_group_array(id) FROM (
    SELECT id FROM run r
    WHERE status IN ('ready', 'running', 'waiting') AND agent IN (SELECT value FROM json_each(:agents))
    AND (
        status = 'ready'
        OR (status = 'waiting' AND wake_at > 0 AND wake_at <= :now)
        OR (status = 'running' AND (lease_until <= :now OR owner IN (SELECT value FROM json_each(:gone))))
    )
    AND NOT (session <> '' AND parent = '' AND EXISTS (
        SELECT 1 FROM run o
        WHERE o.session = r.session AND o.session <> '' AND o.key < r.key AND o.status IN ('ready', 'running')
        AND o.tenant = r.tenant AND o.user = r.user AND o.parent = ''
    ) AND NOT EXISTS (
        SELECT 1 FROM event e WHERE e.run = r.key AND e.tag = 'run.cancel_requested'
        AND e.seq > coalesce((SELECT max(seq) FROM event WHERE run = r.key AND tag = 'run.resumed'), 0)
    ))
    ORDER BY key LIMIT :limit
);

-- name: next_due
SELECT coalesce(min(CASE status WHEN 'waiting' THEN wake_at ELSE lease_until END), 0) FROM run
WHERE status IN ('ready', 'running', 'waiting') AND status IN ('waiting', 'running') AND agent IN (SELECT value FROM json_each(:agents))
AND CASE status WHEN 'waiting' THEN wake_at ELSE lease_until END > :now;

-- name: owners
SELECT json_group_array(owner) FROM (
    SELECT DISTINCT owner FROM run
    WHERE status IN ('ready', 'running', 'waiting') AND status = 'running'
    AND agent IN (SELECT value FROM json_each(?)) AND lease_until > ?
);

-- name: parents
SELECT json_group_array(parent) FROM run WHERE id IN (SELECT value FROM json_each(?)) AND parent <> '';

-- name: body
SELECT tag, salt, body FROM event WHERE run = ? AND seq = ?;

-- name: redact
UPDATE event SET salt = x'', body = ? WHERE run = ? AND seq = ?;

-- name: holding
SELECT r.id, e.seq FROM event e JOIN run r ON r.key = e.run
WHERE r.status IN ('done', 'failed', 'cancelled') AND (:stream = '' OR r.id = :stream) AND e.salt <> x''
AND instr(coalesce(
    (SELECT data FROM blob WHERE e.body LIKE '{"$blob":%' AND digest = substr(e.body, 11, 64)), CAST(e.body AS BLOB)
), CAST(:text AS BLOB)) > 0;

-- name: redact_start
UPDATE run SET request = '', session = '', tags = '[]' WHERE key = ?;

-- name: prunable
SELECT r.key, r.id FROM run r
WHERE r.status IN (SELECT value FROM json_each(:status)) AND r.ended_at < :before
AND NOT EXISTS (SELECT 1 FROM run p WHERE p.id = r.parent AND p.status IN ('ready', 'running', 'waiting'))
AND (r.session = '' OR NOT EXISTS (
    SELECT 1 FROM run o WHERE o.session = r.session AND o.session <> '' AND o.tenant = r.tenant AND o.user = r.user
    AND o.status IN ('ready', 'running', 'waiting')
))
ORDER BY r.key;

-- name: prune_mark
UPDATE run SET status = 'pruned' WHERE key IN (SELECT value FROM json_each(?));

-- name: prune_events
DELETE FROM event WHERE run IN (SELECT value FROM json_each(?));

-- name: prune_runs
DELETE FROM run WHERE key IN (SELECT value FROM json_each(?));

-- name: bodies_of
SELECT body FROM event WHERE run IN (SELECT value FROM json_each(?));

-- name: bodies
SELECT body FROM event WHERE body GLOB '*[0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f][0-9a-f]*';

-- name: delete_blob
DELETE FROM blob WHERE digest = ?;

-- name: all_events
SELECT run, seq, epoch, time, tag, version, salt, body, hash, position FROM event INDEXED BY event_run ORDER BY run, seq;

-- name: all_runs
SELECT key, claimed, ended, json_object(
    'id', id, 'agent', agent, 'status', status, 'key', request, 'session', session, 'user', user, 'tenant', tenant,
    'parent', parent, 'tags', CASE WHEN json_valid(tags) THEN json(tags) ELSE tags END, 'epoch', epoch, 'owner', owner, 'lease_until', lease_until,
    'wake_at', wake_at, 'created_at', created_at
) FROM run ORDER BY key;

-- name: all_blobs
SELECT digest, data FROM blob;

-- name: projected
SELECT position FROM projection WHERE name = ?;

-- name: project
INSERT INTO projection (name, position) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET position = excluded.position;

-- name: schema
SELECT name, sql FROM sqlite_master WHERE sql IS NOT NULL AND name IN (
    'run', 'event', 'blob', 'projection', 'run_request', 'run_session', 'run_parent', 'run_open', 'event_run',
    'event_said', 'event_unknown', 'run_turn', 'event_is_kept', 'event_stays'
);

-- name: put_run
INSERT INTO run (
    key, id, agent, status, request, session, user, tenant, parent, tags, epoch, owner, lease_until, wake_at, claimed,
    created_at, ended, ended_at
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- name: dump
SELECT * FROM TABLE;
