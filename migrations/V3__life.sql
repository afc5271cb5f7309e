-- The life of a held item: how much room it takes, what scanners learn of it, and samples of spam
-- that was not held.

-- Messages of which a copy is held: what the bounds on size and share are reckoned by, apart from
-- the wide rows, so that a look at all of it is cheap.
CREATE TABLE keeping (
    message INTEGER PRIMARY KEY,
    sender  TEXT    NOT NULL,              -- unwrapped, lower case; '' is the null reverse-path
    size    INTEGER NOT NULL               -- octets
) STRICT;
CREATE INDEX keeping_sender ON keeping (sender, message, size);
INSERT INTO keeping (message, sender, size)
    SELECT m.id, coalesce(f.sender, lower(m.reverse_path)), m.size
    FROM message m LEFT JOIN facts f ON f.message = m.id
    WHERE m.held AND EXISTS (
        SELECT 1 FROM recipient r WHERE r.message = m.id AND r.state = 'held');

-- What scanners are still to be told. The bytes stay for as long.
CREATE TABLE feedback (
    message INTEGER PRIMARY KEY,
    lesson  TEXT    NOT NULL,              -- ham, spam
    tries   INTEGER NOT NULL DEFAULT 0,
    due_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX feedback_due ON feedback (due_at);

-- One in so many of the messages that were spam and not held.
CREATE TABLE sample (
    id        INTEGER PRIMARY KEY,         -- the transaction's
    at        INTEGER NOT NULL,
    sender    TEXT    NOT NULL,            -- unwrapped, lower case
    size      INTEGER NOT NULL,            -- octets of the whole message
    kept      INTEGER NOT NULL,            -- octets of `bytes`
    judgement TEXT    NOT NULL,            -- JSON
    bytes     BLOB    NOT NULL             -- the message's first octets
) STRICT;
CREATE INDEX sample_kept ON sample (id, kept);

-- Copies that were on their way when their address was erased: their rows go when they are done.
CREATE TABLE erasure (
    message   INTEGER NOT NULL,
    recipient INTEGER NOT NULL,
    PRIMARY KEY (message, recipient)
) STRICT, WITHOUT ROWID;
