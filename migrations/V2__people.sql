-- What people choose about held mail, what waits for their confirmation, and the mail that we owe them.

-- The address that a copy goes to in place of its own: the recipient's redirect.
ALTER TABLE recipient ADD COLUMN target TEXT;

ALTER TABLE address ADD COLUMN choice TEXT NOT NULL DEFAULT 'hold'; -- hold, discard, redirect
ALTER TABLE address ADD COLUMN target TEXT;                         -- of a redirect
ALTER TABLE address ADD COLUMN chosen_at INTEGER;
ALTER TABLE address ADD COLUMN interval_days INTEGER;               -- NULL: as configured
ALTER TABLE address ADD COLUMN language TEXT;                       -- NULL: as configured
CREATE INDEX address_choice ON address (choice) WHERE choice <> 'hold';
CREATE INDEX address_target ON address (lower(target)) WHERE target IS NOT NULL;

-- A sender who has chosen something, or asked for a link.
CREATE TABLE sender (
    id         INTEGER PRIMARY KEY,
    address    TEXT    NOT NULL UNIQUE,        -- unwrapped, lower case
    choice     TEXT    NOT NULL DEFAULT 'hold',-- hold, refuse, discard
    chosen_at  INTEGER,
    generation INTEGER NOT NULL DEFAULT 0      -- raised to revoke the manage link
) STRICT;
CREATE INDEX facts_sender ON facts (sender, message);

-- A choice that takes effect when its confirm link is used.
CREATE TABLE pending (
    id      INTEGER PRIMARY KEY,
    party   TEXT    NOT NULL,                  -- sender, recipient
    subject INTEGER NOT NULL,                  -- the row in sender or address
    choice  TEXT    NOT NULL,
    target  TEXT,                              -- of a redirect
    mailed  TEXT    NOT NULL,                  -- to whom the confirm link goes
    made_at INTEGER NOT NULL,
    ends_at INTEGER NOT NULL,
    done_at INTEGER                            -- when it was used
) STRICT;
CREATE INDEX pending_subject ON pending (party, subject);

-- Mail of ours that somebody asked for and that is not written yet.
CREATE TABLE errand (
    id       INTEGER PRIMARY KEY,
    what     TEXT    NOT NULL,                 -- confirm, notice, link, manage
    subject  INTEGER NOT NULL,                 -- the row in pending, address or sender
    mailed   TEXT    NOT NULL,
    asked_by TEXT    NOT NULL,                 -- from which network address
    language TEXT,
    made_at  INTEGER NOT NULL
) STRICT;

-- What a sender asks of the operator about a held message.
CREATE TABLE request (
    message INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    comment TEXT    NOT NULL,
    asked_by TEXT   NOT NULL
) STRICT;

-- Settings that outlive a restart.
CREATE TABLE setting (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
