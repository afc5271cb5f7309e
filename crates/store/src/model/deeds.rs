//! What people and our own rooms do with copies, and what comes of it.

use std::net::IpAddr;

use posthouse_hook::Id;
use serde::{Deserialize, Serialize};

/// Who changes something, for the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// The chain, whose outcome was committed.
    Chain,
    /// The holder of an item or manage link.
    Sender,
    /// The holder of an address or stop link.
    Recipient,
    /// The holder of a confirm link.
    Confirmer,
    /// Somebody who holds no link: on the page that mails links.
    Visitor,
    /// Whoever can reach the control socket.
    Operator,
    /// The relay.
    Relay,
    /// The time of keeping.
    Retention,
}

impl Who {
    /// The name in the audit.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::Sender => "sender link",
            Self::Recipient => "recipient link",
            Self::Confirmer => "confirm link",
            Self::Visitor => "visitor",
            Self::Operator => "operator",
            Self::Relay => "relay",
            Self::Retention => "retention",
        }
    }
}

/// Who changes something, and from where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Actor {
    /// Who.
    pub who: Who,
    /// From which address, if over the network.
    pub from: Option<IpAddr>,
}

impl Actor {
    /// An actor without a network address.
    pub fn local(who: Who) -> Self {
        Self { who, from: None }
    }
}

/// Which copies a deed is about: a message, or some of its recipients' copies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Selection {
    /// The message.
    pub item: Id,
    /// Only these addresses (any case); empty means all.
    #[serde(default)]
    pub addresses: Vec<String>,
}

/// What a deed on a selection did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// Copies whose state changed.
    pub changed: usize,
    /// Copies in another state, which stay as they are.
    pub untouched: usize,
}

/// How often senders may release their own mail within a day; past a cap the operator decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ReleaseCaps {
    /// By one envelope sender.
    pub per_sender: u32,
    /// By one sender domain.
    pub per_sender_domain: u32,
    /// From one origin network (/24 for IPv4, /64 for IPv6).
    pub per_origin_network: u32,
    /// To one destination domain.
    pub per_destination_domain: u32,
    /// In all.
    pub total: u32,
}

impl Default for ReleaseCaps {
    fn default() -> Self {
        Self {
            per_sender: 10,
            per_sender_domain: 100,
            per_origin_network: 50,
            per_destination_domain: 100,
            total: 1000,
        }
    }
}

/// What came of a release.
#[derive(Debug, Clone, PartialEq)]
pub enum Released {
    /// Done, as far as copies were held.
    Done(Done),
    /// This cap is reached (its key in the configuration): the operator decides.
    Capped(&'static str),
}
