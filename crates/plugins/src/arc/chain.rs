//! The sets of an ARC chain (RFC 8617 §4, §5.2): whether they are whole, before anything is verified.

use posthouse_hook::proofs::Verified;
use posthouse_hook::{Domain, Field, Header};

use crate::dkim::{Algorithm, Fault, Key, Keys, Tags, octets, place};

/// Most sets of a chain (RFC 8617 §4.2.1).
const MAX_SETS: usize = 50;

const fn broken(why: &'static str) -> Fault {
    Fault(Verified::Fail, why)
}

/// One hop's three fields.
#[derive(Debug)]
pub(super) struct Set<'a> {
    pub(super) results: Field<'a>,
    pub(super) signature: Field<'a>,
    pub(super) seal: Field<'a>,
}

/// The sets by their instance, the first hop's first; empty without ARC. An error for what is no chain.
pub(super) fn sets(header: &Header) -> Result<Vec<Set<'_>>, Fault> {
    let mut results = numbered(header, "ARC-Authentication-Results", first_number)?;
    let mut signatures = numbered(header, "ARC-Message-Signature", tagged_number)?;
    let mut seals = numbered(header, "ARC-Seal", tagged_number)?;
    let count = results.len();
    if signatures.len() != count || seals.len() != count {
        return Err(broken("a set is not whole"));
    }
    let mut sets = Vec::new();
    while let (Some(results), Some(signature), Some(seal)) =
        (results.pop(), signatures.pop(), seals.pop())
    {
        sets.push(Set {
            results,
            signature,
            seal,
        });
    }
    sets.reverse();
    Ok(sets)
}

/// The fields of that name by their numbers, which are 1 and so on, each once.
fn numbered<'a>(
    header: &'a Header,
    name: &'a str,
    number: fn(&str) -> Option<usize>,
) -> Result<Vec<Field<'a>>, Fault> {
    let mut found = Vec::new();
    for field in header.all(name) {
        let number = number(&String::from_utf8_lossy(field.value));
        found.push((number.ok_or(broken("a field without an instance"))?, field));
        if found.len() > MAX_SETS {
            return Err(broken("more than 50 sets"));
        }
    }
    found.sort_by_key(|(number, _)| *number);
    let in_order = found
        .iter()
        .zip(1..)
        .all(|((number, _), want)| *number == want);
    match in_order {
        true => Ok(found.into_iter().map(|(_, field)| field).collect()),
        false => Err(broken("the instances are not 1 and so on")),
    }
}

/// `i=1; …`: the instance of an ARC-Authentication-Results.
fn first_number(value: &str) -> Option<usize> {
    let (first, _) = value.split_once(';')?;
    let (name, number) = first.split_once('=')?;
    (name.trim() == "i").then(|| digits(number.trim()))?
}

fn tagged_number(value: &str) -> Option<usize> {
    digits(Tags::parse(value)?.get("i")?)
}

fn digits(text: &str) -> Option<usize> {
    let plain = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| plain)
}

/// What a seal says (RFC 8617 §4.1.3).
#[derive(Debug)]
pub(super) struct Seal {
    pub(super) domain: Domain,
    algorithm: Algorithm,
    signature: Vec<u8>,
    /// Where its key is.
    pub(super) key: Domain,
}

