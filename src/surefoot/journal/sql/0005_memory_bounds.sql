-- A memory may be bounded by a session, too; and embedders no longer replace each other's vectors.
ALTER TABLE memory ADD COLUMN bound TEXT NOT NULL DEFAULT '';

DROP INDEX memory_scope;
DROP INDEX memory_time;
DROP INDEX memory_author;
CREATE INDEX memory_scope ON memory (tenant, user, agent, bound, kind, key);
CREATE INDEX memory_time ON memory (tenant, user, agent, bound, time);
CREATE INDEX memory_author ON memory (tenant, user, agent, bound, author);

DROP INDEX memory_code;
ALTER TABLE memory_vector RENAME TO memory_vector_before;
CREATE TABLE memory_vector (
    name  TEXT    NOT NULL,
    key   INTEGER NOT NULL,
    code  BLOB    NOT NULL,
    half  BLOB    NOT NULL,
    words BLOB    NOT NULL
);
INSERT INTO memory_vector (name, key, code, half, words) SELECT name, key, code, half, words FROM memory_vector_before;
DROP TABLE memory_vector_before;
CREATE INDEX memory_code ON memory_vector (name, key, code);

-- When an embedder was last used, in Unix microseconds.
CREATE TABLE memory_embedder (
    name TEXT    PRIMARY KEY,
    used INTEGER NOT NULL
);

INSERT INTO memory_embedder (name, used) SELECT DISTINCT name, 0 FROM memory_vector;
