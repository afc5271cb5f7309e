//! Delivery status notifications (RFC 3464): what failed, for people and for programs, and the
//! header section of the message that it is about. Never for a null reverse-path, never where the
//! matrix forbids it.

use std::net::SocketAddr;
use std::sync::Arc;

use lettre::message::header::{ContentTransferEncoding, ContentType};
use lettre::message::{Body, MultiPart, SinglePart};
use posthouse_hook::{Enhanced, ForwardPath, Host, IdMaker, Language, ReversePath, Timestamp};
use posthouse_store::{Claimed, ClaimedRecipient, Kind, OwnMessage};
use serde::Serialize;

use crate::answer::{Answer, Fate, Speaker};
use crate::dates;
use crate::desk::Desk;
use crate::own::{Auto, Sheet};
use crate::templates::{TemplateError, Templates};
use crate::texts::Text;

/// Octets of the original's header section that are quoted.
const MAX_QUOTED: u64 = 16 * 1024;
/// The longest line in octets, without its end, that needs no encoding (RFC 5322 §2.1.1).
const MAX_PLAIN_LINE: usize = 998;

/// One copy that failed.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) to: ForwardPath,
    pub(crate) answer: Answer,
}

/// What a sender hears of the address behind a redirect: that is its owner's secret, and neither a
/// host nor its words may give it away.
const BEHIND_REDIRECT: &str = "the address to which its owner redirects mail did not take it";

/// Writes DSNs.
pub(crate) struct Dsns {
    pub(crate) desk: Arc<Desk>,
    pub(crate) ids: Arc<IdMaker>,
}

/// What the template is told.
#[derive(Serialize)]
struct Facts {
    hostname: String,
    sender: String,
    arrived: String,
    failures: Vec<FailureFacts>,
}

#[derive(Serialize)]
struct FailureFacts {
    address: String,
    next_hop: String,
    said: String,
    /// Whether these are the next hop's words.
    remote: bool,
}

impl Dsns {
    /// The DSN about these copies, if one may be sent.
    pub(crate) async fn write(
        &self,
        claimed: &Claimed,
        failures: &[Failure],
        now: Timestamp,
    ) -> Option<OwnMessage> {
        let ReversePath::Mailbox(sender) = &claimed.reverse_path else {
            return None;
        };
        if !claimed.dsn_allowed {
            tracing::warn!(message = %claimed.id, from = %claimed.reverse_path, copies = failures.len(), "undelivered, and no DSN tells of it: nothing proves who sent it");
            return None;
        }
        let head = claimed.content.head(MAX_QUOTED).await;
        let head = head.inspect_err(|error| tracing::warn!(%error, "a DSN quotes nothing"));
        let quoted = header_section(&head.unwrap_or_default());
        let to = ForwardPath::Mailbox(sender.clone());
        let report = self.report(claimed, failures, &quoted, now);
        let sheet = Sheet {
            from: format!("Mail Delivery System <MAILER-DAEMON@{}>", self.desk.ours),
            to: &to,
            subject: Text::Dsn.subject(Language::En),
            date: now,
            id: self.ids.next(now),
            auto: Auto::Replied,
            unsubscribe: None,
            ours: &self.desk.ours,
        };
        let bytes = self.sealed(sheet.over(&report));
        Some(OwnMessage {
            kind: Kind::Dsn,
            bytes,
            to,
        })
    }

    /// A DSN without a signature is better than none.
    fn sealed(&self, message: Vec<u8>) -> Vec<u8> {
        self.desk.seal(message.clone()).unwrap_or_else(|error| {
            tracing::error!(%error, "a DSN goes out unsigned");
            message
        })
    }

    /// RFC 6522: the three parts.
    fn report(
        &self,
        claimed: &Claimed,
        failures: &[Failure],
        quoted: &str,
        now: Timestamp,
    ) -> Vec<u8> {
        let boundary = boundary_for(claimed, quoted);
        let kind =
            format!("multipart/report; report-type=delivery-status; boundary=\"{boundary}\"");
        MultiPart::builder()
            .header(content_type(&kind))
            .singlepart(SinglePart::plain(self.words(claimed, failures)))
            .singlepart(part(
                "message/delivery-status",
                self.status(claimed, failures, now),
            ))
            .singlepart(part("text/rfc822-headers", quoted.to_owned()))
            .formatted()
    }

    /// The part for people.
    fn words(&self, claimed: &Claimed, failures: &[Failure]) -> String {
        let facts = Facts {
            hostname: self.desk.ours.to_string(),
            sender: claimed.reverse_path.address(),
            arrived: dates::rfc5322(claimed.since),
            failures: failures.iter().map(FailureFacts::of).collect(),
        };
        let text = self.desk.templates.render(Text::Dsn, Language::En, &facts);
        text.unwrap_or_else(|error| {
            tracing::error!(%error, "a DSN goes out without its text");
            "A message could not be delivered; the next part tells more.\r\n".to_owned()
        })
    }

    /// RFC 3464 §2: fields about the message, then about each recipient, in printable ASCII.
    fn status(&self, claimed: &Claimed, failures: &[Failure], now: Timestamp) -> String {
        let arrived = dates::rfc5322(claimed.since);
        let mut text = format!(
            "Reporting-MTA: dns; {}\r\nArrival-Date: {arrived}\r\n",
            self.desk.ours
        );
        for failure in failures {
            text.push_str("\r\n");
            text.push_str(&failure.fields(now));
        }
        text
    }
}

