-- Every statement of the memory, by name.

-- name: add
INSERT INTO memory (
    key, id, stream, seq, tenant, user, agent, bound, kind, author, session, time, text, plain, subject, predicate, object,
    valid_from, valid_to, expires_at, importance, untrusted, run, call
) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: is_gone
SELECT 1 FROM memory_gone WHERE id = ?;

-- name: known
SELECT 1 FROM memory WHERE id = ?;

-- name: close
UPDATE memory SET valid_to = ? WHERE id = ? AND valid_to = 0;

-- name: again
UPDATE memory SET repeats = repeats + 1 WHERE id = ?;

-- name: used
UPDATE memory SET uses = uses + 1 WHERE id = ?;

-- name: gone
INSERT INTO memory_gone (id, time, reason, by) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING;

-- name: whole
SELECT key, text, session, tenant, user, agent, bound, kind FROM memory WHERE id = ?;

-- name: of_event
SELECT id FROM memory WHERE stream = ? AND seq = ?;

-- name: of_run
SELECT id FROM memory WHERE stream = ?;

-- name: before
SELECT key, text FROM memory
WHERE session = ? AND session <> '' AND key < ? AND tenant = ? AND user = ? AND agent = ? AND bound = ? AND kind = 'episode'
ORDER BY key DESC LIMIT ?;

-- name: after
SELECT key, text FROM memory
WHERE session = ? AND session <> '' AND key > ? AND tenant = ? AND user = ? AND agent = ? AND bound = ? AND kind = 'episode'
ORDER BY key LIMIT ?;

-- name: drop
DELETE FROM memory WHERE key = ?;

-- name: drop_vector
DELETE FROM memory_vector WHERE name IN (SELECT name FROM memory_embedder) AND key = ?;

-- name: index
INSERT INTO memory_words (rowid, own, near, far, scope) VALUES (?, ?, ?, ?, ?);

-- name: unindex
INSERT INTO memory_words (memory_words, rowid, own, near, far, scope) VALUES ('delete', ?, ?, ?, ?, ?);

-- name: even
UPDATE memory_words_docsize SET sz = x'40000000' WHERE id = ?;

-- name: stretch
SELECT key, entries FROM memory_stretch WHERE session = ? AND scope = ? AND key <= ? ORDER BY key DESC LIMIT 1;

-- name: next_stretch
SELECT key FROM memory_stretch WHERE session = ? AND scope = ? AND key > ? ORDER BY key LIMIT 1;

-- name: begin_stretch
INSERT INTO memory_stretch (key, session, scope, entries) VALUES (?, ?, ?, 0);

-- name: count_stretch
UPDATE memory_stretch SET entries = entries + ? WHERE key = ?;

-- name: stretch_text
SELECT coalesce(group_concat(text, char(10)), '') FROM (
    SELECT text FROM memory
    WHERE session = ? AND session <> '' AND tenant = ? AND user = ? AND agent = ? AND bound = ? AND kind = 'episode' AND key >= ? AND key < ?
    ORDER BY key
);

-- name: index_thread
INSERT INTO memory_threads (rowid, own, scope) VALUES (?, ?, ?);

-- name: unindex_thread
INSERT INTO memory_threads (memory_threads, rowid, own, scope) VALUES ('delete', ?, ?, ?);

-- name: even_thread
UPDATE memory_threads_docsize SET sz = x'4000' WHERE id = ?;

-- name: merge_words
INSERT INTO memory_words (memory_words) VALUES ('optimize');

-- name: merge_threads
INSERT INTO memory_threads (memory_threads) VALUES ('optimize');

-- name: empty_words
INSERT INTO memory_words (memory_words) VALUES ('delete-all');

-- name: empty_threads
INSERT INTO memory_threads (memory_threads) VALUES ('delete-all');

-- name: empty_stretches
DELETE FROM memory_stretch;

-- name: empty_gone
DELETE FROM memory_gone;

-- name: empty
DELETE FROM memory;

-- name: survivors
SELECT key, id, stream, seq, tenant, user, agent, bound, kind, author, session, time, text, plain, subject, predicate, object,
    valid_from, valid_to, expires_at, importance, untrusted, run, call
FROM memory WHERE NOT EXISTS (SELECT 1 FROM event WHERE position = memory.key) ORDER BY key;

