//! The relay: takes what the store has queued to the next hop, and writes our own mail.
//!
//! The [`Relay`] runs the queue: a route for each recipient, MX or a fixed next hop, a transaction
//! through lettre's low-level connection over a stream of our own, a state for every answer, a DSN
//! for what failed. [`Letters`] tell recipients what is held for them. Every octet of a message
//! leaves as it came, below one Received field. Nothing here decides what is held, and only the
//! store writes a state.

mod alarm;
mod answer;
mod attempt;
mod body;
mod callout;
pub mod config;
mod connect;
mod dates;
mod desk;
mod dkim;
mod dsn;
mod errands;
mod hand;
mod letters;
mod mx;
mod own;
mod pool;
mod reach;
mod redirect;
mod relay;
mod replies;
pub mod route;
mod runner;
mod schedule;
mod settle;
mod source;
mod stream;
mod stuffing;
mod templates;
mod texts;
mod tls;
mod told;
mod transaction;
mod transport;
mod writer;

pub use alarm::{LettersState, Running};
pub use callout::Callouts;
pub use config::{LettersConfig, RelayConfig};
pub use desk::MailError;
pub use dkim::{DkimConfig, DkimError, KeyFile, Selector};
pub use errands::ErrandFacts;
pub use letters::Letters;
pub use reach::Reach;
pub use relay::{Relay, RelayError, Surroundings};
pub use source::Source;
pub use templates::TemplateError;
pub use texts::BUILT_IN as MAIL_TEMPLATES;
pub use tls::TlsError;
pub use writer::{HeldLine, LetterFacts, LetterWriter, Listed};
