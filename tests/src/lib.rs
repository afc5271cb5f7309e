//! What the tests stand on: real servers and clients of other people's making, one file a peer.
//!
//! Everything listens on loopback, on ports that are found when it starts, and ends with its
//! guard. A peer that is not installed fails the test with the name of its Debian package; nothing
//! is ever skipped. The functions here block: run them on a thread that may.

pub mod clamd;
pub mod clients;
pub mod courier;
pub mod dir;
pub mod dns;
pub mod dovecot;
pub mod hostile;
pub mod ledger;
pub mod next_hop;
pub mod plugin;
pub mod ports;
pub mod postfix;
pub mod posthouse;
pub mod proc;
pub mod quota_service;
pub mod rbldnsd;
pub mod rspamd;
pub mod sink;
pub mod slapd;
pub mod smtp;
pub mod spamd;
pub mod wait;
