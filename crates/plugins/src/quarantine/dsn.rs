//! The DSN rule: a DSN that quotes a live link of ours passes unscanned, a few times an item. Else
//! the bounce that another server makes of our own 552, spam quoted, would vanish in our
//! quarantine, and the sender would never see the link.

use std::collections::HashSet;

use memchr::memmem;
use posthouse_hook::link::TOKEN_LEN;
use posthouse_hook::plugin::PluginError;
use posthouse_hook::{Content, Id, LinkClaim, LinkKind};
use posthouse_store::{Proven, Store};

/// How much of a message is searched; a DSN says what it has to say first.
const MAX_READ: u64 = 256 * 1024;
/// How many different claims are looked up.
const MAX_CLAIMS: usize = 8;
/// How many messages one link lets pass.
const MAX_PASSES: u32 = 3;

/// The held item whose live link the message quotes, if it may pass for that once more.
pub(super) async fn passes(store: &Store, content: &Content) -> Result<Option<Id>, PluginError> {
    let head = content.head(MAX_READ).await.map_err(PluginError::new)?;
    for claim in claims(&head, store.link_key().base()) {
        let proven = store.prove(&claim).await.map_err(PluginError::new)?;
        let Some(Proven::Item(item)) = proven else {
            continue;
        };
        // `explain` beside a server only looks.
        let passes = store.is_read_only()
            || store
                .count_about(item.id, "dsn", MAX_PASSES)
                .await
                .map_err(PluginError::new)?;
        if passes {
            return Ok(Some(item.id));
        }
    }
    Ok(None)
}

/// What looks like an item link of ours: in the bytes as they are, in quoted-printable, and, if
/// neither shows one, in the decoded parts of the message.
fn claims(message: &[u8], base: &str) -> Vec<LinkClaim> {
    let mut found = Found::new(base);
    found.search(message);
    found.search(&without_quoted_printable(message));
    if found.claims.is_empty() {
        found.search_parts(message);
    }
    found.claims
}

struct Found {
    start: String,
    seen: HashSet<String>,
    claims: Vec<LinkClaim>,
}

impl Found {
    fn new(base: &str) -> Self {
        Self {
            start: format!("{base}/{}/", LinkKind::Item.segment()),
            seen: HashSet::new(),
            claims: Vec::new(),
        }
    }

    fn search(&mut self, bytes: &[u8]) {
        let start = self.start.clone();
        for at in memmem::find_iter(bytes, start.as_bytes()) {
            if self.claims.len() >= MAX_CLAIMS {
                return;
            }
            let begin = at + start.len();
            let token = bytes.get(begin..begin + TOKEN_LEN);
            let token = token.and_then(|token| std::str::from_utf8(token).ok());
            self.add(token.unwrap_or_default());
        }
    }

    fn add(&mut self, token: &str) {
        let token = token.to_ascii_lowercase();
        if let Some(claim) = LinkClaim::parse(LinkKind::Item, &token)
            && self.seen.insert(token)
        {
            self.claims.push(claim);
        }
    }

    fn search_parts(&mut self, message: &[u8]) {
        let parsed = mail_parser::MessageParser::default().parse(message);
        for part in parsed.iter().flat_map(|message| &message.parts) {
            self.search(part.contents());
        }
    }
}

/// The bytes with soft line ends taken out and `=2F` undone (RFC 2045 §6.7), whatever the part's
/// encoding: a wrong guess only finds nothing.
fn without_quoted_printable(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some(at) = memchr::memchr(b'=', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        if let Some(after) = soft_line_end(rest) {
            rest = after;
        } else if let Some((b, after)) = hex_octet(rest) {
            out.push(b);
            rest = after;
        } else {
            out.push(b'=');
        }
    }
    out.extend_from_slice(rest);
    out
}

/// What follows a soft line end; an MTA may have added blanks before the CRLF.
fn soft_line_end(bytes: &[u8]) -> Option<&[u8]> {
    let blanks = bytes.iter().take_while(|b| matches!(b, b' ' | b'\t'));
    let bytes = &bytes[blanks.count()..];
    bytes
        .strip_prefix(b"\r\n")
        .or_else(|| bytes.strip_prefix(b"\n"))
}

fn hex_octet(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_at_checked(2)?;
    let digit = |b: u8| char::from(b).to_digit(16);
    let value = digit(digits[0])? * 16 + digit(digits[1])?;
    Some((u8::try_from(value).ok()?, rest))
}

#[cfg(test)]
mod tests {
    use posthouse_hook::LinkKey;

    use super::*;

    const BASE: &str = "https://out.isp.example";

    fn link() -> String {
        let key = LinkKey::new([3; 32], BASE);
        key.mint(LinkKind::Item, Id(17), "a@x.example", 0).reveal()
    }

    fn ids(text: &str) -> Vec<i64> {
        claims(text.as_bytes(), BASE)
            .iter()
            .map(|c| c.id.0)
            .collect()
    }

    #[test]
    fn a_link_is_found_however_it_is_quoted() {
        let link = link();
        let (one, two) = link.split_at(40);
        let in_base64 = data_encoding_of(&format!("Diagnostic: 552 {link}\r\n"));
        for text in [
            format!("552 5.7.1 open {link} to release\r\n"),
            format!("{link}{link}"),
            format!("open {one}=\r\n{two}"),
            format!("open {one}= \t\r\n{two}"),
            format!("open {}", link.replace('/', "=2F").replace(':', "=3a")),
            format!("open {BASE}/i/{}", link[BASE.len() + 3..].to_uppercase()),
            format!(
                "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\
                 Content-Transfer-Encoding: base64\r\n\r\n{in_base64}\r\n"
            ),
        ] {
            assert_eq!(ids(&text), [17], "{text}");
        }
    }

    #[test]
    fn other_things_are_no_links() {
        let link = link();
        for text in [
            String::new(),
            link.replace("out.isp", "evil"),
            link.replace("/i/", "/a/"),
            link[..link.len() - 1].to_owned(),
            format!("{BASE}/i/"),
            format!("{BASE}/i/{}", "é".repeat(39)),
            "=".repeat(1000),
            "=\r".to_owned(),
        ] {
            assert_eq!(ids(&text), [0; 0], "{text}");
        }
    }

    #[test]
    fn many_claims_are_cut_short() {
        let key = LinkKey::new([3; 32], BASE);
        let links = (0..100).map(|n| key.mint(LinkKind::Item, Id(n), "a", 0).reveal());
        let text = links.collect::<Vec<_>>().join("\r\n");
        assert_eq!(ids(&text).len(), MAX_CLAIMS);
    }

    fn data_encoding_of(text: &str) -> String {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut out = String::new();
        for chunk in text.as_bytes().chunks(3) {
            let bits = chunk.iter().fold(0_u32, |n, b| n << 8 | u32::from(*b));
            let bits = bits << (8 * (3 - chunk.len()));
            for at in 0..=chunk.len() {
                let six = usize::try_from(bits >> (18 - 6 * at) & 63).expect("six bits");
                out.push(char::from(ALPHABET[six]));
            }
            out.push_str(&"=".repeat(3 - chunk.len()));
        }
        out
    }
}
