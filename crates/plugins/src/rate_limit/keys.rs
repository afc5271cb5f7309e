//! Whom a limit counts: from a session and an envelope to the name of a bucket.

use std::net::IpAddr;

use ipnet::IpNet;
use posthouse_hook::{DomainList, Mailbox, Recipient, ReversePath, Session, Transaction};
use serde::Deserialize;

use crate::quarantine::srs;

/// Whom a limit counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum By {
    /// The client's address; of IPv6 its /64, for that is what one host has.
    Client,
    /// The client's network.
    Network,
    /// The authenticated user.
    User,
    /// The sender, unwrapped from SRS of our domains.
    Sender,
    /// Its domain.
    SenderDomain,
    /// Each recipient's domain.
    RecipientDomain,
    /// Who forwards to each recipient.
    Forwarder,
}

impl By {
    /// The word in the configuration.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Network => "network",
            Self::User => "user",
            Self::Sender => "sender",
            Self::SenderDomain => "sender_domain",
            Self::RecipientDomain => "recipient_domain",
            Self::Forwarder => "forwarder",
        }
    }

    /// Whether each recipient has a key of its own.
    pub(super) fn is_of_recipient(self) -> bool {
        matches!(self, Self::RecipientDomain | Self::Forwarder)
    }
}

/// How many bits of an address are its network.
#[derive(Debug, Clone, Copy)]
pub(super) struct Masks {
    pub(super) v4: u8,
    pub(super) v6: u8,
}

/// The bits of an IPv6 address that one host has to itself.
const HOST_V6: u8 = 64;

/// Who has sent what is counted.
pub(super) struct Who<'a> {
    pub(super) session: &'a Session,
    pub(super) tx: &'a Transaction,
    pub(super) ours: &'a DomainList,
    pub(super) masks: Masks,
}

impl Who<'_> {
    /// The key of a whole transaction; none if there is nobody to count, or each recipient counts.
    pub(super) fn of_transaction(&self, by: By) -> Option<String> {
        let sender = || srs::unwrap(&self.tx.reverse_path, self.ours);
        match by {
            By::Client => Some(self.client()),
            By::Network => Some(net(self.session.client_ip(), self.masks)),
            By::User => self.session.auth.as_ref().map(|user| user.to_lowercase()),
            By::Sender => sender().mailbox().map(Mailbox::key),
            By::SenderDomain => sender().domain().map(ToString::to_string),
            By::RecipientDomain | By::Forwarder => None,
        }
    }

    /// The key of one recipient.
    pub(super) fn of_recipient(&self, by: By, recipient: &Recipient) -> Option<String> {
        match by {
            By::RecipientDomain => recipient.forward_path.domain().map(ToString::to_string),
            By::Forwarder => Some(self.forwarder(recipient)),
            _ => self.of_transaction(by),
        }
    }

    /// Who forwards. A forwarder that rewrites with SRS is known by its domain and by where it forwards
    /// to: one customer's forwarding, even where one domain rewrites for all. Any other is
    /// whoever hands the mail to us.
    fn forwarder(&self, recipient: &Recipient) -> String {
        let from = &self.tx.reverse_path;
        match (is_wrapped(from, self.ours), from.domain()) {
            (true, Some(domain)) => format!("{domain} to {}", recipient.forward_path.key()),
            _ => self.session.auth.as_ref().map_or_else(
                || format!("client {}", self.client()),
                |user| format!("user {}", user.to_lowercase()),
            ),
        }
    }

    fn client(&self) -> String {
        let whole = Masks {
            v4: 32,
            v6: HOST_V6,
        };
        net(self.session.client_ip(), whole)
    }
}

fn is_wrapped(from: &ReversePath, ours: &DomainList) -> bool {
    srs::unwrap(from, ours) != *from
}

/// The network of an address; of a single address, that.
fn net(ip: IpAddr, masks: Masks) -> String {
    let ip = ip.to_canonical();
    let (len, all) = match ip {
        IpAddr::V4(_) => (masks.v4, 32),
        IpAddr::V6(_) => (masks.v6, 128),
    };
    match IpNet::new(ip, len) {
        Ok(net) if len < all => net.trunc().to_string(),
        _ => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{session, transaction};

    fn key(by: By, client: &str, from: &str, to: &str) -> String {
        let mut ours = DomainList::default();
        ours.add("isp.example").expect("a domain");
        let mut session = session(client);
        session.auth = (client == "192.0.2.66").then(|| "Ann".to_owned());
        let tx = transaction(from, &[to], "\n\n");
        let who = Who {
            session: &session,
            tx: &tx,
            ours: &ours,
            masks: Masks { v4: 24, v6: 56 },
        };
        let key = who.of_recipient(by, &tx.recipients[0]);
        key.unwrap_or_default()
    }

    #[test]
    fn everybody_has_the_name_that_counts() {
        let srs = "<SRS0=h=t=x.example=Bob@isp.example>";
        let to = "<C@Gmail.example>";
        for (by, client, from, want) in [
            (By::Client, "192.0.2.7", "<a@b.example>", "192.0.2.7"),
            (
                By::Client,
                "2001:db8::7:1",
                "<a@b.example>",
                "2001:db8::/64",
            ),
            (By::Network, "192.0.2.7", "<a@b.example>", "192.0.2.0/24"),
            (
                By::Network,
                "::ffff:192.0.2.7",
                "<a@b.example>",
                "192.0.2.0/24",
            ),
            (
                By::Network,
                "2001:db8:0:12::7",
                "<a@b.example>",
                "2001:db8::/56",
            ),
            (By::User, "192.0.2.66", "<a@b.example>", "ann"),
            (By::User, "192.0.2.7", "<a@b.example>", ""),
            (By::Sender, "192.0.2.7", "<A@B.example>", "a@b.example"),
            (By::Sender, "192.0.2.7", srs, "bob@x.example"),
            (By::Sender, "192.0.2.7", "<>", ""),
            (By::SenderDomain, "192.0.2.7", srs, "x.example"),
            (By::RecipientDomain, "192.0.2.7", "<>", "gmail.example"),
            (
                By::Forwarder,
                "192.0.2.7",
                srs,
                "isp.example to c@gmail.example",
            ),
            (
                By::Forwarder,
                "192.0.2.7",
                "<a@b.example>",
                "client 192.0.2.7",
            ),
            (By::Forwarder, "192.0.2.66", "<>", "user ann"),
        ] {
            assert_eq!(key(by, client, from, to), want, "{by:?} {client} {from}");
        }
    }
}