impl Failure {
    /// The failure of a copy, as far as its sender may know it.
    pub(crate) fn of(copy: &ClaimedRecipient, answer: &Answer) -> Self {
        let answer = match copy.redirect {
            Some(_) => Answer::own(Fate::Never, Enhanced(5, 0, 0), BEHIND_REDIRECT, ""),
            None => answer.clone(),
        };
        Self {
            to: copy.forward_path.clone(),
            answer,
        }
    }

    fn fields(&self, now: Timestamp) -> String {
        let Answer {
            status,
            said,
            next_hop,
            speaker,
            ..
        } = &self.answer;
        let to = self.to.address();
        let mut text =
            format!("Final-Recipient: rfc822; {to}\r\nAction: failed\r\nStatus: {status}\r\n");
        match speaker {
            Speaker::NextHop => {
                let host = remote_mta(next_hop);
                text.push_str(&format!(
                    "Remote-MTA: dns; {host}\r\nDiagnostic-Code: smtp; {said}\r\n"
                ));
            }
            Speaker::Relay => text.push_str(&format!("Diagnostic-Code: x-posthouse; {said}\r\n")),
        }
        text.push_str(&format!("Last-Attempt-Date: {}\r\n", dates::rfc5322(now)));
        text
    }
}

/// Renders the text with made-up facts, so that a broken template is found at the start.
pub(crate) fn check(templates: &Templates) -> Result<(), TemplateError> {
    let failure = |remote| FailureFacts {
        address: "bob@b.example".to_owned(),
        next_hop: "mx.b.example[192.0.2.1]:25".to_owned(),
        said: "550 5.1.1 Nobody here".to_owned(),
        remote,
    };
    for failures in [vec![failure(true)], vec![failure(true), failure(false)]] {
        let facts = Facts {
            hostname: "out.isp.example".to_owned(),
            sender: "ann@a.example".to_owned(),
            arrived: dates::rfc5322(Timestamp(0)),
            failures,
        };
        templates.render(Text::Dsn, Language::En, &facts)?;
    }
    Ok(())
}

impl FailureFacts {
    fn of(failure: &Failure) -> Self {
        Self {
            address: failure.to.address(),
            next_hop: failure.answer.next_hop.clone(),
            said: failure.answer.said.clone(),
            remote: failure.answer.speaker == Speaker::NextHop,
        }
    }
}

/// The host in `host[ip]:port`, or the address as a literal (RFC 3464 §2.1.2).
fn remote_mta(next_hop: &str) -> String {
    match next_hop.parse::<SocketAddr>() {
        Ok(address) => Host::Literal(address.ip()).to_string(),
        Err(_) => next_hop.split('[').next().unwrap_or(next_hop).to_owned(),
    }
}

/// The header section up to the empty line, as text without control characters, whole lines only.
fn header_section(head: &[u8]) -> String {
    let end = memchr::memmem::find(head, b"\r\n\r\n").map(|at| at + 2);
    let end = end.or_else(|| memchr::memrchr(b'\n', head).map(|at| at + 1));
    let text = String::from_utf8_lossy(&head[..end.unwrap_or(0)]).into_owned();
    text.chars()
        .map(|c| match c {
            '\r' | '\n' | '\t' => c,
            c if c.is_control() => char::REPLACEMENT_CHARACTER,
            c => c,
        })
        .collect()
}

/// A boundary that stands nowhere in what is quoted.
fn boundary_for(claimed: &Claimed, quoted: &str) -> String {
    let mut boundary = format!("posthouse-{}", claimed.id);
    while quoted.contains(&boundary) {
        boundary.push('x');
    }
    boundary
}

/// As 7bit wherever it can be (RFC 3464 §2.1 wants it readable); lettre would encode it for a line
/// of 80 octets.
fn part(kind: &str, text: String) -> SinglePart {
    let is_plain = text.is_ascii() && text.split("\r\n").all(|line| line.len() <= MAX_PLAIN_LINE);
    let body = match is_plain {
        true => Body::dangerous_pre_encoded(text.into_bytes(), ContentTransferEncoding::SevenBit),
        false => Body::new(text),
    };
    SinglePart::builder().header(content_type(kind)).body(body)
}

fn content_type(text: &str) -> ContentType {
    ContentType::parse(text).expect("a media type of ours is well-formed")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn next_hops_are_named_as_mta_names() {
        for (next_hop, want) in [
            ("mx.b.example[2001:db8::1]:25", "mx.b.example"),
            ("192.0.2.1:25", "[192.0.2.1]"),
            ("[2001:db8::1]:25", "[IPv6:2001:db8::1]"),
        ] {
            assert_eq!(remote_mta(next_hop), want);
        }
    }

    #[test]
    fn only_whole_lines_of_the_header_section_are_quoted() {
        assert_eq!(
            header_section(b"A: b\r\nC: \x00\r\n\r\nbody"),
            "A: b\r\nC: \u{fffd}\r\n"
        );
        assert_eq!(header_section(b"A: b\r\nC: cut"), "A: b\r\n");
        assert_eq!(header_section(b"cut"), "");
        assert_eq!(header_section(b""), "");
    }
}
