//! A signature's field (RFC 6376 §3.5), and the checks that need neither the body nor a key.

use std::collections::HashMap;

use data_encoding::BASE64;
use posthouse_hook::proofs::Verified;
use posthouse_hook::{Domain, Field, Header};

use super::Fault;
use super::canonical::{Canon, field, own_field};
use super::key::{Algorithm, Key, Keys, place};
use super::tags::Tags;

/// Characters of `b=` that tell signatures apart (RFC 6008 §4).
const SHOWN: usize = 8;

/// What a field says.
#[derive(Debug, Clone)]
pub(crate) struct Signature {
    /// `d=`
    pub(crate) domain: Domain,
    /// `s=`
    pub(crate) selector: String,
    /// `a=`
    pub(crate) algorithm: Algorithm,
    /// `b=`
    signature: Vec<u8>,
    /// `bh=`
    pub(crate) body_hash: Vec<u8>,
    /// `c=`
    header: Canon,
    pub(crate) body: Canon,
    /// `l=`
    pub(crate) length: Option<u64>,
    /// `h=`, in lower case.
    pub(crate) signed: Vec<String>,
    /// The domain of `i=`, if it is not that of `d=`.
    identity: Option<Domain>,
    /// `t=` and `x=`, in seconds since 1970.
    stamp: Option<u64>,
    expires: Option<u64>,
    /// Where the key is.
    pub(crate) key: Domain,
}

/// Whose field it is: DKIM-Signature has a version, ARC-Message-Signature (RFC 8617 §4.1.2) an
/// instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Dkim,
    Arc,
}

const fn broken(why: &'static str) -> Fault {
    Fault(Verified::PermError, why)
}

impl Signature {
    /// Reads a field's value.
    pub(crate) fn parse(kind: Kind, value: &[u8]) -> Result<Self, Fault> {
        let text = String::from_utf8_lossy(value);
        let tags = Tags::parse(&text).ok_or(broken("no list of tags"))?;
        if kind == Kind::Dkim && tags.get("v") != Some("1") {
            return Err(broken("v= is not 1"));
        }
        if tags
            .get("q")
            .is_some_and(|q| !q.split(':').any(|m| m.trim() == "dns/txt"))
        {
            return Err(broken("q= knows no way to the key"));
        }
        let domain = tags.get("d").and_then(|d| Domain::parse(d).ok());
        let domain = domain.ok_or(broken("d= is no domain"))?;
        let selector = tags.get("s").filter(|s| Domain::parse(s).is_ok());
        let selector = selector.ok_or(broken("s= is no selector"))?.to_owned();
        let (header, body) = canonicalization(tags.get("c"))?;
        let identity = match kind {
            Kind::Dkim => identity(tags.get("i"))?,
            Kind::Arc => None,
        };
        Ok(Self {
            algorithm: tags
                .get("a")
                .and_then(Algorithm::parse)
                .ok_or(broken("a= is not known"))?,
            signature: octets(&tags, "b").ok_or(broken("b= is no base64"))?,
            body_hash: octets(&tags, "bh").ok_or(broken("bh= is no base64"))?,
            header,
            body,
            length: number(&tags, "l")?,
            signed: names(&tags).ok_or(broken("h= is no list of fields"))?,
            identity: identity.filter(|identity| *identity != domain),
            stamp: number(&tags, "t")?,
            expires: number(&tags, "x")?,
            key: place(&selector, &domain).ok_or(broken("no name for a key"))?,
            domain,
            selector,
        })
    }

    /// What can be said against it before anything is read or asked for. `now` in seconds since 1970.
    pub(crate) fn check(&self, header: &Header, now: u64, takes_length: bool) -> Result<(), Fault> {
        let covered = self.signed.iter().filter(|name| *name == "from").count();
        let expires = self.expires.unwrap_or(u64::MAX);
        if self.algorithm == Algorithm::RsaSha1 {
            return Err(Fault(Verified::Fail, "rsa-sha1 proves nothing (RFC 8301)"));
        }
        if covered == 0 {
            return Err(Fault(Verified::Fail, "From is not signed"));
        }
        if header.all("From").count() > covered {
            return Err(Fault(Verified::Policy, "not every From field is signed"));
        }
        if self
            .identity
            .as_ref()
            .is_some_and(|i| !i.is_below(self.domain.as_str()))
        {
            return Err(broken("i= is not of d="));
        }
        if self.stamp.is_some_and(|stamp| expires <= stamp) {
            return Err(broken("x= is not after t="));
        }
        if expires < now {
            return Err(Fault(Verified::Fail, "expired"));
        }
        match self.length.is_some() && !takes_length {
            true => Err(Fault(
                Verified::Policy,
                "l= leaves a part of the body unsigned",
            )),
            false => Ok(()),
        }
    }

