-- Long-term memory, derived from the events memory.kept, memory.refused, memory.forgotten and memory.recalled.
-- An entry's key is the position of its event. Times are Unix microseconds, 0 is none.
CREATE TABLE memory (
    key        INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    stream     TEXT    NOT NULL,                -- where its event is
    seq        INTEGER NOT NULL,
    tenant     TEXT    NOT NULL,
    user       TEXT    NOT NULL,
    agent      TEXT    NOT NULL,
    kind       TEXT    NOT NULL,                -- episode, fact, core
    author     TEXT    NOT NULL,
    session    TEXT    NOT NULL,                -- the thread it was said in
    time       INTEGER NOT NULL,
    text       TEXT    NOT NULL,
    plain      TEXT    NOT NULL,                -- digest of its words, to find what repeats it
    subject    TEXT    NOT NULL,
    predicate  TEXT    NOT NULL,
    object     TEXT    NOT NULL,
    valid_from INTEGER NOT NULL,
    valid_to   INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    importance REAL    NOT NULL,
    untrusted  INTEGER NOT NULL,
    run        TEXT    NOT NULL,
    call       TEXT    NOT NULL,
    repeats    INTEGER NOT NULL DEFAULT 0,      -- how often it was said again
    uses       INTEGER NOT NULL DEFAULT 0       -- how often it was recalled
);

CREATE INDEX memory_scope ON memory (tenant, user, agent, kind, key);
CREATE INDEX memory_time ON memory (tenant, user, agent, time);
CREATE INDEX memory_thread ON memory (session, key) WHERE session <> '';
CREATE INDEX memory_plain ON memory (plain);
CREATE INDEX memory_fact ON memory (subject, predicate) WHERE kind = 'fact';
CREATE INDEX memory_event ON memory (stream, seq);

-- What is gone for good, without anything of what it said.
CREATE TABLE memory_gone (
    id     TEXT    PRIMARY KEY,
    time   INTEGER NOT NULL,
    reason TEXT    NOT NULL,
    by     TEXT    NOT NULL
);

-- A stretch of a thread, by the key of its first entry.
CREATE TABLE memory_stretch (
    key     INTEGER PRIMARY KEY,
    session TEXT    NOT NULL,
    scope   TEXT    NOT NULL,
    entries INTEGER NOT NULL
);

CREATE INDEX memory_stretch_thread ON memory_stretch (session, scope, key);

-- Full text without a second copy of it: an entry's own words, those of the turns beside it, and those of the next ones.
CREATE VIRTUAL TABLE memory_words USING fts5 (
    own, near, far, scope, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE memory_threads USING fts5 (
    own, scope, content = '', tokenize = 'porter unicode61 remove_diacritics 2'
);
CREATE VIRTUAL TABLE memory_terms USING fts5vocab (memory_words, col);

-- Sign bits (code), half precision (half) and the sign bits of the content words' vectors (words), which may come later.
CREATE TABLE memory_vector (
    key    INTEGER PRIMARY KEY,
    name   TEXT NOT NULL,
    code   BLOB NOT NULL,
    half   BLOB NOT NULL,
    words  BLOB NOT NULL
);
