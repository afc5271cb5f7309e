//! The words of Posthouse, the chain of plugins, and the ports.
//!
//! Every other crate speaks in the types of this one: a [`Session`] holds a [`Transaction`], whose
//! envelope is a [`ReversePath`] and [`ForwardPath`]s; a [`Chain`] asks its [`Plugin`]s at each
//! [`HookPoint`] and comes to an [`Outcome`], which a [`Commit`] makes durable.
//!
//! What is absent is the point: no socket, no file and no SQL is touched here. Whatever one room
//! needs of another is a small trait in [`ports`]; the owner implements it, the program wires it.

pub mod address;
pub mod bounds;
pub mod chain;
pub mod early;
pub mod facts;
pub mod id;
pub mod language;
pub mod link;
pub mod lists;
pub mod message;
pub mod notes;
pub mod outcome;
pub mod plugin;
pub mod point;
pub mod ports;
pub mod proofs;
pub mod reply;
pub mod session;
pub mod time;
pub mod trail;
pub mod transaction;
pub mod viruses;

pub use address::{AddressError, Domain, ForwardPath, Host, Mailbox, ReversePath};
pub use chain::{Aside, Chain, Mode, Observation, Observed, OnError, Step, Would};
pub use facts::{Column, Judgement, Origin, Row, Scan, Scanned, Spf, Vouched};
pub use id::{Id, IdMaker};
pub use language::{Language, LanguageError};
pub use link::{Link, LinkClaim, LinkKey, LinkKind};
pub use lists::{AddressList, DomainList, ListSpec, Live, NetworkList};
pub use message::{Content, Field, Header, Message, Spooled};
pub use notes::Notes;
pub use outcome::{Disposition, Kept, Outcome, Verdict, Why};
pub use plugin::{Lesson, Plugin, PluginError};
pub use point::HookPoint;
pub use ports::{
    Callout, Clock, Commit, CommitError, LookupError, Mx, NextHop, Receipt, Resolver, Rows,
    SystemClock,
};
pub use reply::{Enhanced, Refusal, Reply, ReplyError};
pub use session::Session;
pub use time::{Span, SpanError, Timestamp};
pub use trail::{Trail, TrailEntry};
pub use transaction::{BodyType, Recipient, Transaction};
pub use viruses::VirusScan;
