-- The ledger. Times are milliseconds since 1970, ids carry the time (see posthouse_hook::Id).
-- Forward only: a later change is a new file.

CREATE TABLE message (
    id           INTEGER PRIMARY KEY,
    received_at  INTEGER NOT NULL,
    reverse_path TEXT    NOT NULL,             -- '' is the null reverse-path
    client       TEXT,
    helo         TEXT    NOT NULL,
    size         INTEGER NOT NULL,
    eight_bit    INTEGER NOT NULL,
    dsn_allowed  INTEGER NOT NULL,
    refused      INTEGER NOT NULL,             -- the client heard a 5xx with a link
    held         INTEGER NOT NULL,             -- some copy is or was held: rows stay until the retention
    received     TEXT    NOT NULL,             -- our Received field, prepended when relayed
    generation   INTEGER NOT NULL DEFAULT 0    -- raised to revoke the item link
) STRICT;

-- Apart, so that a change of state never rewrites a body. NULL: the bytes are a spool file.
CREATE TABLE body (
    message INTEGER PRIMARY KEY,
    bytes   BLOB
) STRICT;

-- What is known of messages that were held.
CREATE TABLE facts (
    message   INTEGER PRIMARY KEY,
    identity  BLOB    NOT NULL,                -- retry identity
    sender    TEXT    NOT NULL,                -- unwrapped, lower case
    origin    TEXT    NOT NULL,
    from_text TEXT    NOT NULL,
    subject   TEXT    NOT NULL,
    date      TEXT    NOT NULL,
    judgement TEXT    NOT NULL,                -- JSON
    trail     TEXT    NOT NULL,                -- JSON
    letters   INTEGER NOT NULL                 -- whether it may cause letters
) STRICT;
CREATE INDEX facts_identity ON facts (identity);

-- WITHOUT ROWID here and below: each index is one more page to write in every commit.
CREATE TABLE recipient (
    message    INTEGER NOT NULL,
    id         INTEGER NOT NULL,
    address    TEXT    NOT NULL,               -- as the client gave it
    owner      INTEGER,                        -- the address row, for copies to filtered domains
    kind       TEXT    NOT NULL,
    state      TEXT    NOT NULL,
    filtered   INTEGER,                        -- the matrix's row, for copies that were held
    attempts   INTEGER NOT NULL DEFAULT 0,
    queued_at  INTEGER NOT NULL,               -- accepted or released: the queue time counts from here
    due_at     INTEGER,                        -- next attempt, or end of the lease; NULL while
                                               -- handed over in memory
    said       TEXT    NOT NULL DEFAULT '',
    changed_at INTEGER NOT NULL,
    PRIMARY KEY (message, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX recipient_due ON recipient (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX recipient_owner ON recipient (owner, message) WHERE owner IS NOT NULL;

CREATE TABLE address (
    id          INTEGER PRIMARY KEY,
    address     TEXT    NOT NULL UNIQUE,       -- lower case
    letters     TEXT    NOT NULL DEFAULT 'on', -- on, stopped, failed
    last_letter INTEGER,
    waiting     INTEGER,                       -- since when something new waits for a letter
    capped_at   INTEGER,                       -- since when a cap keeps its letter back
    tried_at    INTEGER,                       -- when the cap was last asked
    generation  INTEGER NOT NULL DEFAULT 0     -- raised to revoke the address and stop links
) STRICT;
CREATE INDEX address_waiting ON address (waiting) WHERE waiting IS NOT NULL;

-- Counted by the hour, for caps. WITHOUT ROWID: the key is all there is.
CREATE TABLE tally (
    key  TEXT    NOT NULL,
    hour INTEGER NOT NULL,
    n    INTEGER NOT NULL,
    PRIMARY KEY (key, hour)
) STRICT, WITHOUT ROWID;

CREATE TABLE audit (
    item    INTEGER NOT NULL,                  -- the message, or the address
    seq     INTEGER NOT NULL,                  -- counts up
    at      INTEGER NOT NULL,
    subject INTEGER NOT NULL,                  -- the recipient row, or the same as item
    event   TEXT    NOT NULL,
    state   TEXT    NOT NULL,
    who     TEXT    NOT NULL,
    detail  TEXT    NOT NULL,
    PRIMARY KEY (item, seq)
) STRICT, WITHOUT ROWID;
