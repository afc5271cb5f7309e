//! Links: what lets a person act on what is held, and nothing more.
//!
//! A link's secret is 128 bits of HMAC-SHA-256 over (kind, id, party, generation) under a key in
//! the state directory. It is never stored: it can be made again, and is revoked by raising the
//! generation. A [`Link`] prints as `<link item 17>`; only [`Link::reveal`] shows the secret.

use std::fmt;
use std::sync::Arc;

use data_encoding::BASE32_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::id::Id;

/// Octets of id and of secret in a token.
const ID_LEN: usize = 8;
const SECRET_LEN: usize = 16;
/// Characters of a token: 24 octets in base 32, which survives a change of case.
pub const TOKEN_LEN: usize = 39;

/// What a link lets its holder do. No link acts beyond its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LinkKind {
    /// One held message, its sender.
    Item,
    /// All that is held for one recipient.
    Address,
    /// One pending choice.
    Confirm,
    /// Letters to one recipient: stop them, nothing else.
    Stop,
    /// All that is held from one sender.
    Manage,
}

impl LinkKind {
    /// Every kind.
    pub const ALL: [Self; 5] = [
        Self::Item,
        Self::Address,
        Self::Confirm,
        Self::Stop,
        Self::Manage,
    ];

    /// The first segment of the link's path.
    pub fn segment(self) -> &'static str {
        match self {
            Self::Item => "i",
            Self::Address => "a",
            Self::Confirm => "c",
            Self::Stop => "s",
            Self::Manage => "m",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Item => "item",
            Self::Address => "address",
            Self::Confirm => "confirm",
            Self::Stop => "stop",
            Self::Manage => "manage",
        }
    }
}

/// A link with its secret. It prints without it.
#[derive(Clone)]
pub struct Link {
    kind: LinkKind,
    id: Id,
    secret: [u8; SECRET_LEN],
    base: Arc<str>,
}

impl Link {
    /// The URL, secret included: for the reply, the letter and the page that it was made for.
    pub fn reveal(&self) -> String {
        format!("{}/{}/{}", self.base, self.kind.segment(), self.token())
    }

    /// The last segment of the URL.
    pub fn token(&self) -> String {
        let mut bytes = [0; ID_LEN + SECRET_LEN];
        bytes[..ID_LEN].copy_from_slice(&self.id.0.to_be_bytes());
        bytes[ID_LEN..].copy_from_slice(&self.secret);
        BASE32_NOPAD.encode(&bytes).to_ascii_lowercase()
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<link {} {}>", self.kind.name(), self.id)
    }
}

/// What a token claims. Worth nothing until [`LinkKey::proves`] says so.
#[derive(Clone)]
pub struct LinkClaim {
    /// The kind, from the path.
    pub kind: LinkKind,
    /// What the link is about: a row of the ledger, to be looked up.
    pub id: Id,
    secret: [u8; SECRET_LEN],
}

impl LinkClaim {
    /// Reads a token; `None` if it is not of a token's form.
    pub fn parse(kind: LinkKind, token: &str) -> Option<Self> {
        if token.len() != TOKEN_LEN || !token.is_ascii() {
            return None;
        }
        let bytes = BASE32_NOPAD
            .decode(token.to_ascii_uppercase().as_bytes())
            .ok()?;
        let (id, secret) = bytes.split_at_checked(ID_LEN)?;
        Some(Self {
            kind,
            id: Id(i64::from_be_bytes(id.try_into().ok()?)),
            secret: secret.try_into().ok()?,
        })
    }
}

impl fmt::Debug for LinkClaim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<claim {} {}>", self.kind.name(), self.id)
    }
}

/// The text with every token of a link replaced: what a peer quotes of our links (a next hop that
/// refuses a letter for the URL in it) must not reach a log.
pub fn redact(text: &str) -> String {
    let is_token = |word: &str| {
        word.len() >= TOKEN_LEN
            && word.is_char_boundary(TOKEN_LEN)
            && LinkClaim::parse(LinkKind::Item, &word[..TOKEN_LEN]).is_some()
    };
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('/').peekable();
    while let Some(piece) = pieces.next() {
        if is_token(piece) {
            out.push_str("<link>");
            out.push_str(&piece[TOKEN_LEN..]);
        } else {
            out.push_str(piece);
        }
        if pieces.peek().is_some() {
            out.push('/');
        }
    }
    out
}

/// The key that makes and proves links, and the URL under which the pages are reached.
#[derive(Clone)]
pub struct LinkKey {
    secret: [u8; 32],
    base: Arc<str>,
}

impl fmt::Debug for LinkKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<link key for {}>", self.base)
    }
}

impl LinkKey {
    /// A key, and the `[web] url` without its final slash.
    pub fn new(secret: [u8; 32], base: &str) -> Self {
        Self {
            secret,
            base: base.trim_end_matches('/').into(),
        }
    }

    /// The URL under which the pages are reached, without a final slash.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The length of every link in octets.
    pub fn link_len(&self) -> usize {
        self.base.len() + "/i/".len() + TOKEN_LEN
    }

