//! SPF (RFC 7208): may this address send mail for that domain?
//!
//! One question, [`check`], answered through the resolver port alone, so that a test needs no DNS
//! and nothing is looked up behind its back. Explanations (`exp=`) are checked for form but never
//! fetched: the client hears bland text. Why this is not a library's work: docs/spf.md.

mod evaluate;
mod macros;
mod plugin;
mod record;

use std::net::IpAddr;

use posthouse_hook::{Domain, Resolver, Spf};

use evaluate::Evaluation;
pub(crate) use plugin::build;

/// Who sends, from where: what SPF is asked about, and what macros expand to.
pub(crate) struct Identity<'a> {
    /// The address that is to be authorised.
    pub(crate) ip: IpAddr,
    /// The HELO or EHLO name.
    pub(crate) helo: &'a str,
    /// The sender's local-part; never empty.
    pub(crate) local: &'a str,
    /// The sender's domain.
    pub(crate) domain: &'a str,
}

/// RFC 7208's `check_host()` for the MAIL FROM identity, or, with an empty `sender` (the null
/// reverse-path), for the HELO identity (§2.4).
///
/// At most 10 terms that need DNS, two of them void, and 10 names a term are looked up (§4.6.4).
pub async fn check(resolver: &dyn Resolver, ip: IpAddr, helo: &str, sender: &str) -> Spf {
    let (local, domain) = sender.rsplit_once('@').unwrap_or(("", sender));
    let identity = Identity {
        ip: ip.to_canonical(),
        helo,
        local: if local.is_empty() {
            "postmaster"
        } else {
            local
        },
        domain: if sender.is_empty() { helo } else { domain },
    };
    match asked_domain(identity.domain) {
        Some(domain) => Evaluation::new(resolver, &identity).run(domain).await,
        None => Spf::None,
    }
}

/// The domain, if it is one that could have a record: more than one label, no literal (§4.3).
fn asked_domain(text: &str) -> Option<Domain> {
    let domain = Domain::for_query(text)?;
    let plain = !text.starts_with('[') && domain.as_str().contains('.');
    plain.then_some(domain)
}

#[cfg(test)]
mod tests;