-- name: orphans
DELETE FROM memory_vector WHERE key NOT IN (SELECT key FROM memory);

-- name: match
SELECT rowid, -bm25(memory_words, 1.0, 0.5, 0.25, 0.0) FROM memory_words
WHERE memory_words MATCH ? ORDER BY bm25(memory_words, 1.0, 0.5, 0.25, 0.0) LIMIT ?;

-- The same among the rows that a question is narrowed to: only those are scored.

-- name: match_narrow
SELECT memory_words.rowid, -bm25(memory_words, 1.0, 0.5, 0.25, 0.0) FROM memory_words CROSS JOIN memory ON key = memory_words.rowid
WHERE memory_words MATCH :words AND {conditions} ORDER BY bm25(memory_words, 1.0, 0.5, 0.25, 0.0) LIMIT :most;

-- name: match_threads
SELECT rowid, -bm25(memory_threads, 1.0, 0.0) FROM memory_threads
WHERE memory_threads MATCH ? ORDER BY bm25(memory_threads, 1.0, 0.0) LIMIT ?;

-- name: frequencies
SELECT term, doc FROM memory_terms WHERE term IN (SELECT value FROM json_each(?)) AND col = 'own';

-- name: count
SELECT count(*) FROM memory;

-- name: count_scope
SELECT count(*) FROM memory WHERE tenant = ? AND user = ? AND agent = ? AND bound = ? AND kind = 'episode';

-- name: stretches_of
SELECT m.key, coalesce((
    SELECT s.key FROM memory_stretch s
    WHERE s.session = m.session AND s.scope = j.scope AND s.key <= m.key ORDER BY s.key DESC LIMIT 1
), 0)
FROM (SELECT json_extract(value, '$[0]') AS key, json_extract(value, '$[1]') AS scope FROM json_each(?)) j
JOIN memory m ON m.key = j.key;

-- name: rows
SELECT json_group_array(json_object(
    'key', key, 'stream', stream, 'seq', seq, 'repeats', repeats, 'plain', plain, 'entry', json_object(
        'id', id, 'text', text, 'scope', json_object(
            'tenant', tenant, 'user', user, 'agent', agent, 'session', bound
        ), 'kind', kind,
        'author', author, 'session', session, 'time', time, 'subject', subject, 'predicate', predicate, 'object', object,
        'valid_from', valid_from, 'valid_to', valid_to, 'expires_at', expires_at, 'importance', importance,
        'untrusted', json(CASE untrusted WHEN 0 THEN 'false' ELSE 'true' END), 'run', run, 'call', call, 'uses', uses
    )
)) FROM (SELECT * FROM memory WHERE {conditions} ORDER BY key DESC LIMIT :limit);

-- The conditions of a list, in place of {conditions}.

-- name: rows_all
TRUE

-- name: rows_keys
key IN (SELECT value FROM json_each(:keys))

-- name: rows_ids
id IN (SELECT value FROM json_each(:ids))

-- name: rows_scope
tenant = :tenant AND user = :user AND agent = :agent AND bound = :bound

-- name: rows_owner
+tenant = :tenant AND +user = :user AND +agent = :agent AND +bound = :bound

-- name: rows_kinds
kind IN (SELECT value FROM json_each(:kinds))

-- name: rows_session
session = :session

-- name: rows_without
session <> :without

-- name: rows_since
time >= :since

-- name: rows_until
time < :until

-- name: rows_subject
subject = :subject AND kind = 'fact'

-- name: rows_predicate
predicate = :predicate

-- name: rows_plain
plain = :plain

-- name: rows_open
(valid_to = 0 OR valid_to > :now) AND valid_from <= :now AND (expires_at = 0 OR expires_at > :today)

-- name: tombstones
SELECT count(*) FROM memory_gone;

-- name: oldest
SELECT id FROM memory WHERE tenant = ? AND user = ? AND agent = ? AND bound = ? AND kind = 'episode' ORDER BY key LIMIT ?;

-- name: expired
SELECT id FROM memory
WHERE expires_at > 0 AND expires_at <= ? AND +tenant = ? AND +user = ? AND +agent = ? AND +bound = ? ORDER BY expires_at LIMIT 1000;

-- name: within
SELECT key FROM memory WHERE tenant = ? AND user = ? AND agent = ? AND bound = ? AND time >= ? AND time < ? ORDER BY time DESC LIMIT ?;

