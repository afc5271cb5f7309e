-- Who has tried to send what to whom from where, for the plugin greylist: and which networks have
-- shown that they come again. A row that is missing only means one more delay.

CREATE TABLE greylist (
    network   TEXT    NOT NULL,
    sender    TEXT    NOT NULL,                -- normalised; '' is the null reverse-path
    recipient TEXT    NOT NULL,
    first     INTEGER NOT NULL,
    passed    INTEGER NOT NULL DEFAULT 0,      -- 1: it came again in time
    expires   INTEGER NOT NULL,
    PRIMARY KEY (network, sender, recipient)
) STRICT, WITHOUT ROWID;

-- The order in which rows go: those that never came again, the oldest first.
CREATE INDEX greylist_goes ON greylist (passed, expires);

CREATE TABLE grey_network (
    network   TEXT    PRIMARY KEY,
    successes INTEGER NOT NULL,
    expires   INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE INDEX grey_network_goes ON grey_network (expires);
