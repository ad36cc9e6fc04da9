-- The tables that the cases change. Each is small, and has what a rule asks for: widths, sets, keys, formats.

CREATE TABLE users (
  id VARCHAR(64) NOT NULL PRIMARY KEY,
  email VARCHAR(100) NULL,
  name VARCHAR(30) NOT NULL,
  bio TEXT,
  age INT NULL,
  score INT UNSIGNED NOT NULL DEFAULT 0,
  kind ENUM('a','b') NOT NULL DEFAULT 'a',
  tags SET('x','y') NULL,
  created DATETIME NOT NULL DEFAULT CURRENT_TIMESTAMP,
  legacy VARCHAR(50) CHARACTER SET latin1 NULL,
  plain VARCHAR(40) CHARACTER SET ascii NULL,
  code CHAR(10) NULL,
  price DECIMAL(10,2) NULL,
  n16 SMALLINT NULL,
  big VARCHAR(400) NULL,
  old3 VARCHAR(20) CHARACTER SET utf8mb3 NULL,
  mid VARCHAR(50) NULL,
  KEY idx_email (email),
  UNIQUE KEY uq_name (name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE messages (
  id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
  user_id VARCHAR(64) NOT NULL,
  body TEXT,
  room INT NULL,
  owner VARCHAR(64) NULL,
  sent DATETIME NULL,
  KEY idx_user (user_id),
  KEY idx_room (room),
  CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE words (
  id INT NOT NULL PRIMARY KEY,
  text TEXT,
  title VARCHAR(60),
  KEY k(title),
  FULLTEXT KEY ft (text)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE packed (
  id INT NOT NULL PRIMARY KEY,
  text TEXT,
  n INT
) ENGINE=InnoDB ROW_FORMAT=COMPRESSED DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE checked (
  id INT NOT NULL PRIMARY KEY,
  n INT,
  CONSTRAINT positive CHECK (n > 0)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE nopk (
  a INT NOT NULL,
  b INT NULL
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE latin (
  id INT NOT NULL PRIMARY KEY,
  name VARCHAR(40),
  n INT
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE numbers (
  id INT NOT NULL PRIMARY KEY,
  n INT
) ENGINE=InnoDB DEFAULT CHARSET=latin1;

CREATE TABLE geo (
  id INT NOT NULL PRIMARY KEY,
  g POINT NOT NULL,
  n INT NULL,
  SPATIAL KEY sg (g)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE redundant (
  id INT NOT NULL PRIMARY KEY,
  v VARCHAR(50),
  c CHAR(10)
) ENGINE=InnoDB ROW_FORMAT=REDUNDANT DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
