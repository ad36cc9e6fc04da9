-- What is there before each case: large enough that work on every row takes a while.
CREATE TABLE parent (id int PRIMARY KEY, name varchar(20)) CHARSET utf8mb4;
CREATE TABLE t (
    id int AUTO_INCREMENT PRIMARY KEY, a int, b varchar(20), c varchar(220) NOT NULL, p int, n decimal(10, 2), d datetime,
    e enum('x', 'y'), v varchar(300), g int AS (a + 1) VIRTUAL, KEY t_a (a), KEY t_p (p)
) CHARSET latin1;
CREATE TABLE u (id int AUTO_INCREMENT PRIMARY KEY, s varchar(30), filler varchar(220)) CHARSET utf8mb4;
CREATE TABLE spare (id int NOT NULL, k int NOT NULL, filler varchar(220)) CHARSET utf8mb4;
INSERT INTO parent SELECT seq, CONCAT('p', seq) FROM seq_1_to_1000;
INSERT INTO t (a, b, c, p, n, d, e, v) SELECT seq, CONCAT('b', seq), REPEAT('c', 200), seq MOD 1000 + 1, seq MOD 1000, '2026-01-01', 'x', 'v' FROM seq_1_to_{rows};
INSERT INTO u (s, filler) SELECT CONCAT('s', seq), REPEAT('f', 200) FROM seq_1_to_{rows};
INSERT INTO spare SELECT seq, seq, REPEAT('f', 200) FROM seq_1_to_{rows};
