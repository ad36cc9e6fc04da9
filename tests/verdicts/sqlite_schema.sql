-- What is there before each case: large enough that work on every row takes a while.
CREATE TABLE parent (id integer PRIMARY KEY, name text);
CREATE TABLE t (id integer PRIMARY KEY, a integer, b text, c text NOT NULL, p integer);
CREATE TABLE spare (id integer PRIMARY KEY, k integer, filler text);
CREATE INDEX t_a ON t (a);
CREATE TABLE made (id integer PRIMARY KEY, a integer, b text, c text NOT NULL, p integer);
WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < 1000) INSERT INTO parent SELECT n, 'p' FROM seq;
WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {rows})
    INSERT INTO t SELECT n, n * 7919 % {rows}, 'b' || n * 104729 % {rows}, hex(zeroblob(200)), n % 1000 + 1 FROM seq;
WITH RECURSIVE seq (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM seq WHERE n < {rows})
    INSERT INTO spare SELECT n, n, hex(zeroblob(200)) FROM seq;
