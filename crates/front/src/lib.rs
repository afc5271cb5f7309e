//! The SMTP listener: bytes become typed transactions (RFC 5321), the chain is asked, and what it
//! comes to is committed before the client hears 250.
//!
//! The way in is [`Front`]: bind it, then run it with a chain and a [`Commit`]. The codec and the
//! command parser are without I/O and public, so that they can be fuzzed and replayed.
//!
//! This crate knows no plugin and no store: it asks a [`Chain`] and commits through the port. Every
//! reply is built by `posthouse_hook`.
//!
//! [`Chain`]: posthouse_hook::Chain
//! [`Commit`]: posthouse_hook::Commit

pub mod codec;
pub mod command;
pub mod limits;
pub mod received;

mod census;
mod end;
mod incoming;
mod listener;
mod phase;
mod service;
mod session;
mod spool;
mod wire;

#[cfg(test)]
mod testing;

pub use limits::Limits;
pub use listener::{Front, FrontConfig};
