-- A run's row holds what claims and lists need. Its other facts are in its events; its head is that of its last event.
CREATE TABLE run (
    key         INTEGER PRIMARY KEY,             -- order of creation; 0 is the stream of what happens outside runs
    id          TEXT    NOT NULL UNIQUE,
    agent       TEXT    NOT NULL,
    status      TEXT    NOT NULL,                -- ready, running, waiting, done, failed, cancelled; pruned while going
    request     TEXT    NOT NULL,                -- the caller's idempotency key
    session     TEXT    NOT NULL,
    user        TEXT    NOT NULL,
    tenant      TEXT    NOT NULL,
    parent      TEXT    NOT NULL,
    tags        TEXT    NOT NULL,                -- JSON array
    epoch       INTEGER NOT NULL DEFAULT 0,
    owner       TEXT    NOT NULL DEFAULT '',
    lease_until INTEGER NOT NULL DEFAULT 0,      -- times are Unix microseconds
    wake_at     INTEGER NOT NULL DEFAULT 0,
    claimed     INTEGER NOT NULL DEFAULT 0,      -- position of the last run.claimed
    created_at  INTEGER NOT NULL,
    ended       INTEGER NOT NULL DEFAULT 0,      -- position of its end
    ended_at    INTEGER NOT NULL DEFAULT 0
);

CREATE UNIQUE INDEX run_request ON run (tenant, user, request) WHERE request <> '';
CREATE INDEX run_session ON run (session, key) WHERE session <> '';
CREATE INDEX run_parent ON run (parent) WHERE parent <> '';
CREATE INDEX run_open ON run (status, agent) WHERE status IN ('ready', 'running', 'waiting');
CREATE INDEX run_waiting ON run (id) WHERE status = 'waiting'; -- the newest of many that wait, without sorting them

-- Positions order all streams and are never given twice: what deletes events appends one in the same transaction.
CREATE TABLE event (
    position INTEGER PRIMARY KEY,
    run      INTEGER NOT NULL,
    seq      INTEGER NOT NULL,
    epoch    INTEGER NOT NULL,
    time     INTEGER NOT NULL,
    tag      TEXT    NOT NULL,
    version  INTEGER NOT NULL,
    salt     BLOB    NOT NULL,
    body     TEXT    NOT NULL,                   -- JSON; {"$blob": digest} for a long one, {"$redacted": hash} for none
    hash     BLOB    NOT NULL
);

CREATE UNIQUE INDEX event_run ON event (run, seq);

CREATE TABLE blob (
    digest TEXT PRIMARY KEY,                     -- SHA-256, hex
    data   BLOB NOT NULL
);

-- Up to which position each table derived from events holds them.
CREATE TABLE projection (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL
);

CREATE TRIGGER event_is_kept BEFORE UPDATE ON event
WHEN NOT (
    NEW.position = OLD.position AND NEW.run = OLD.run AND NEW.seq = OLD.seq AND NEW.epoch = OLD.epoch
    AND NEW.time = OLD.time AND NEW.tag = OLD.tag AND NEW.version = OLD.version AND NEW.hash = OLD.hash
    AND NEW.salt = x'' AND NEW.body LIKE '{"$redacted":"%"}'
    AND (SELECT status FROM run WHERE key = OLD.run) IN ('done', 'failed', 'cancelled')
)
BEGIN
    SELECT RAISE(ABORT, 'an event is never changed, only redacted once its run has ended');
END;

CREATE TRIGGER event_stays BEFORE DELETE ON event
WHEN coalesce((SELECT status FROM run WHERE key = OLD.run), '') <> 'pruned'
BEGIN
    SELECT RAISE(ABORT, 'an event is never deleted, only pruned with its whole run');
END;
