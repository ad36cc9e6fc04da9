-- What is there before each case. Every table has an id, so that the observer can read and write it.
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE t (
    id serial PRIMARY KEY, a int, b varchar(20), c text NOT NULL, p int, n numeric(10, 2), d timestamp, j json,
    m mood, z char(5), x timestamptz
);
CREATE TABLE spare (id int, k int NOT NULL);
CREATE TABLE child (id int PRIMARY KEY, t_id int REFERENCES t (id));
CREATE INDEX t_a ON t (a);
CREATE UNIQUE INDEX t_ready ON t (id, a);
ALTER TABLE t ADD CONSTRAINT t_later CHECK (a > -1) NOT VALID;
ALTER TABLE t ADD CONSTRAINT t_parent_later FOREIGN KEY (p) REFERENCES parent (id) NOT VALID;
INSERT INTO parent SELECT n, 'p' || n FROM generate_series(1, 300) n;
INSERT INTO t (a, b, c, p, n, d, j, m, z, x)
    SELECT n, 'b' || n, 'c' || n, n, n, '2026-01-01', '{"a": 1}', 'glad', 'z', '2026-01-01' FROM generate_series(1, 300) n;
INSERT INTO spare SELECT n, n FROM generate_series(1, 300) n;
INSERT INTO child SELECT n, n FROM generate_series(1, 300) n;
