//! What is known of a client and of a sender: notes that measuring plugins leave, so that policies
//! need not measure again. A note that is missing means: nobody measured.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::address::{Domain, ForwardPath};
use crate::facts::Spf;
use crate::transaction::Transaction;

/// Session note: the client may relay, by its network or because it authenticated. Checks that are
/// meant for strangers pass it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RelayClient;

/// Session note: what reverse DNS says of the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReverseName {
    /// A PTR name whose addresses include the client's.
    Confirmed(Domain),
    /// There are PTR names, and none leads back; the first of them.
    Unconfirmed(Domain),
    /// There is no PTR name.
    None,
    /// DNS did not answer.
    Unknown,
}

impl ReverseName {
    /// The name that leads back to the client.
    pub fn confirmed(&self) -> Option<&Domain> {
        match self {
            Self::Confirmed(name) => Some(name),
            _ => None,
        }
    }
}

/// Session note: an allow list has the client; the line that has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedClient(pub String);

/// Transaction note: an allow list has the sender; the line that has it. A sender is only a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedSender(pub String);

/// Transaction note: the last recipient that an allow list has. It is left just before the plugins
/// below are asked about that recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AllowedRecipient(pub ForwardPath);

/// Transaction note: the limits that it was over, each once.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OverLimit(pub Vec<String>);

impl OverLimit {
    /// Adds a limit to the note of this transaction.
    pub fn add(tx: &mut Transaction, limit: String) {
        let mut all = tx.notes.get::<Self>().cloned().unwrap_or_default();
        if !all.0.contains(&limit) {
            all.0.push(limit);
        }
        tx.notes.put(all);
    }
}

/// Transaction note: SPF of the envelope sender, or of HELO for the null sender (RFC 7208 §2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpfFound {
    /// The result.
    pub result: Spf,
    /// The domain that was checked; none if there was none to check.
    pub domain: Option<Domain>,
    /// Whether that is the HELO domain.
    pub of_helo: bool,
}

/// What a verification came to (RFC 8601 §2.7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verified {
    /// There is nothing to verify.
    None,
    /// It verifies.
    Pass,
    /// It does not.
    Fail,
    /// It is not acceptable to us, whether it verifies or not.
    Policy,
    /// DNS did not answer.
    TempError,
    /// It cannot be verified, ever.
    PermError,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Policy => "policy",
            Self::TempError => "temperror",
            Self::PermError => "permerror",
        })
    }
}

/// One DKIM signature (RFC 6376).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DkimSignature {
    /// What it came to.
    pub result: Verified,
    /// `d=`.
    pub domain: Domain,
    /// `s=`.
    pub selector: String,
}

/// Transaction note: every DKIM signature that was looked at, top down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DkimFound(pub Vec<DkimSignature>);

/// What a domain asks to be done with mail that fails DMARC (RFC 7489 §6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DmarcPolicy {
    /// Nothing.
    None,
    /// Treat it as suspicious.
    Quarantine,
    /// Refuse it.
    Reject,
}

/// Transaction note: DMARC of header From.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DmarcFound {
    /// The result.
    pub result: Verified,
    /// The domain of header From; none if there is not exactly one.
    pub domain: Option<Domain>,
    /// What the domain asks for; none without a record.
    pub policy: Option<DmarcPolicy>,
}

/// Transaction note: the ARC chain (RFC 8617).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArcFound {
    /// What the chain came to.
    pub result: Verified,
    /// Who sealed last.
    pub sealer: Option<Domain>,
}

/// Transaction note: what an Authentication-Results field of ours will say (RFC 8601), a clause for
/// each method, such as `spf=pass smtp.mailfrom=x.example`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AuthResults(pub Vec<String>);

/// What is to be done about a sender who may not appear from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ForgedAction {
    /// Only this note.
    Note,
    /// The message is taken and dropped.
    Discard,
    /// The message is taken and held for the operator.
    Hold,
    /// The client hears a refusal.
    Reject,
}

impl fmt::Display for ForgedAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Discard => "discard",
            Self::Hold => "hold",
            Self::Reject => "reject",
        })
    }
}

/// One address that may not appear from outside, and does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Forged {
    /// `envelope`, or the header field.
    pub field: &'static str,
    /// The address, as it was looked up.
    pub address: String,
    /// Which line of which list has it.
    pub listed: String,
    /// What the list says to do.
    pub action: ForgedAction,
    /// Why nothing is done all the same.
    pub spared: Option<String>,
}

/// Transaction note: the forged senders that were found, the first of them if they are many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgedFound(pub Vec<Forged>);

/// What a DNS list was asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListedOf {
    /// The client's address.
    Client,
    /// The HELO name.
    Helo,
    /// The domain of the envelope sender.
    Sender,
    /// A domain of header From.
    From,
}

/// Whether a DNS list speaks against those whom it lists, or for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListKind {
    /// Against them.
    Deny,
    /// For them.
    Allow,
}

/// One listing in a DNS list (RFC 5782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The list, as the configuration calls it.
    pub list: String,
    /// What was asked about.
    pub of: ListedOf,
    /// The address or the domain.
    pub what: String,
    /// For or against.
    pub kind: ListKind,
    /// The list's answers, each of 127.0.0.0/8.
    pub answers: Vec<Ipv4Addr>,
    /// What it counts; 0 of whom another list speaks for.
    pub weight: u32,
}

/// Session note of client and HELO name, transaction note of the others: every listing that was
/// found, in the order in which it was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listings(pub Vec<Listing>);

impl Listings {
    /// Whether a list speaks for the client.
    pub fn allow_client(&self) -> bool {
        let mut all = self.0.iter();
        all.any(|one| one.kind == ListKind::Allow && one.of == ListedOf::Client)
    }

    /// What the listings against somebody count together.
    pub fn weight(&self) -> u32 {
        let deny = self.0.iter().filter(|one| one.kind == ListKind::Deny);
        deny.fold(0, |sum, one| sum.saturating_add(one.weight))
    }
}

/// Transaction note: attachments that a rule is about and that were let through by configuration,
/// a line each: name and cause.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AttachmentsFound(pub Vec<String>);

/// What is wrong with a HELO name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeloFault {
    /// It is no whole host name.
    Syntax,
    /// It is an address that is not the client's.
    ForeignLiteral,
    /// It is our name or our address.
    OurName,
    /// It has neither an address nor an MX.
    Unresolved,
    /// DNS did not tell whether it has.
    Unknown,
}

impl fmt::Display for HeloFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "no whole host name",
            Self::ForeignLiteral => "an address that is not the client's",
            Self::OurName => "our own name or address",
            Self::Unresolved => "neither address nor MX",
            Self::Unknown => "DNS did not answer",
        })
    }
}

/// Session note: what is wrong with the last HELO name, if anything is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeloFound(pub Option<HeloFault>);

/// Which protocol a client speaks that speaks too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tongue {
    /// SMTP, without waiting for the greeting.
    Smtp,
    /// A TLS ClientHello (RFC 8446 §4.1.2).
    Tls,
    /// HTTP.
    Http,
    /// The PROXY protocol: a load balancer is set up wrongly.
    Proxy,
    /// Anything else.
    Other,
}

/// Session note: the client spoke before the greeting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpokeEarly(pub Tongue);
