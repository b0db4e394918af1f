-- files: value readings views; new: run
-- Logs live in every file, each class in its own. The payload is the last column, so that a header is read without it.
CREATE TABLE log_batches (
	stream TEXT NOT NULL,
	seq INTEGER NOT NULL,
	term INTEGER NOT NULL,
	count INTEGER NOT NULL,
	prev_hash BLOB NOT NULL,
	payload_hash BLOB NOT NULL,
	hash BLOB NOT NULL,
	written_at_us INTEGER NOT NULL,
	node TEXT NOT NULL,
	payload BLOB
) STRICT;
CREATE UNIQUE INDEX log_position ON log_batches (stream, seq);
CREATE TABLE log_guards (
	stream TEXT NOT NULL,
	key BLOB NOT NULL,
	seq INTEGER NOT NULL,
	PRIMARY KEY (stream, key)
) STRICT, WITHOUT ROWID;
-- Payloads of batches below this position are gone.
CREATE TABLE log_pruned (
	stream TEXT NOT NULL PRIMARY KEY,
	below INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
