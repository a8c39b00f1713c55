-- The event log: one row per commit, in the order in which they became durable.
CREATE TABLE commits (
	position  INTEGER PRIMARY KEY,
	aggregate TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	seq       INTEGER NOT NULL,
	version   INTEGER NOT NULL,
	events    TEXT    NOT NULL, -- JSON
	meta      TEXT    NOT NULL  -- JSON
);

-- Where the commits of a stream are. It lags behind: what is above the mark
-- 'index' may be missing here.
CREATE TABLE streams (
	aggregate TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	seq       INTEGER NOT NULL,
	position  INTEGER NOT NULL,
	PRIMARY KEY (aggregate, id, seq)
) WITHOUT ROWID;

-- How far each consumer has seen the log: everything up to the position. And, of
-- a task's folder, when its latest file was claimed.
CREATE TABLE marks (
	consumer TEXT    PRIMARY KEY,
	position INTEGER NOT NULL
) WITHOUT ROWID;

-- Followers, read models and publishers that have been given every stream.
CREATE TABLE known (
	consumer TEXT PRIMARY KEY
) WITHOUT ROWID;

-- Followers' places in streams.
CREATE TABLE cursors (
	follower  TEXT    NOT NULL,
	aggregate TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	next      INTEGER NOT NULL,
	PRIMARY KEY (follower, aggregate, id)
) WITHOUT ROWID;

-- Read models. A row without a view is absent, and kept for its revision.
CREATE TABLE rows (
	model   TEXT    NOT NULL,
	id      TEXT    NOT NULL,
	rev     INTEGER NOT NULL,
	view    TEXT,             -- JSON
	owner   TEXT    NOT NULL,
	at      TEXT    NOT NULL, -- JSON
	indexed TEXT,             -- JSON: what of this row is in rows_by_field
	PRIMARY KEY (model, id)
) WITHOUT ROWID;

-- Declared indexes. The field '' is the owner.
CREATE TABLE rows_by_field (
	model TEXT NOT NULL,
	field TEXT NOT NULL,
	value TEXT NOT NULL,
	id    TEXT NOT NULL,
	PRIMARY KEY (model, field, value, id)
) WITHOUT ROWID;

-- Keys that failed. Times are Unix nanoseconds, here and below.
CREATE TABLE parked (
	consumer  TEXT    NOT NULL,
	aggregate TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	error     TEXT    NOT NULL,
	since     INTEGER NOT NULL,
	last      INTEGER NOT NULL,
	attempts  INTEGER NOT NULL,
	PRIMARY KEY (consumer, aggregate, id)
) WITHOUT ROWID;

-- What is to be done later: a follower's hint with a delay, or a consumer's
-- commit that could not be dealt with at once.
CREATE TABLE later (
	number    INTEGER PRIMARY KEY,
	consumer  TEXT    NOT NULL,
	aggregate TEXT    NOT NULL,
	id        TEXT    NOT NULL,
	seq       INTEGER NOT NULL,
	since     INTEGER NOT NULL, -- when it was due at first
	due       INTEGER NOT NULL,
	attempts  INTEGER NOT NULL,
	bulk      INTEGER NOT NULL DEFAULT 0 -- by bulk work, which live work passes
);
CREATE INDEX later_by_due ON later (due);
CREATE INDEX later_by_lane ON later (bulk, due);

CREATE TABLE snapshots (
	aggregate TEXT NOT NULL,
	id        TEXT NOT NULL,
	data      BLOB NOT NULL,
	PRIMARY KEY (aggregate, id)
);

CREATE TABLE heartbeats (
	plugin TEXT    PRIMARY KEY,
	time   INTEGER NOT NULL
) WITHOUT ROWID
