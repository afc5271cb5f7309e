//! The pages of the quarantine: for the sender of one held message, and for the recipient of all
//! that is held for an address.
//!
//! A GET never changes anything but the audit. A link opens what it was made for and nothing else;
//! what does not open looks the same whatever the reason. No page runs a script, sets a cookie or
//! shows mail as HTML, and no log line, trail or metric holds a link's secret.
//!
//! ```text
//! Web (server)  ->  dress (headers, log, faults)  ->  router (pages)
//!                                                       |  sender, manage, confirm, home, recipient, message, letters
//!                                     facts of the store -> view (pure) -> template
//!                                                                           |  words, speak
//! ```
//!
//! A view holds facts and no words; the template puts them into the visitor's language, with texts
//! of `templates/words`. A new page needs its texts there in every language, a view for each of its
//! states in `samples`, and its variables in docs/templates.md: tests fail without.

mod client;
mod config;
mod confirm;
mod dress;
mod fault;
mod form;
mod home;
mod letters;
mod manage;
mod message;
mod pages;
mod preview;
mod recipient;
mod rules;
mod samples;
mod seen;
mod sender;
mod server;
mod show;
mod speak;
mod templates;
mod url;
mod visit;
mod words;

pub use config::{Config, Limits};
pub use pages::Pages;
pub use rules::{Rules, SelfRelease};
pub use server::Web;
pub use templates::{BUILT_IN, TemplateError};
pub use url::{SiteUrl, SiteUrlError};
