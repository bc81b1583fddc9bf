-- What a large memory needs to be asked quickly: its authors, what expires, and the signs of its vectors without the rest.
CREATE INDEX memory_author ON memory (tenant, user, agent, author);
CREATE INDEX memory_expiry ON memory (expires_at) WHERE expires_at > 0;
CREATE INDEX memory_code ON memory_vector (name, key, code);
