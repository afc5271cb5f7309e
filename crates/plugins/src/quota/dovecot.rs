//! Dovecot's quota-status service: Postfix's policy protocol (SMTPD_POLICY_README), one question a
//! connection. Dovecot judges the size itself and tells no numbers.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::answer::{Answer, Standing, Told};
use super::source::Question;
use crate::scan_server::{Address, Stream};

/// Longest answer that is read, in octets.
const MAX_ANSWER: u64 = 4_096;

pub(super) struct Dovecot(Address);

impl Dovecot {
    /// Reads `//host:port` or `/path/of/a/socket`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let place = match text.strip_prefix("//") {
            Some(host) => Some(host).filter(|host| !host.starts_with('/')),
            None => Some(text).filter(|path| path.starts_with('/')),
        };
        let address = place.and_then(Address::parse);
        address.map(Self).ok_or_else(|| {
            "a Dovecot of no address; write dovecot://host:port or dovecot:/path/of/a/socket"
                .to_owned()
        })
    }

    pub(super) async fn ask(&self, question: &Question, limit: Duration) -> Result<Told, String> {
        let mut stream = self.0.connect(limit).await?;
        let fault = |error: std::io::Error| format!("{}: {error}", self.0);
        let request = request(question);
        stream.write_all(request.as_bytes()).await.map_err(fault)?;
        let answer = hear(&mut *stream).await.map_err(fault)?;
        Ok(judge(&answer))
    }
}

/// A name is printable: it cannot begin a line of its own.
fn request(question: &Question) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nprotocol_name=ESMTP\nrecipient={}\nsize={}\n\n",
        question.names.address(),
        question.size.unwrap_or(0)
    )
}

/// Everything up to the empty line, the end, or the bound.
async fn hear(stream: &mut dyn Stream) -> std::io::Result<String> {
    let mut answer = Vec::new();
    let mut bounded = stream.take(MAX_ANSWER);
    while !answer.ends_with(b"\n\n") {
        if bounded.read_buf(&mut answer).await? == 0 {
            break;
        }
    }
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

/// What an answer means. The words are Postfix's access(5); Dovecot's own are `OK`, `DUNNO`,
/// `REJECT Unknown user`, `DEFER_IF_PERMIT …`, and what `quota_status_overquota` says.
fn judge(answer: &str) -> Told {
    let action = answer.lines().find_map(|line| line.strip_prefix("action="));
    let whole = answer.ends_with("\n\n");
    let Some(action) = action.filter(|_| whole) else {
        return Err("Dovecot gives no action".to_owned());
    };
    let (word, text) = action.split_once(' ').unwrap_or((action, ""));
    let class = word.bytes().next();
    match word.to_ascii_uppercase().as_str() {
        "OK" | "DUNNO" | "PERMIT" => Ok(Answer::of(Standing::Room)),
        _ if is_over(word, text) => Ok(Answer::of(Standing::Over)),
        "REJECT" => Ok(Answer::of(Standing::Unknown)),
        _ if class == Some(b'5') && text.starts_with("5.1.") => Ok(Answer::of(Standing::Unknown)),
        _ => {
            let action: String = action.chars().take(80).collect();
            Err(format!("Dovecot says {action:?}"))
        }
    }
}

/// Mailbox full (RFC 3463 X.2.2), or message too big for it (X.2.3); without an enhanced code, 552
/// and 452 say the same (RFC 5321 §4.2.2).
fn is_over(word: &str, text: &str) -> bool {
    let enhanced = text.split(' ').next().unwrap_or_default();
    match enhanced {
        "5.2.2" | "4.2.2" | "5.2.3" | "4.2.3" => true,
        _ => matches!(word, "552" | "452"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quota::names::Names;

    #[test]
    fn the_actions_of_dovecot() {
        let standing = |action: &str| {
            let told = judge(&format!("action={action}\n\n"));
            told.ok().map(|answer| answer.judge(None))
        };
        for (action, expected) in [
            ("OK", Some(Standing::Room)),
            ("DUNNO", Some(Standing::Room)),
            ("552 5.2.2 Mailbox is full", Some(Standing::Over)),
            ("554 5.2.2 Quota exceeded", Some(Standing::Over)),
            ("552 Mailbox is full", Some(Standing::Over)),
            ("452 4.2.2 Later", Some(Standing::Over)),
            ("REJECT 5.2.2 Full", Some(Standing::Over)),
            ("REJECT Unknown user", Some(Standing::Unknown)),
            ("550 5.1.1 Unknown user", Some(Standing::Unknown)),
            ("DEFER_IF_PERMIT Internal error", None),
            ("451 4.3.0 Internal error", None),
            ("550 5.7.1 No", None),
            ("", None),
        ] {
            assert_eq!(standing(action), expected, "{action}");
        }
        for garbage in ["", "\n\n", "OK\n\n", "action=OK", "action=OK\n"] {
            assert!(judge(garbage).is_err(), "{garbage}");
        }
    }

    #[test]
    fn a_request_names_recipient_and_size() {
        let names = Names::asked("ann=b x@b.example").expect("a name");
        let size = Some(12);
        let text = request(&Question { names, size });
        assert!(
            text.ends_with("\nrecipient=ann=b x@b.example\nsize=12\n\n"),
            "{text}"
        );
    }

    #[test]
    fn an_address_is_a_host_or_a_path() {
        for good in ["//127.0.0.1:12340", "/run/dovecot/quota-status"] {
            assert!(Dovecot::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "//127.0.0.1", "127.0.0.1:12340", "///x", "x"] {
            assert!(Dovecot::parse(bad).is_err(), "{bad}");
        }
    }
}