    /// Makes the link of one kind to one row for one party, in lower case.
    pub fn mint(&self, kind: LinkKind, id: Id, party: &str, generation: u32) -> Link {
        Link {
            kind,
            id,
            secret: self.secret_of(kind, id, party, generation),
            base: Arc::clone(&self.base),
        }
    }

    /// Whether the claim was made by [`LinkKey::mint`] for this party and generation.
    pub fn proves(&self, claim: &LinkClaim, party: &str, generation: u32) -> bool {
        let want = self.secret_of(claim.kind, claim.id, party, generation);
        want.ct_eq(&claim.secret).into()
    }

    /// A form token: proves that the form came from a page that we made for this link.
    pub fn form_token(&self, claim: &LinkClaim) -> String {
        let mac = self.mac(&[b"form", claim.kind.segment().as_bytes(), &claim.secret]);
        BASE32_NOPAD.encode(&mac).to_ascii_lowercase()
    }

    /// Whether a form token is the one of this link.
    pub fn proves_form(&self, claim: &LinkClaim, token: &str) -> bool {
        let want = self.form_token(claim);
        want.as_bytes().ct_eq(token.as_bytes()).into()
    }

    /// A form token for the page that needs no link, for one day (any count of days): proves that
    /// the form came from a page that we made on that day.
    pub fn site_form_token(&self, day: i64) -> String {
        let mac = self.mac(&[b"site form", &day.to_be_bytes()]);
        BASE32_NOPAD.encode(&mac).to_ascii_lowercase()
    }

    /// Whether a form token is the one of that day.
    pub fn proves_site_form(&self, token: &str, day: i64) -> bool {
        let want = self.site_form_token(day);
        want.as_bytes().ct_eq(token.as_bytes()).into()
    }

    fn secret_of(&self, kind: LinkKind, id: Id, party: &str, generation: u32) -> [u8; SECRET_LEN] {
        let party = party.to_ascii_lowercase();
        self.mac(&[
            kind.segment().as_bytes(),
            &id.0.to_be_bytes(),
            &generation.to_be_bytes(),
            party.as_bytes(),
        ])
    }

    /// The first 128 bits of the HMAC over the parts, each behind its length.
    fn mac(&self, parts: &[&[u8]]) -> [u8; SECRET_LEN] {
        // HMAC takes a key of any length, so this cannot fail.
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&self.secret)
            .unwrap_or_else(|_| unreachable!("HMAC takes any key"));
        for part in parts {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let whole = mac.finalize().into_bytes();
        let mut out = [0; SECRET_LEN];
        out.copy_from_slice(&whole[..SECRET_LEN]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> LinkKey {
        LinkKey::new([1; 32], "https://out.isp.example/")
    }

    #[test]
    fn a_link_proves_only_what_it_was_made_for() {
        let link = key().mint(LinkKind::Item, Id(17), "Ann@x.example", 3);
        let claim = LinkClaim::parse(LinkKind::Item, &link.token()).expect("a token");
        assert_eq!(claim.id, Id(17));
        assert!(key().proves(&claim, "ann@x.example", 3));
        assert!(!key().proves(&claim, "bob@x.example", 3));
        assert!(!key().proves(&claim, "ann@x.example", 4));
        let other = LinkClaim::parse(LinkKind::Address, &link.token()).expect("a token");
        assert!(!key().proves(&other, "ann@x.example", 3));
        assert!(!LinkKey::new([2; 32], "x").proves(&claim, "ann@x.example", 3));
    }

    #[test]
    fn links_print_without_their_secret() {
        let link = key().mint(LinkKind::Item, Id(17), "a@x.example", 0);
        assert_eq!(format!("{link} {link:?}"), "<link item 17> <link item 17>");
        assert_eq!(link.reveal().len(), key().link_len());
        assert!(link.reveal().starts_with("https://out.isp.example/i/"));
    }

    #[test]
    fn a_quoted_link_loses_its_secret() {
        let link = key().mint(LinkKind::Address, Id(17), "a@x.example", 0);
        let quoted = format!(
            "550 listed URL <{}>, see https://x.example/i/why",
            link.reveal()
        );
        assert_eq!(
            redact(&quoted),
            "550 listed URL <https://out.isp.example/a/<link>>, see https://x.example/i/why"
        );
        let upper = link.reveal().to_uppercase();
        assert!(!redact(&upper).contains(&link.token().to_uppercase()));
        assert_eq!(redact("/é"), "/é");
    }

    #[test]
    fn a_form_of_the_site_is_proven_for_its_day() {
        let token = key().site_form_token(20_000);
        assert!(key().proves_site_form(&token, 20_000));
        assert!(!key().proves_site_form(&token, 20_001));
        assert!(!key().proves_site_form("", 20_000));
        assert!(!LinkKey::new([2; 32], "x").proves_site_form(&token, 20_000));
    }

    #[test]
    fn malformed_tokens_claim_nothing() {
        let long = "a".repeat(TOKEN_LEN + 1);
        let odd = "1".repeat(TOKEN_LEN);
        let wide = "ü".repeat(TOKEN_LEN);
        for token in ["", "a", "../../etc", &long, &odd, &wide] {
            assert!(LinkClaim::parse(LinkKind::Item, token).is_none(), "{token}");
        }
    }
}
