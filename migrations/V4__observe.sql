-- What chains that observe would have done, and what the quarantine judged by, to be judged again.
-- `seq` counts up in the order of commits: the oldest rows are a prefix, found without a look at the
-- others.

CREATE TABLE observed (
    seq          INTEGER PRIMARY KEY,
    message      INTEGER NOT NULL,
    at           INTEGER NOT NULL,
    reverse_path TEXT    NOT NULL,             -- '' is the null reverse-path
    chain        TEXT    NOT NULL,
    plugin       TEXT    NOT NULL,
    point        TEXT    NOT NULL,
    would        TEXT    NOT NULL,             -- 'refuse 552', 'hold', 'discard'
    copies       INTEGER NOT NULL,
    recipients   TEXT    NOT NULL              -- JSON: the first few addresses
) STRICT;

-- One row a message; never its text, subject or header.
CREATE TABLE judged (
    seq     INTEGER PRIMARY KEY,
    message INTEGER NOT NULL,
    at      INTEGER NOT NULL,
    facts   TEXT    NOT NULL                   -- JSON
) STRICT;
