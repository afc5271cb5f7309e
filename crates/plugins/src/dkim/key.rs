//! Public keys: their records in DNS (RFC 6376 §3.6.1, RFC 8463 §4), and what they verify.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use data_encoding::BASE64;
use futures_util::future::join_all;
use posthouse_hook::proofs::Verified;
use posthouse_hook::{Domain, LookupError, Resolver};
use ring::signature::{
    ED25519, RSA_PKCS1_1024_8192_SHA256_FOR_LEGACY_USE_ONLY as RSA, UnparsedPublicKey,
};
use sha2::{Digest as _, Sha256};

use super::Fault;
use super::tags::Tags;

/// Least bits of an RSA key (RFC 8301 §3.2).
const MIN_BITS: usize = 1024;
/// Records at one name that are looked at.
const MAX_RECORDS: usize = 4;

/// How something is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    RsaSha256,
    Ed25519Sha256,
    /// Known, and never verified (RFC 8301 §3.1).
    RsaSha1,
}

impl Algorithm {
    /// Reads `a=`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        match text {
            "rsa-sha256" => Some(Self::RsaSha256),
            "ed25519-sha256" => Some(Self::Ed25519Sha256),
            "rsa-sha1" => Some(Self::RsaSha1),
            _ => None,
        }
    }

    /// As it is written.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::RsaSha256 => "rsa-sha256",
            Self::Ed25519Sha256 => "ed25519-sha256",
            Self::RsaSha1 => "rsa-sha1",
        }
    }
}

/// A public key, in DER for RSA, bare for Ed25519.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Public {
    Rsa(Vec<u8>),
    Ed25519(Vec<u8>),
}

/// What a key record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    public: Public,
    /// `t=s`: `i=` must be `d=` itself.
    pub(crate) exact: bool,
    /// `t=y`: the domain is trying DKIM out.
    pub(crate) testing: bool,
}

const BROKEN: Fault = Fault(Verified::PermError, "the key record is broken");

impl Key {
    /// Reads a record.
    fn parse(record: &[u8]) -> Result<Self, Fault> {
        let text = std::str::from_utf8(record).map_err(|_| BROKEN)?;
        let tags = Tags::parse(text).ok_or(BROKEN)?;
        let version = tags.get("v");
        if version.is_some() && (version != Some("DKIM1") || tags.first() != Some("v")) {
            return Err(BROKEN);
        }
        let lists = |name: &str, one_of: &[&str]| match tags.squeezed(name) {
            Some(list) => list.split(':').any(|word| one_of.contains(&word)),
            None => true,
        };
        if !lists("h", &["sha256"]) || !lists("s", &["*", "email"]) {
            return Err(Fault(Verified::PermError, "the key is not for this"));
        }
        let flag = |word| tags.get("t").is_some() && lists("t", &[word]);
        let (exact, testing) = (flag("s"), flag("y"));
        let public = public(tags.get("k"), &tags.squeezed("p").ok_or(BROKEN)?)?;
        Ok(Self {
            public,
            exact,
            testing,
        })
    }

    /// Whether the signature over `data` is by this key.
    pub(crate) fn verify(
        &self,
        algorithm: Algorithm,
        data: &[u8],
        signature: &[u8],
    ) -> Result<(), Fault> {
        let verified = match (algorithm, &self.public) {
            (Algorithm::RsaSha256, Public::Rsa(key)) => {
                strong(key)?;
                UnparsedPublicKey::new(&RSA, key).verify(data, signature)
            }
            (Algorithm::Ed25519Sha256, Public::Ed25519(key)) => {
                UnparsedPublicKey::new(&ED25519, key).verify(&Sha256::digest(data), signature)
            }
            _ => return Err(Fault(Verified::PermError, "the key is of another kind")),
        };
        verified.map_err(|_| Fault(Verified::Fail, "the signature does not verify"))
    }
}

fn public(kind: Option<&str>, encoded: &str) -> Result<Public, Fault> {
    if encoded.is_empty() {
        return Err(Fault(Verified::PermError, "the key is revoked"));
    }
    let bytes = BASE64.decode(encoded.as_bytes()).map_err(|_| BROKEN)?;
    match kind.unwrap_or("rsa") {
        "rsa" => Ok(Public::Rsa(bare_rsa(&bytes).to_vec())),
        "ed25519" => Ok(Public::Ed25519(bytes)),
        _ => Err(Fault(Verified::PermError, "the key is of an unknown kind")),
    }
}

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;

/// The `RSAPublicKey` inside a `SubjectPublicKeyInfo`, or the octets as they are.
fn bare_rsa(bytes: &[u8]) -> &[u8] {
    let inside = || {
        let (info, _) = der(SEQUENCE, bytes)?;
        let (_, rest) = der(SEQUENCE, info)?;
        let (bits, _) = der(BIT_STRING, rest)?;
        bits.strip_prefix(&[0])
    };
    inside().unwrap_or(bytes)
}

/// Refuses RSA keys that are too short to prove anything.
fn strong(key: &[u8]) -> Result<(), Fault> {
    let (inside, _) = der(SEQUENCE, key).ok_or(BROKEN)?;
    let (modulus, _) = der(INTEGER, inside).ok_or(BROKEN)?;
    let zeros = modulus.iter().take_while(|b| **b == 0).count();
    let first = modulus.get(zeros).ok_or(BROKEN)?;
    let bits = (modulus.len() - zeros) * 8 - first.leading_zeros() as usize;
    match bits >= MIN_BITS {
        true => Ok(()),
        false => Err(Fault(Verified::Fail, "the key is too short")),
    }
}

