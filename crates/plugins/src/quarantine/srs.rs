//! The Sender Rewriting Scheme: a forwarder's own address that wraps the original sender. Only
//! addresses of our domains are unwrapped; the hash is not ours to check, and need not be:
//! unwrapping gives nobody more than claiming the inner address would.

use posthouse_hook::{DomainList, Mailbox, ReversePath};

/// Layers that are taken off; each forwarder of ours adds one.
const MAX_LAYERS: usize = 4;

/// The sender that an SRS address of ours wraps; any other sender as it is.
pub(crate) fn unwrap(sender: &ReversePath, ours: &DomainList) -> ReversePath {
    let mut sender = sender.clone();
    for _ in 0..MAX_LAYERS {
        let inner = sender
            .mailbox()
            .filter(|mailbox| mailbox.domain().is_some_and(|d| ours.contains(d)))
            .and_then(|mailbox| wrapped(mailbox.local()));
        match inner {
            Some(mailbox) => sender = ReversePath::Mailbox(mailbox),
            None => break,
        }
    }
    sender
}

/// `SRS0=hash=time=domain=local` wraps `local@domain`; `SRS1=hash=forwarder==rest` wraps the
/// address `SRS0=rest@forwarder`, for it is the forwarder who answers for the mail that reached us.
fn wrapped(local: &str) -> Option<Mailbox> {
    let (tag, rest) = local.split_at_checked(4)?;
    let rest = rest.strip_prefix(['=', '+', '-'])?;
    if tag.eq_ignore_ascii_case("SRS0") {
        let mut parts = rest.splitn(4, '=');
        let (_hash, _time) = (parts.next()?, parts.next()?);
        let (domain, inner) = (parts.next()?, parts.next()?);
        return Mailbox::parse(&format!("{inner}@{domain}")).ok();
    }
    if tag.eq_ignore_ascii_case("SRS1") {
        let mut parts = rest.splitn(3, '=');
        let (_hash, forwarder, rest) = (parts.next()?, parts.next()?, parts.next()?);
        return Mailbox::parse(&format!("SRS0{rest}@{forwarder}")).ok();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(sender: &str) -> String {
        let mut ours = DomainList::default();
        ours.add("isp.example").expect("a domain");
        let sender = ReversePath::parse(sender).expect("a path");
        unwrap(&sender, &ours).address()
    }

    #[test]
    fn our_wrapping_comes_off_and_no_other() {
        for (sender, want) in [
            ("<SRS0=aBcD=XY=a.example=bob@isp.example>", "bob@a.example"),
            ("<srs0+aBcD=XY=a.example=bob@isp.example>", "bob@a.example"),
            ("<SRS0=h=t=a.example=b=c@isp.example>", "b=c@a.example"),
            (
                "<SRS0=h=t=a.example=bob@else.example>",
                "SRS0=h=t=a.example=bob@else.example",
            ),
            (
                "<SRS1=h=f.example==g=t=a.example=bob@isp.example>",
                "SRS0=g=t=a.example=bob@f.example",
            ),
            (
                "<SRS1=h=isp.example==g=t=a.example=bob@isp.example>",
                "bob@a.example",
            ),
            (
                "<SRS0=h=t=a.example@isp.example>",
                "SRS0=h=t=a.example@isp.example",
            ),
            (
                "<SRS0=h=t=-bad-=bob@isp.example>",
                "SRS0=h=t=-bad-=bob@isp.example",
            ),
            ("<SRS0@isp.example>", "SRS0@isp.example"),
            ("<srs@isp.example>", "srs@isp.example"),
            ("<>", ""),
        ] {
            assert_eq!(unwrapped(sender), want, "{sender}");
        }
    }

    #[test]
    fn layers_are_counted() {
        let mut sender = "x@a.example".to_owned();
        for _ in 0..2 {
            let (local, domain) = sender.split_once('@').expect("an address");
            sender = format!("SRS0=h=t={domain}={local}@isp.example");
        }
        assert_eq!(unwrapped(&format!("<{sender}>")), "x@a.example");
    }
}
