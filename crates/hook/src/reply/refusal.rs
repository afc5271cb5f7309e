//! Refusals: replies that are 4xx or 5xx by construction.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Enhanced, LINK_MARK, Reply};
use crate::link::Link;

/// A reply that refuses: 4xx or 5xx, by construction. Its text may want a link, which is filled in
/// only after the commit ([`Refusal::into_reply`]).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal(pub(super) Reply);

macro_rules! refusals {
    ($($(#[$doc:meta])* $name:ident: $code:literal $class:literal.$subject:literal.$detail:literal $text:literal $($close:ident)?;)*) => {
        impl Refusal {
            $($(#[$doc])* pub fn $name() -> Self {
                Self(Reply::new($code, Some(Enhanced($class, $subject, $detail)), $text)$(.$close())?)
            })*
        }
    };
}

refusals! {
    /// 500: no such command, or one with a bare CR or LF.
    unknown_command: 500 5 . 5 . 2 "Command not recognized";
    /// 500: a command line over its limit; the session closes.
    line_too_long: 500 5 . 5 . 6 "Line too long" closing;
    /// 501: the argument is not of the command's form.
    bad_argument: 501 5 . 5 . 4 "Syntax error in argument";
    /// 501: the HELO or EHLO name is neither a domain nor an address literal.
    bad_helo: 501 5 . 5 . 4 "Syntax error in domain or address literal";
    /// 501: the sender's address is not RFC 5321's.
    bad_sender_syntax: 501 5 . 1 . 7 "Bad sender address syntax";
    /// 501: the recipient's address is not RFC 5321's.
    bad_recipient_syntax: 501 5 . 1 . 3 "Bad recipient address syntax";
    /// 502: a known command that is not offered here.
    not_implemented: 502 5 . 5 . 1 "Command not implemented";
    /// 503: the command does not fit the state of the session.
    bad_sequence: 503 5 . 5 . 1 "Bad sequence of commands";
    /// 503 to DATA without any RCPT.
    no_recipients: 503 5 . 5 . 1 "Need RCPT before DATA";
    /// 554 to DATA when every RCPT was refused (RFC 5321 §3.3).
    no_valid_recipients: 554 5 . 5 . 1 "No valid recipients";
    /// 555: a MAIL or RCPT parameter that is not known.
    bad_parameter: 555 5 . 5 . 4 "Parameter not recognized";
    /// 550: nobody answered for this recipient; the default at rcpt.
    relaying_denied: 550 5 . 7 . 1 "Relaying denied";
    /// 550: the sender's domain has no mail host and no address (RFC 3463 §3.2).
    sender_domain_unknown: 550 5 . 1 . 8 "Sender's domain cannot receive mail";
    /// 550: the sender's domain takes no mail, and says so (RFC 7505 §4.2).
    sender_null_mx: 550 5 . 7 . 27 "Sender's domain has a null MX";
    /// 550: the client spoke before it was its turn (RFC 5321 §4.3.1).
    spoke_early: 550 5 . 5 . 1 "Protocol error: you spoke before your turn";
    /// 550: the client's address has no name, or none that leads back to it (RFC 7372 §3.3).
    no_reverse_name: 550 5 . 7 . 25 "Reverse DNS of your address does not lead back to it";
    /// 451: DNS or a directory does not answer.
    dns_failed: 451 4 . 4 . 3 "DNS does not answer, try again later";
    /// 451: whoever knows the recipient's mailbox does not answer (RFC 3463 §3.5, X.4.3).
    mailbox_lookup_failed: 451 4 . 4 . 3 "Mailbox lookup failed, try again later";
    /// 452: this recipient is one too many for the transaction.
    too_many_recipients: 452 4 . 5 . 3 "Too many recipients";
    /// 552: over the size limit, by declaration or by count (RFC 1870).
    message_too_big: 552 5 . 3 . 4 "Message size exceeds the limit";
    /// 552: a message of this size is not scanned, and what is not scanned is not taken.
    too_big_to_scan: 552 5 . 3 . 4 "Message is too big to be scanned for viruses";
    /// 552: the header section is over its limit.
    header_too_big: 552 5 . 3 . 4 "Header section exceeds the limit";
    /// 554: bare CR or LF in a message.
    bare_line_end: 554 5 . 6 . 0 "Message has a bare CR or LF";
    /// 554: a mail loop, by the count of Received fields (RFC 5321 §6.3).
    too_many_hops: 554 5 . 4 . 6 "Too many hops";
    /// 550: SPF says that the client may not send for that domain (RFC 7372 §3.2).
    spf_failed: 550 5 . 7 . 23 "SPF validation failed";
    /// 550: the sender's SPF record is broken (RFC 7372 §3.2).
    spf_broken: 550 5 . 7 . 24 "SPF validation error";
    /// 451: DNS did not answer for SPF (RFC 7372 §3.2).
    spf_unknown: 451 4 . 7 . 24 "SPF validation error, try again later";
    /// 550: DMARC fails, and the domain of header From asks for this (RFC 7489 §10.3, RFC 7372 §3.3).
    dmarc_failed: 550 5 . 7 . 26 "The domain in header From asks to refuse mail that fails DMARC";
    /// 451: DNS did not answer for DMARC.
    dmarc_unknown: 451 4 . 7 . 26 "DMARC could not be checked, try again later";
    /// 550: the message has results of authentication in our name that we did not find.
    forged_results: 550 5 . 7 . 1 "Message has an Authentication-Results field in our name";
    /// 451: a limit was reached before the attachments were examined (RFC 3463 §3.8, X.7.0).
    attachments_not_examined: 451 4 . 7 . 0 "Attachments could not be examined, try again later";
    /// 452: no room in the store.
    no_room: 452 4 . 3 . 1 "Insufficient system storage";
    /// 451: the store or a plugin failed, or the deadline passed.
    local_error: 451 4 . 3 . 0 "Local error, try again later";
    /// 451: the directory that knows who exists gave no answer (RFC 3463 X.4.3).
    directory_down: 451 4 . 4 . 3 "Address cannot be verified now, try again later";
    /// 451: a limit on how much may be sent in a time.
    over_limit: 451 4 . 7 . 1 "Too much mail, try again later";
    /// 451: a stranger is to come again (RFC 6647).
    greylisted: 451 4 . 7 . 1 "Greylisted, try again later";
    /// 451: a scan that must be did not happen.
    not_scanned: 451 4 . 3 . 0 "Message cannot be scanned now, try again later";
    /// 421: too many sessions; closes.
    too_many_sessions: 421 4 . 7 . 0 "Too many connections, try again later" closing;
    /// 421: too many errors; closes.
    too_many_errors: 421 4 . 7 . 0 "Too many errors" closing;
    /// 421: the client was silent for too long; closes.
    idle_timeout: 421 4 . 4 . 2 "Timeout" closing;
    /// 421: the server is going down; closes.
    shutting_down: 421 4 . 3 . 2 "Service shutting down" closing;
}

impl Refusal {
    /// 550 5.7.1 with a plugin's own words.
    pub fn policy(text: impl Into<String>) -> Self {
        Self(Reply::new(550, Some(Enhanced(5, 7, 1)), text))
    }

    /// 552 5.7.0 with a plugin's own words: a file in the message is not let through.
    pub fn attachment(text: impl Into<String>) -> Self {
        Self(Reply::new(552, Some(Enhanced(5, 7, 0)), text))
    }

    /// Whether the client may try again (4xx).
    pub fn is_transient(&self) -> bool {
        self.0.code < 500
    }

    /// The same refusal, after which the session closes.
    pub fn and_close(self) -> Self {
        Self(self.0.closing())
    }

    /// The same refusal in place of the greeting: 554 or 421 are the codes that RFC 5321 §3.1 and
    /// §3.8 know there, and the session closes.
    pub fn instead_of_greeting(mut self) -> Self {
        self.0.code = if self.is_transient() { 421 } else { 554 };
        self.and_close()
    }

    /// The code, for logs.
    pub fn code(&self) -> u16 {
        self.0.code
    }

    /// Whether the text has a place for a link.
    pub fn wants_link(&self) -> bool {
        self.0.lines.iter().any(|line| line.contains(LINK_MARK))
    }

    /// The reply, with the link in its place. Without a link, lines that want one are left out.
    pub fn into_reply(self, link: Option<&Link>) -> Reply {
        let mut reply = self.0;
        match link {
            Some(link) => {
                let url = link.reveal();
                for line in &mut reply.lines {
                    *line = line.replace(LINK_MARK, &url);
                }
            }
            None => reply.lines.retain(|line| !line.contains(LINK_MARK)),
        }
        if reply.lines.is_empty() {
            reply.lines.push("Refused".to_owned());
        }
        reply
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
