//! What a virus scanner said of a message. What was not scanned whole is never called clean.

use std::fmt;

/// Transaction note: the answer of the last virus scanner that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VirusScan {
    /// It found nothing.
    Clean,
    /// It knows this by that name.
    Virus(String),
    /// The message is larger than what is scanned, and by what limit.
    TooBig(String),
    /// It came to a limit of its own, or to something that it cannot open; in its own words.
    Limit(String),
    /// It gave no answer, and why.
    NotScanned(String),
}

impl fmt::Display for VirusScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Clean => f.write_str("clean"),
            Self::Virus(name) => write!(f, "virus {name}"),
            Self::TooBig(why) => write!(f, "not scanned, too big: {why}"),
            Self::Limit(what) => write!(f, "not scanned whole: {what}"),
            Self::NotScanned(why) => write!(f, "not scanned: {why}"),
        }
    }
}