    /// Verifies it over the header section of its message; `own` is its own field.
    pub(crate) fn verify(
        &self,
        keys: &Keys,
        fields: &Fields<'_>,
        own: Field<'_>,
    ) -> Result<Key, Fault> {
        let key = keys.find(&self.key)?;
        if key.exact && self.identity.is_some() {
            return Err(broken("the key asks for i= to be of d= itself"));
        }
        let data = self.data(fields, own);
        key.verify(self.algorithm, &data, &self.signature)?;
        Ok(key)
    }

    /// What is signed: of each name in `h=` the lowest field that has not been taken (§5.4.2), then
    /// its own field.
    fn data(&self, fields: &Fields<'_>, own: Field<'_>) -> Vec<u8> {
        let mut data = Vec::new();
        let mut left = HashMap::new();
        for name in &self.signed {
            let rest = left
                .entry(name)
                .or_insert_with(|| fields.named(name).iter().rev());
            if let Some(found) = rest.find(|field| field.offset != own.offset) {
                field(&mut data, self.header, *found);
            }
        }
        own_field(&mut data, self.header, own);
        data
    }

    /// The first characters of `b=`.
    pub(crate) fn shown(&self) -> String {
        BASE64.encode(&self.signature).chars().take(SHOWN).collect()
    }
}

/// The fields of a header section by name.
pub(crate) struct Fields<'a>(HashMap<String, Vec<Field<'a>>>);

impl<'a> Fields<'a> {
    /// Sorts them, top down.
    pub(crate) fn of(header: &'a Header) -> Self {
        let mut all = HashMap::<String, Vec<_>>::new();
        for field in header.fields() {
            all.entry(field.name.to_ascii_lowercase())
                .or_default()
                .push(field);
        }
        Self(all)
    }

    /// Those of a name in lower case.
    fn named(&self, name: &str) -> &[Field<'a>] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }
}

fn canonicalization(c: Option<&str>) -> Result<(Canon, Canon), Fault> {
    let one = |word| match word {
        "simple" => Ok(Canon::Simple),
        "relaxed" => Ok(Canon::Relaxed),
        _ => Err(broken("c= is not known")),
    };
    let (header, body) = c
        .unwrap_or("simple")
        .split_once('/')
        .unwrap_or((c.unwrap_or("simple"), "simple"));
    Ok((one(header)?, one(body)?))
}

/// The domain of `i=`; its local part may be anything.
fn identity(i: Option<&str>) -> Result<Option<Domain>, Fault> {
    let Some(i) = i else { return Ok(None) };
    let (_, domain) = i.rsplit_once('@').ok_or(broken("i= is no identity"))?;
    let domain = Domain::parse(domain).map_err(|_| broken("i= is no identity"))?;
    Ok(Some(domain))
}

/// The octets that a tag has in base64; none if it has none.
pub(crate) fn octets(tags: &Tags<'_>, name: &str) -> Option<Vec<u8>> {
    let text = tags.squeezed(name).filter(|text| !text.is_empty())?;
    BASE64.decode(text.as_bytes()).ok()
}

fn number(tags: &Tags<'_>, name: &str) -> Result<Option<u64>, Fault> {
    let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
    let number = |text: &str| text.parse().ok().filter(|_| digits(text));
    match tags.get(name) {
        Some(text) => number(text).map(Some).ok_or(broken("a number is none")),
        None => Ok(None),
    }
}

fn names(tags: &Tags<'_>) -> Option<Vec<String>> {
    let list = tags.squeezed("h")?.to_ascii_lowercase();
    let names: Vec<String> = list.split(':').map(str::to_owned).collect();
    let good = |name: &String| !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic());
    names.iter().all(good).then_some(names)
}
