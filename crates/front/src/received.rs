//! Our own Received field (RFC 5321 §4.4), which is prepended to what we relay.
//!
//! `from HELO ([IP]) by HOSTNAME (Posthouse) with ESMTP id ID; DATE`, folded. Nothing of a client's
//! goes in but its HELO name, and that only if it is a domain or an address literal.

use posthouse_hook::{Domain, Host, Id, Session, Timestamp};

/// The field for one transaction, final CRLF included. No line is longer than 998 octets: names
/// have at most 255.
pub fn received(session: &Session, hostname: &Domain, id: Id, now: Timestamp) -> String {
    let helo = session
        .helo
        .as_deref()
        .and_then(|name| Host::parse(name).ok());
    let helo = helo.map_or_else(|| "unknown".to_owned(), |host| host.to_string());
    let client = Host::Literal(session.client_ip());
    let protocol = protocol(session);
    let date = date(now);
    format!(
        "Received: from {helo} ({client})\r\n\tby {hostname} (Posthouse) with {protocol} id {id};\r\n\t{date}\r\n"
    )
}

/// The transmission type (RFC 3848).
fn protocol(session: &Session) -> &'static str {
    match (session.esmtp, &session.auth) {
        (false, _) => "SMTP",
        (true, None) => "ESMTP",
        (true, Some(_)) => "ESMTPA",
    }
}

/// A date of RFC 5322 §3.3, in UTC.
fn date(now: Timestamp) -> String {
    let moment = jiff::Timestamp::from_millisecond(now.millis()).unwrap_or_default();
    moment.strftime("%a, %d %b %Y %H:%M:%S +0000").to_string()
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn field(client: IpAddr, helo: Option<&str>) -> String {
        let client = (client, 1024).into();
        let mut session = Session::new(Id(1), client, client, Timestamp(0));
        session.helo = helo.map(str::to_owned);
        session.esmtp = true;
        let hostname = Domain::parse("out.isp.example").expect("valid");
        received(&session, &hostname, Id(42), Timestamp(1_795_156_086_000))
    }

    #[test]
    fn the_form() {
        assert_eq!(
            field([192, 0, 2, 1].into(), Some("mail.example")),
            "Received: from mail.example ([192.0.2.1])\r\n\
             \tby out.isp.example (Posthouse) with ESMTP id 42;\r\n\
             \tFri, 20 Nov 2026 06:28:06 +0000\r\n"
        );
    }

    #[test]
    fn six_is_tagged_and_junk_is_unknown() {
        let v6: IpAddr = "2001:db8::1".parse().expect("valid");
        let field = field(v6, Some("a) by evil (\r\nX: y"));
        assert!(
            field.starts_with("Received: from unknown ([IPv6:2001:db8::1])\r\n"),
            "{field}"
        );
    }
}
