//! `verify_sender` and `verify_recipient`: an address of a domain of ours must exist.
//!
//! Whether it does is a directory's word; here stands whom it is asked about, how long its answers
//! are kept, and what a dead directory means. A directory that is dead never makes an address missing.

mod config;
mod recipient;
mod sender;
#[cfg(test)]
mod tests;
mod verifier;

pub(crate) use recipient::build as build_recipient;
pub(crate) use sender::build as build_sender;