-- name: stem_table
CREATE VIRTUAL TABLE stem USING fts5 (x, tokenize = 'porter unicode61 remove_diacritics 2');

-- name: stem_terms
CREATE VIRTUAL TABLE stem_terms USING fts5vocab (stem, instance);

-- name: stem_put
INSERT INTO stem (rowid, x) VALUES (?, ?);

-- name: stem_read
SELECT doc, term FROM stem_terms ORDER BY doc, offset;

-- name: stem_clear
DELETE FROM stem;

-- name: authors
WITH RECURSIVE known (author) AS (
    SELECT min(author) FROM memory WHERE tenant = :tenant AND user = :user AND agent = :agent AND bound = :bound
    UNION ALL
    SELECT (
        SELECT min(m.author) FROM memory m
        WHERE m.tenant = :tenant AND m.user = :user AND m.agent = :agent AND m.bound = :bound AND m.author > known.author
    ) FROM known WHERE known.author IS NOT NULL LIMIT 50
)
SELECT author FROM known WHERE author IS NOT NULL;

-- name: vector_state
SELECT coalesce((SELECT max(key) FROM memory_vector WHERE name = :name AND key > 0), 0),
    (SELECT count(*) FROM memory_gone), EXISTS (SELECT 1 FROM memory_vector WHERE key = 0 AND name = :name);

-- name: vector_count
SELECT count(*) FROM (SELECT 1 FROM memory_vector WHERE name = ? AND key > 0 LIMIT ?);

-- name: vector_mean
SELECT half FROM memory_vector WHERE key = 0 AND name = ?;

-- name: put_mean
INSERT INTO memory_vector (key, name, code, half, words) VALUES (0, ?, x'', ?, x'');

-- name: put_code
UPDATE memory_vector SET code = ? WHERE key = ? AND name = ?;

-- name: vectors_after
SELECT key, half FROM memory_vector WHERE name = ? AND key > ? ORDER BY key;

-- name: codes_after
SELECT key, code FROM memory_vector WHERE name = ? AND key > ? ORDER BY key;

-- name: vector_words
SELECT key, words, half FROM memory_vector WHERE key IN (SELECT value FROM json_each(?)) AND name = ?;

-- name: vector_halves
SELECT key, half FROM memory_vector WHERE key IN (SELECT value FROM json_each(?)) AND name = ?;

-- name: missing
SELECT m.key, m.text FROM memory m LEFT JOIN memory_vector v ON v.key = m.key AND v.name = ?
WHERE v.key IS NULL ORDER BY m.key LIMIT ?;

-- name: put_vector
INSERT INTO memory_vector (key, name, code, half, words)
SELECT :key, :name, :code, :half, :words
WHERE EXISTS (SELECT 1 FROM memory WHERE key = :key) AND NOT EXISTS (SELECT 1 FROM memory_vector WHERE name = :name AND key = :key);

-- name: use_embedder
INSERT INTO memory_embedder (name, used) VALUES (:name, :now) ON CONFLICT (name) DO UPDATE SET used = max(used, :now);

-- name: embedder_used
SELECT used FROM memory_embedder WHERE name = ?;

-- name: drop_unused_vectors
DELETE FROM memory_vector WHERE name IN (SELECT name FROM memory_embedder WHERE used < ?);

-- name: drop_unused_embedders
DELETE FROM memory_embedder WHERE used < ?;

-- name: scope_keys
SELECT key FROM memory WHERE {conditions};

-- name: several
SELECT count(*) FROM (
    SELECT 1 FROM (SELECT tenant, user, agent, bound FROM memory ORDER BY tenant, user, agent, bound LIMIT 1) low,
        (SELECT tenant, user, agent, bound FROM memory ORDER BY tenant DESC, user DESC, agent DESC, bound DESC LIMIT 1) high
    WHERE (low.tenant, low.user, low.agent, low.bound) <> (high.tenant, high.user, high.agent, high.bound)
);

-- name: thread_keys
SELECT session, key FROM memory
WHERE +tenant = ? AND +user = ? AND +agent = ? AND +bound = ? AND +kind = 'episode' AND session <> ''
AND session IN (SELECT value FROM json_each(?)) ORDER BY session, key;

-- name: questions
SELECT key FROM memory WHERE key IN (SELECT value FROM json_each(?)) AND rtrim(text) LIKE '%?';
