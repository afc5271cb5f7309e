//! The hook points: one table, from which the docs and `posthouse chain --hooks` are made.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A step at which plugins are asked or told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HookPoint {
    /// A client has connected.
    Connect,
    /// HELO or EHLO.
    Helo,
    /// AUTH succeeded at the protocol.
    Auth,
    /// MAIL.
    Mail,
    /// RCPT.
    Rcpt,
    /// The header section is complete.
    Headers,
    /// The whole message is there.
    Data,
    /// The last word before the commit.
    Queue,
    /// It is decided what the transaction comes to.
    Settled,
    /// The transaction is dropped.
    Reset,
    /// The session is over.
    Disconnect,
}

/// How plugins hear of a hook point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    /// An answer is wanted.
    Asked,
    /// No answer is wanted: nothing that a plugin does can stop it.
    Told,
}

impl fmt::Display for Manner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Asked => "asked",
            Self::Told => "told",
        })
    }
}

/// What one line of the table says.
#[derive(Debug, Clone, Copy)]
pub struct HookRow {
    /// The hook point.
    pub point: HookPoint,
    /// Its name in trails and docs.
    pub name: &'static str,
    /// Whether an answer is wanted.
    pub manner: Manner,
    /// When it comes.
    pub when: &'static str,
    /// What happens if every plugin passes.
    pub unanswered: &'static str,
    /// What Accept means.
    pub accept: &'static str,
    /// What Refuse means.
    pub refuse: &'static str,
}

const fn asked(
    point: HookPoint,
    name: &'static str,
    when: &'static str,
    [unanswered, accept, refuse]: [&'static str; 3],
) -> HookRow {
    HookRow {
        point,
        name,
        manner: Manner::Asked,
        when,
        unanswered,
        accept,
        refuse,
    }
}

const fn told(point: HookPoint, name: &'static str, when: &'static str) -> HookRow {
    HookRow {
        point,
        name,
        manner: Manner::Told,
        when,
        unanswered: "-",
        accept: "-",
        refuse: "-",
    }
}

/// Every hook point, in the order in which a session meets them.
pub const HOOK_POINTS: [HookRow; 11] = [
    asked(
        HookPoint::Connect,
        "connect",
        "a client has connected, before the greeting",
        [
            "go on",
            "go on, ask no more",
            "the refusal instead of the greeting, then close",
        ],
    ),
    asked(
        HookPoint::Helo,
        "helo",
        "HELO or EHLO with a well-formed name",
        ["go on", "go on, ask no more", "the refusal"],
    ),
    asked(
        HookPoint::Auth,
        "auth",
        "the client's credentials were presented",
        [
            "go on",
            "go on, ask no more",
            "the refusal; the client stays unauthenticated",
        ],
    ),
    asked(
        HookPoint::Mail,
        "mail",
        "MAIL with a well-formed reverse-path",
        [
            "go on",
            "go on, ask no more",
            "the refusal; no transaction begins",
        ],
    ),
    asked(
        HookPoint::Rcpt,
        "rcpt",
        "RCPT with a well-formed forward-path",
        [
            "550 5.7.1 Relaying denied",
            "the recipient is taken",
            "the refusal, for this recipient only",
        ],
    ),
    asked(
        HookPoint::Headers,
        "headers",
        "the header section is complete, the body still streams by",
        [
            "go on",
            "go on, ask no more",
            "the refusal, after the message's real end",
        ],
    ),
    asked(
        HookPoint::Data,
        "data",
        "the whole message is there",
        [
            "go on",
            "go on, ask no more",
            "the refusal; held copies are committed first",
        ],
    ),
    asked(
        HookPoint::Queue,
        "queue",
        "the last word before the commit",
        [
            "commit",
            "commit, ask no more",
            "the refusal; held copies are committed first",
        ],
    ),
    told(
        HookPoint::Settled,
        "settled",
        "it is decided what the message comes to, whoever decided it",
    ),
    told(
        HookPoint::Reset,
        "reset",
        "the transaction was dropped: RSET, HELO, EHLO, or its end",
    ),
    told(HookPoint::Disconnect, "disconnect", "the session is over"),
];

impl HookPoint {
    /// This hook point's line of the table.
    pub fn row(self) -> &'static HookRow {
        &HOOK_POINTS[self as usize]
    }
}

impl fmt::Display for HookPoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().name)
    }
}

/// The table as Markdown, for docs/hooks.md and `posthouse chain --hooks`.
pub fn table() -> String {
    let mut out = String::from(
        "| hook point | kind | when | if nobody answers | Accept means | Refuse means |\n\
         |---|---|---|---|---|---|\n",
    );
    for row in HOOK_POINTS {
        out.push_str(&format!(
            "| {} | {} | {} | {} | {} | {} |\n",
            row.name, row.manner, row.when, row.unanswered, row.accept, row.refuse
        ));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hook_point_finds_its_own_line() {
        for row in HOOK_POINTS {
            assert_eq!(row.point.row().name, row.name);
            assert_eq!(row.point.row().point, row.point);
        }
    }
}
