//! The plugins: one file is one rule.
//!
//! A plugin measures or acts, never both. A scanner leaves a [`posthouse_hook::Scan`] note and
//! passes; a policy reads notes and rules. Nothing here opens a listener, writes a recipient's
//! state or knows the configuration file: options come through [`build`], all else through
//! [`Surroundings`].

mod access;
mod arc;
mod attachments;
mod authentication_results;
mod backend;
mod clamav;
mod clause;
mod directory;
mod dkim;
mod dmarc;
mod dnsbl;
mod early_talker;
mod exempt;
mod filtered;
mod forged_sender;
mod greylist;
mod gtube;
mod helo;
mod options;
mod quarantine;
pub mod quota;
mod rate_limit;
mod registry;
mod relay_clients;
mod relay_domains;
pub mod replay;
mod resolvable_sender;
mod reverse_dns;
mod rspamd;
mod scan;
mod scan_server;
mod secret;
mod sources;
mod spamassassin;
pub mod spf;
mod stranger;
mod surroundings;
#[cfg(test)]
mod testing;
mod verify;

pub use filtered::{Filtered, Placing};
pub use forged_sender::{ForgedList, is_forged_sender};
pub use options::{BadValue, BuildError, ListSpec, Options};
pub use quarantine::BUILT_IN;
pub use registry::{Build, Entry, PLUGINS, build, names};
pub use sources::{Renew, Sources};
pub use surroundings::{AsideError, Common, Surroundings};
