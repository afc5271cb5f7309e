//! Messages of our own making, letters and DSNs: the header section, through lettre's typed and
//! encoded fields, never from a template.

use std::time::{Duration, UNIX_EPOCH};

use lettre::message::header::{Date, HeaderName, HeaderValue, Headers};
use posthouse_hook::{Domain, ForwardPath, Id, Timestamp};

/// Why we write (RFC 3834 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Auto {
    /// A letter: nobody asked for it.
    Generated,
    /// A DSN: it answers a message.
    Replied,
}

/// The fields above the content.
pub(crate) struct Sheet<'a> {
    /// From, as RFC 5322 writes it.
    pub(crate) from: String,
    pub(crate) to: &'a ForwardPath,
    pub(crate) subject: &'a str,
    pub(crate) date: Timestamp,
    /// Names the message in its Message-ID.
    pub(crate) id: Id,
    pub(crate) auto: Auto,
    /// The URL of a one-click unsubscribe (RFC 8058).
    pub(crate) unsubscribe: Option<&'a str>,
    /// Our own host name.
    pub(crate) ours: &'a Domain,
}

impl Sheet<'_> {
    /// The whole message: these fields, then a formatted part with fields of its own.
    pub(crate) fn over(&self, part: &[u8]) -> Vec<u8> {
        let mut message = self.headers().to_string().into_bytes();
        message.extend_from_slice(part);
        if !message.ends_with(b"\r\n") {
            message.extend_from_slice(b"\r\n");
        }
        message
    }

    fn headers(&self) -> Headers {
        let mut headers = Headers::new();
        headers.set(Date::new(UNIX_EPOCH + since_epoch(self.date)));
        let to = match self.to {
            ForwardPath::Postmaster => format!("postmaster@{}", self.ours),
            ForwardPath::Mailbox(mailbox) => mailbox.to_string(),
        };
        let auto = match self.auto {
            Auto::Generated => "auto-generated",
            Auto::Replied => "auto-replied",
        };
        for (name, value) in [
            (HeaderName::new_from_ascii_str("From"), self.from.clone()),
            (HeaderName::new_from_ascii_str("To"), to),
            (
                HeaderName::new_from_ascii_str("Subject"),
                self.subject.to_owned(),
            ),
            (
                HeaderName::new_from_ascii_str("Message-ID"),
                format!("<{}@{}>", self.id, self.ours),
            ),
            (
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                auto.to_owned(),
            ),
            (
                HeaderName::new_from_ascii_str("MIME-Version"),
                "1.0".to_owned(),
            ),
        ] {
            headers.insert_raw(HeaderValue::new(name, value));
        }
        if let Some(url) = self.unsubscribe {
            one_click(&mut headers, url);
        }
        headers
    }
}

/// RFC 8058 §3.1. The URL is ours, of printable ASCII, and must not be folded.
fn one_click(headers: &mut Headers, url: &str) {
    let fields = [
        (
            HeaderName::new_from_ascii_str("List-Unsubscribe"),
            format!("<{url}>"),
        ),
        (
            HeaderName::new_from_ascii_str("List-Unsubscribe-Post"),
            "List-Unsubscribe=One-Click".to_owned(),
        ),
    ];
    for (name, value) in fields {
        headers.insert_raw(HeaderValue::dangerous_new_pre_encoded(
            name,
            value.clone(),
            value,
        ));
    }
}

fn since_epoch(time: Timestamp) -> Duration {
    Duration::from_secs(u64::try_from(time.seconds()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_whole_whatever_stands_in_them() {
        let to = ForwardPath::from_address("\"a b\"@x_y.example").expect("valid");
        let sheet = Sheet {
            from: "MAILER-DAEMON@out.isp.example".to_owned(),
            to: &to,
            subject: "Gr\u{fc}\u{df}e\r\nBcc: all@example.com",
            date: Timestamp(1_000_000_000_000),
            id: Id(17),
            auto: Auto::Replied,
            unsubscribe: None,
            ours: &Domain::parse("out.isp.example").expect("valid"),
        };
        let text = String::from_utf8(sheet.over(b"\r\nbody")).expect("ASCII");
        let names: Vec<_> = text
            .lines()
            .filter_map(|line| line.split(": ").next())
            .collect();
        let want = [
            "Date",
            "From",
            "To",
            "Subject",
            "Message-ID",
            "Auto-Submitted",
            "MIME-Version",
        ];
        assert!(names.starts_with(&want), "{text}");
        assert!(
            text.contains("Date: Sun, 09 Sep 2001 01:46:40 +0000\r\n"),
            "{text}"
        );
        assert!(text.contains("To: \"a b\"@x_y.example\r\n"), "{text}");
        assert!(
            text.contains("Message-ID: <17@out.isp.example>\r\n"),
            "{text}"
        );
        assert!(!text.contains("\r\nBcc"), "{text}");
        assert!(text.ends_with("\r\n\r\nbody\r\n"), "{text}");
    }
}
