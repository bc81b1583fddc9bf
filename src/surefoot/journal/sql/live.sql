-- name: create
CREATE TABLE IF NOT EXISTS watcher (
    run   TEXT    NOT NULL,
    owner TEXT    NOT NULL,
    until INTEGER NOT NULL,
    PRIMARY KEY (run, owner)
);
CREATE TABLE IF NOT EXISTS delta (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    run    TEXT    NOT NULL,
    owner  TEXT    NOT NULL,
    time   INTEGER NOT NULL,
    kind   TEXT    NOT NULL,
    text   TEXT    NOT NULL
);

-- name: watch
INSERT INTO watcher (run, owner, until) VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET until = excluded.until;

-- name: leave
DELETE FROM watcher WHERE run = ? AND owner = ?;

-- name: watched
SELECT json_group_array(run) FROM watcher WHERE owner <> ? AND until > ?;

-- name: last
SELECT coalesce(max(number), 0) FROM delta;

-- name: send
INSERT INTO delta (run, owner, time, kind, text) VALUES (?, ?, ?, ?, ?);

-- name: sent
SELECT coalesce(max(number), 0), json_group_array(json_array(run, kind, text)) FROM (
    SELECT * FROM delta
    WHERE number > ? AND owner <> ? AND run IN (SELECT value FROM json_each(?)) ORDER BY number LIMIT 1000
);

-- name: forget
DELETE FROM delta WHERE time < ?;
