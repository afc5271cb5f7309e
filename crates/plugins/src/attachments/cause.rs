//! What can be found in a message, and what can be done about it.

use std::fmt;

use serde::Deserialize;

/// What to do about a message. In the order of weight: the heaviest of several is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Action {
    /// Only a remark, a note and a line in the log.
    Note,
    /// Keep it for the operator.
    Hold,
    /// 451: not now.
    Defer,
    /// 552 5.7.0.
    Refuse,
}

/// What a file is by its first octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    /// A program: of Windows and DOS (MZ), ELF, Mach-O, Java (class), Android (dex).
    Executable,
    /// A text that begins with `#!`.
    Script,
    /// A shortcut of Windows (LNK).
    Shortcut,
    /// A document of Office with macros.
    Macro,
}

impl Kind {
    /// The word in the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Executable => "executable",
            Self::Script => "script",
            Self::Shortcut => "shortcut",
            Self::Macro => "macro",
        }
    }
}

/// How far a look goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Limit {
    /// Octets of the message.
    Size,
    /// Octets that archives are unpacked to.
    Unpacked,
    /// Octets unpacked for each octet of the message.
    Ratio,
    /// Parts of the message.
    Parts,
    /// Members of archives.
    Members,
    /// Archives and messages in one another.
    Depth,
    /// The time.
    Time,
    /// Something of MIME that nobody honest writes so long, or so often: a field, boundaries,
    /// parts that could be read in many ways at once.
    Form,
    /// Members of an archive that lie over one another.
    Overlap,
}

impl Limit {
    /// What was too much, for logs.
    fn word(self) -> &'static str {
        match self {
            Self::Size => "octets (max_size)",
            Self::Unpacked => "octets unpacked (max_unpacked)",
            Self::Ratio => "octets unpacked of each (max_ratio)",
            Self::Parts => "parts (max_parts)",
            Self::Members => "members of archives (max_members)",
            Self::Depth => "archives and messages in one another (max_depth)",
            Self::Time => "seconds (look_timeout)",
            Self::Form => "readings of its MIME fields",
            Self::Overlap => "members of an archive in one place",
        }
    }
}

/// Why an attachment, or the message, is not let through as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its name ends so.
    Name(String),
    /// Its content is of this kind.
    Kind(Kind),
    /// It, or a member of it, is encrypted.
    Encrypted,
    /// It cannot be looked into: what it is.
    Closed(&'static str),
    /// The look ended before the message did.
    Limit(Limit),
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(extension) => write!(f, "name ends in .{extension}"),
            Self::Kind(kind) => write!(f, "content is of type {}", kind.word()),
            Self::Encrypted => f.write_str("encrypted"),
            Self::Closed(what) => write!(f, "cannot be looked into: {what}"),
            Self::Limit(limit) => write!(f, "limit reached: too many {}", limit.word()),
        }
    }
}
