//! The ports: what one room needs of another, as small traits. The owner implements, the program
//! wires. Time and DNS are arguments, so tests need neither sleep nor internet.

use std::net::{IpAddr, Ipv4Addr};
use std::time::SystemTime;

use async_trait::async_trait;

use crate::address::{Domain, ForwardPath, ReversePath};
use crate::facts::Row;
use crate::id::Id;
use crate::link::Link;
use crate::outcome::Outcome;
use crate::session::Session;
use crate::time::Timestamp;
use crate::transaction::Transaction;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// The moment that is now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_system(SystemTime::now())
    }
}

/// What a commit gives back, once it is durable.
#[derive(Debug, Clone)]
pub struct Receipt {
    /// The message's id. A retry of a held message gets the id of the first.
    pub id: Id,
    /// The sender's link to a held item, if a copy is held.
    pub link: Option<Link>,
}

/// Why a commit was not made. Nothing of the message remains.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// No room: 452 4.3.1.
    #[error("no room: {0}")]
    Full(String),
    /// The store fails: 451 4.3.0.
    #[error("the store fails: {0}")]
    Failing(String),
}

/// Makes outcomes durable. Implemented by the store.
#[async_trait]
pub trait Commit: Send + Sync {
    /// Commits bytes and rows; when it returns `Ok`, they survive kill -9 and a power cut.
    async fn commit(
        &self,
        session: &Session,
        tx: &Transaction,
        outcome: &Outcome,
    ) -> Result<Receipt, CommitError>;

    /// Whether a message of `size` octets would find room. Asked at MAIL, so that a client hears
    /// early of a full disk.
    fn room(&self, size: u64) -> Result<(), CommitError>;
}

/// Why DNS gave no records.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LookupError {
    /// The name, or that type at it, does not exist.
    #[error("no such record")]
    NotFound,
    /// No answer, or SERVFAIL: try again later.
    #[error("DNS did not answer: {0}")]
    Temporary(String),
}

/// One MX record (RFC 5321 §5.1). The null MX (RFC 7505) has no host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mx {
    /// Lower is better.
    pub preference: u16,
    /// The mail host; none for the null MX.
    pub host: Option<Domain>,
}

/// Asks DNS.
#[async_trait]
pub trait Resolver: Send + Sync {
    /// The MX records, best first. `NotFound` if there are none.
    async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, LookupError>;
    /// A and AAAA records.
    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError>;
    /// A records only: what a DNS list answers with (RFC 5782 §2.1).
    async fn v4(&self, domain: &Domain) -> Result<Vec<Ipv4Addr>, LookupError> {
        let found = self.addresses(domain).await?;
        let v4 = found.into_iter().filter_map(|ip| match ip {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        });
        Ok(v4.collect())
    }
    /// The same, past whatever is kept of an earlier answer here.
    async fn v4_anew(&self, domain: &Domain) -> Result<Vec<Ipv4Addr>, LookupError> {
        self.v4(domain).await
    }
    /// TXT records, the strings of each joined.
    async fn txt(&self, domain: &Domain) -> Result<Vec<Vec<u8>>, LookupError>;
    /// PTR names.
    async fn names(&self, ip: IpAddr) -> Result<Vec<Domain>, LookupError>;
}

/// Places recipients in the matrix's rows. Implemented by the plugin that holds the matrix, for
/// those who must know whether a redirect leads to a filtered address.
#[async_trait]
pub trait Rows: Send + Sync {
    /// The row of a recipient; an error if DNS did not answer.
    async fn row(&self, to: &ForwardPath) -> Result<Row, LookupError>;
}

/// What the next hop of a recipient says when it is asked without a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Callout {
    /// It would take the recipient.
    Yes,
    /// It refuses the recipient for good (5yz). Its reply is for the log, never for a client.
    No(String),
    /// It did not say: it could not be reached, refused somebody else than the recipient, or only for
    /// now. Why is for the log.
    Unknown(String),
    /// Nobody was asked: the recipient has no fixed next hop.
    Elsewhere,
}

/// Asks whether the next hop of a recipient takes it. Implemented by the relay, through its routes;
/// nobody whom the operator does not name there is ever asked.
#[async_trait]
pub trait NextHop: Send + Sync {
    /// MAIL from `from` and RCPT to `to`, and nothing more.
    async fn callout(&self, from: &ReversePath, to: &ForwardPath) -> Callout;
}