impl Seal {
    /// Reads the seal of a set; `last` is that of the whole chain.
    pub(super) fn parse(set: &Set<'_>, instance: usize, last: bool) -> Result<Self, Fault> {
        let text = String::from_utf8_lossy(set.seal.value);
        let tags = Tags::parse(&text).ok_or(broken("a seal is no list of tags"))?;
        match (tags.get("cv"), instance) {
            (Some("none"), 1) => {}
            (Some("pass"), 2..) => {}
            (Some("fail"), _) if last => {
                return Err(broken("the last sealer found the chain broken"));
            }
            _ => return Err(broken("a seal says the wrong thing of what was before it")),
        }
        if tags.get("h").is_some() {
            return Err(broken("a seal has h="));
        }
        let algorithm = tags.get("a").and_then(Algorithm::parse);
        let algorithm = algorithm.filter(|algorithm| *algorithm != Algorithm::RsaSha1);
        let domain = tags.get("d").and_then(|d| Domain::parse(d).ok());
        let domain = domain.ok_or(broken("a seal without a domain"))?;
        let selector = tags.get("s").filter(|s| Domain::parse(s).is_ok());
        Ok(Self {
            algorithm: algorithm.ok_or(broken("a seal of an unknown kind"))?,
            signature: octets(&tags, "b").ok_or(broken("a seal without a signature"))?,
            key: selector
                .and_then(|selector| place(selector, &domain))
                .ok_or(broken("a seal without a selector"))?,
            domain,
        })
    }

    /// Whether it seals that.
    pub(super) fn verify(&self, keys: &Keys, data: &[u8]) -> Result<Key, Fault> {
        let key = keys.find(&self.key)?;
        key.verify(self.algorithm, data, &self.signature)?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn set(i: usize, cv: &str) -> String {
        format!(
            "ARC-Seal: i={i}; a=rsa-sha256; cv={cv}; d=x.example; s=s1; b=AAAA\r\n\
             ARC-Message-Signature: i={i}; a=rsa-sha256\r\n\
             ARC-Authentication-Results: i={i}; x.example; none\r\n"
        )
    }

    /// How many sets there are, or what is wrong.
    fn read(text: &str) -> Result<usize, &'static str> {
        let header = Header::parse(Bytes::from(format!("{text}\r\n")));
        let sets = sets(&header).map_err(|fault| fault.1)?;
        for (nth, set) in sets.iter().enumerate() {
            Seal::parse(set, nth + 1, nth + 1 == sets.len()).map_err(|fault| fault.1)?;
        }
        Ok(sets.len())
    }

    #[test]
    fn chains_are_whole_or_none() {
        assert_eq!(read("Subject: x\r\n"), Ok(0));
        assert_eq!(read(&set(1, "none")), Ok(1));
        assert_eq!(
            read(&(set(1, "none") + &set(2, "pass"))),
            Ok(2),
            "in any order"
        );
        let one = set(1, "none");
        for bad in [
            set(2, "pass"),
            set(0, "none"),
            set(1, "pass"),
            set(1, "none") + &set(1, "none"),
            set(1, "none") + &set(3, "pass"),
            set(2, "none") + &one,
            set(2, "fail") + &one,
            set(3, "pass") + &set(2, "fail") + &one,
            one.replace("ARC-Seal: i=1", "ARC-Seal: i=+1"),
            one.replace("cv=none", "cv=none; h=from"),
            one.replace("rsa-sha256; cv", "rsa-sha1; cv"),
            one.replace("d=x.example", "d=x..example"),
            one.replace("; b=AAAA", ""),
            one.replace(
                "ARC-Authentication-Results: i=1",
                "ARC-Authentication-Results: i=2",
            ),
            one.replace("ARC-Authentication-Results", "X"),
            one.replace("ARC-Seal", "X"),
        ] {
            assert!(read(&bad).is_err(), "{bad}");
        }
        let many: String = (1..=51)
            .map(|i| set(i, if i == 1 { "none" } else { "pass" }))
            .collect();
        assert_eq!(read(&many), Err("more than 50 sets"));
    }

    proptest::proptest! {
        #[test]
        fn any_fields_are_survived(value in "[a-z0-9=;. \\-]{0,60}", i in 0..4_usize) {
            let all = ["ARC-Seal", "ARC-Message-Signature", "ARC-Authentication-Results"];
            let text: String = all.iter().map(|name| format!("{name}: i={i}; {value}\r\n")).collect();
            proptest::prop_assert!(read(&text).is_err());
        }
    }
}
