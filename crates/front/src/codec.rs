//! Bytes to lines and messages, without I/O (RFC 5321 §2.3.8, §4.5.2).
//!
//! A line ends in CRLF and in nothing else. Both halves keep that rule on their own: [`mod@line`] finds
//! commands, [`data`] finds the end of a message. What they answer depends only on the octets, never
//! on how the network cut them into pieces.

pub mod data;
pub mod line;

pub use data::DataDecoder;
pub use line::Line;