/// One element of DER: its content, and what follows it.
fn der(tag: u8, bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = bytes.strip_prefix(&[tag])?;
    let (first, rest) = rest.split_first()?;
    let (len, rest) = match first {
        0..=0x7f => (usize::from(*first), rest),
        0x81..=0x83 => {
            let (len, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            let add = |sum, b: &u8| sum << 8 | usize::from(*b);
            (len.iter().fold(0, add), rest)
        }
        _ => return None,
    };
    rest.split_at_checked(len)
}

/// Where a key stands; none if DNS could not be asked for it.
pub(crate) fn place(selector: &str, domain: &Domain) -> Option<Domain> {
    Domain::for_query(&format!("{selector}._domainkey.{domain}"))
}

/// The records of several keys, asked for at once.
pub(crate) struct Keys(HashMap<Domain, Result<Vec<Vec<u8>>, Fault>>);

impl Keys {
    /// Asks for each name once; what is not there `within` that time is a temporary error.
    pub(crate) async fn fetch(
        resolver: &dyn Resolver,
        names: impl Iterator<Item = Domain>,
        within: Duration,
    ) -> Self {
        let names: BTreeSet<Domain> = names.collect();
        let ask = |name: Domain| async move {
            let answer = tokio::time::timeout(within, resolver.txt(&name)).await;
            let records = match answer {
                Ok(Ok(records)) => Ok(records),
                Ok(Err(LookupError::NotFound)) => Err(Fault(Verified::PermError, "no key")),
                Ok(Err(LookupError::Temporary(_))) | Err(_) => {
                    Err(Fault(Verified::TempError, "DNS did not answer for the key"))
                }
            };
            (name, records)
        };
        Self(
            join_all(names.into_iter().map(ask))
                .await
                .into_iter()
                .collect(),
        )
    }

    /// The first record at that name that is a key; else what is wrong with the first.
    pub(crate) fn find(&self, name: &Domain) -> Result<Key, Fault> {
        let records = self.0.get(name).ok_or(BROKEN)?;
        let records = records.as_ref().map_err(|fault| *fault)?;
        let mut keys = records
            .iter()
            .take(MAX_RECORDS)
            .map(|record| Key::parse(record));
        let first = keys
            .next()
            .unwrap_or(Err(Fault(Verified::PermError, "no key")));
        first.or_else(|fault| keys.find_map(Result::ok).ok_or(fault))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED25519_KEY: &str = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn records_are_read_strictly() {
        let fault = |record: &str| Key::parse(record.as_bytes()).err().map(|fault| fault.1);
        for (record, want) in [
            ("k=ed25519; KEY", None),
            (
                "v=DKIM1; k=ed25519; s=email; h=sha1 : sha256; n=hi; KEY;",
                None,
            ),
            ("k=ed25519; v=DKIM1; KEY", Some(BROKEN.1)),
            ("v=DKIM2; k=ed25519; KEY", Some(BROKEN.1)),
            ("v=DKIM1; k=ed25519", Some(BROKEN.1)),
            ("v=DKIM1; p=!", Some(BROKEN.1)),
            ("v=spf1 -all", Some(BROKEN.1)),
            ("v=DKIM1; p=", Some("the key is revoked")),
            ("v=DKIM1; k=dsa; KEY", Some("the key is of an unknown kind")),
            ("v=DKIM1; h=sha1; KEY", Some("the key is not for this")),
            ("v=DKIM1; s=web; KEY", Some("the key is not for this")),
        ] {
            assert_eq!(fault(&record.replace("KEY", ED25519_KEY)), want, "{record}");
        }
        let key = Key::parse(format!("k=ed25519; t=y : s; {ED25519_KEY}").as_bytes());
        let key = key.expect("a key");
        assert!(key.exact && key.testing);
    }

    #[test]
    fn short_rsa_keys_prove_nothing() {
        let modulus = |octets: usize, first: u8| {
            let mut number = vec![first];
            number.resize(octets, 1);
            let len = u16::try_from(octets).expect("small").to_be_bytes();
            let body = [&[INTEGER, 0x82, len[0], len[1]][..], &number].concat();
            let len = u16::try_from(body.len()).expect("small").to_be_bytes();
            [&[SEQUENCE, 0x82, len[0], len[1]][..], &body].concat()
        };
        assert_eq!(strong(&modulus(128, 0x80)), Ok(()));
        assert!(strong(&modulus(128, 0x7f)).is_err(), "1023 bits");
        assert!(strong(&modulus(64, 0x80)).is_err());
        assert_eq!(strong(b""), Err(BROKEN));
    }

    proptest::proptest! {
        #[test]
        fn any_octets_are_survived(record in ".{0,80}", key in proptest::collection::vec(0_u8.., 0..80)) {
            let _ = Key::parse(record.as_bytes());
            let key = Key { public: Public::Rsa(bare_rsa(&key).to_vec()), exact: false, testing: false };
            proptest::prop_assert!(key.verify(Algorithm::RsaSha256, b"x", b"y").is_err());
        }
    }
}
