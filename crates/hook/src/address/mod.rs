//! The envelope's addresses (RFC 5321 §4.1.2), parsed once at the door.
//!
//! Inside Posthouse nothing is "a sender string": a reverse-path may be null, a forward-path may be
//! the bare `<postmaster>`, a domain is lower-case ASCII. Source routes are accepted and dropped
//! (RFC 5321 §3.3 and appendix C). Nothing here looks at header fields.

mod domain;
mod mailbox;
mod path;

pub use domain::{Domain, Host};
pub use mailbox::Mailbox;
pub use path::{ForwardPath, ReversePath};

/// Why an address cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The brackets, the `@`, the quotes or the characters are not RFC 5321's.
    #[error("the address is not of the form local-part@domain")]
    Syntax,
    /// A part is longer than RFC 5321 §4.5.3.1 allows.
    #[error("the address is too long")]
    TooLong,
    /// The address has octets beyond ASCII and SMTPUTF8 (RFC 6531) is not offered.
    #[error("the address has characters outside ASCII")]
    NotAscii,
}

/// An address is logged as it is written.
macro_rules! debug_as_display {
    ($($type:ty),*) => {
        $(impl std::fmt::Debug for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        })*
    };
}

use debug_as_display;
