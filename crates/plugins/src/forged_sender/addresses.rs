//! Everything in a header field that any reader could take for an address. In doubt it is one.
//!
//! Not a parser: around each `@` it takes what may be a local-part and what may be a domain, in a narrow
//! and in a generous way, from every reading of the field.

use std::collections::HashSet;

use super::readings::{BREAK, readings};
use super::{canon, in_order};

/// Most addresses of a message that are looked up.
const MAX_ADDRESSES: usize = 1000;
/// Most octets of a message's fields that are looked at.
const MAX_OCTETS: usize = 65_536;
/// Most `@` that are looked at, in all readings together.
const MAX_SIGNS: usize = 10_000;
/// Longest local-part or domain in characters; what is longer is cut.
const MAX_PART: usize = 320;

/// The addresses of one message so far.
pub(super) struct Addresses {
    seen: HashSet<String>,
    octets: usize,
    signs: usize,
    taste: Taste,
}

/// What counts besides what surely is an address.
#[derive(Debug, Clone, Copy)]
pub(super) struct Taste {
    /// The domain that one in another alphabet can be taken for.
    pub(super) look_alikes: bool,
    /// Addresses in the names of fields that leave no doubt.
    pub(super) names: bool,
}

/// There is more in the fields than is looked at: no honest author list is so long.
#[derive(Debug, PartialEq)]
pub(super) struct TooMuch;

impl Addresses {
    /// None yet.
    pub(super) fn new(taste: Taste) -> Self {
        Self {
            seen: HashSet::new(),
            octets: 0,
            signs: 0,
            taste,
        }
    }

    /// Tells of every address in a field's value that was not seen before.
    pub(super) fn field(
        &mut self,
        value: &[u8],
        mut tell: impl FnMut(&str),
    ) -> Result<(), TooMuch> {
        self.octets += value.len();
        let cut = self.octets.saturating_sub(MAX_OCTETS);
        let looked_at = &value[..value.len().saturating_sub(cut)];
        match in_order::addresses(looked_at).filter(|_| !self.taste.names) {
            Some(plain) => self.plain(&plain, &mut tell)?,
            None => {
                for reading in readings(looked_at) {
                    self.reading(&reading, &mut tell)?;
                }
            }
        }
        if cut > 0 { Err(TooMuch) } else { Ok(()) }
    }

    fn plain(&mut self, all: &[String], tell: &mut impl FnMut(&str)) -> Result<(), TooMuch> {
        let mut parts = all.iter().filter_map(|address| address.split_once('@'));
        parts.try_for_each(|(local, domain)| self.address(local, domain, tell))
    }

    fn reading(&mut self, text: &str, tell: &mut impl FnMut(&str)) -> Result<(), TooMuch> {
        let text: Vec<char> = text.chars().collect();
        let signs = text.iter().enumerate().filter(|(_, c)| **c == '@');
        for (at, _) in signs {
            self.signs += 1;
            if self.signs > MAX_SIGNS {
                return Err(TooMuch);
            }
            for domain in [narrow_domain(&text[at + 1..]), wide_domain(&text[at + 1..])] {
                for local in [narrow_local(&text[..at]), wide_local(&text[..at])] {
                    self.address(&local, &domain, tell)?;
                }
            }
        }
        Ok(())
    }

    fn address(
        &mut self,
        local: &str,
        domain: &str,
        tell: &mut impl FnMut(&str),
    ) -> Result<(), TooMuch> {
        if domain.is_empty() {
            return Ok(());
        }
        let domain = canon::domain(domain);
        let read = canon::look_alike(&domain).filter(|_| self.taste.look_alikes);
        for domain in [Some(domain), read].into_iter().flatten() {
            let address = format!("{local}@{domain}");
            if self.seen.contains(&address) {
                continue;
            }
            if self.seen.len() == MAX_ADDRESSES {
                return Err(TooMuch);
            }
            tell(&address);
            self.seen.insert(address);
        }
        Ok(())
    }
}

/// What no local-part has outside of quotes.
fn ends_local(c: char) -> bool {
    matches!(
        c,
        BREAK | '<' | '>' | '(' | ')' | '[' | ']' | ',' | ';' | ':' | '@'
    )
}

/// The run of characters that ends the text.
fn narrow_local(text: &[char]) -> String {
    let stops = |c: &char| ends_local(*c) || c.is_whitespace() || *c == '"';
    let tail = &text[text.len().saturating_sub(MAX_PART)..];
    let start = tail.iter().rposition(stops).map_or(0, |at| at + 1);
    tail[start..].iter().collect()
}

/// The local-part that ends the text, with white space around its dots and before the `@`, and quotes
/// undone (RFC 5322 §4.4).
fn wide_local(text: &[char]) -> String {
    let mut taken: Vec<char> = Vec::new();
    let mut end = text.len();
    while taken.len() < MAX_PART {
        let here = without_space(&text[..end]);
        let Some(&c) = here.last() else { break };
        let apart = here.len() < end && !taken.is_empty();
        if ends_local(c) || (apart && c != '.' && taken.last() != Some(&'.')) {
            break;
        }
        end = here.len() - 1;
        match c {
            '"' => end = quoted(&text[..end], &mut taken),
            '\\' => {}
            c => taken.push(c),
        }
    }
    taken.iter().rev().collect()
}

/// Takes the quoted string whose closing quote stood behind this text, last character first, and
/// tells where it began. A quote without its opening one is passed over.
fn quoted(text: &[char], taken: &mut Vec<char>) -> usize {
    let near = text.len().saturating_sub(MAX_PART);
    let escaped = |at: usize| at > near && text[at - 1] == '\\';
    let open = (near..text.len())
        .rev()
        .find(|at| text[*at] == '"' && !escaped(*at));
    let Some(open) = open else { return text.len() };
    let inside = text[open + 1..].iter().rev();
    taken.extend(inside.filter(|c| **c != '\\'));
    open
}

fn without_space(text: &[char]) -> &[char] {
    let end = text.iter().rposition(|c| !c.is_whitespace());
    &text[..end.map_or(0, |at| at + 1)]
}

fn in_domain(c: char) -> bool {
    c.is_alphanumeric()
        || matches!(c, '-' | '_' | '.')
        || (!c.is_ascii() && !c.is_whitespace() && !c.is_control())
}

/// The domain or address literal that the text begins with.
fn narrow_domain(text: &[char]) -> String {
    let near = &text[..text.len().min(MAX_PART)];
    if near.first() == Some(&'[') {
        let end = near.iter().position(|c| *c == ']');
        return near[..end.map_or(0, |at| at + 1)].iter().collect();
    }
    let domain = near.iter().take_while(|c| in_domain(**c));
    domain.collect()
}

/// The domain with white space around its dots and behind the `@`, and quotes undone.
fn wide_domain(text: &[char]) -> String {
    let mut taken = String::new();
    let mut space = false;
    for &c in text.iter().take(MAX_PART) {
        let joined = taken.is_empty() || taken.ends_with('.') || c == '.';
        match c {
            c if c.is_whitespace() => space = true,
            '"' | '\\' => {}
            c if in_domain(c) && (!space || joined) => {
                taken.push(c);
                space = false;
            }
            _ => break,
        }
    }
    taken
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: Taste = Taste {
        look_alikes: true,
        names: true,
    };

    fn all(value: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        let _ = Addresses::new(ALL).field(value, |a| found.push(a.to_owned()));
        found
    }

    fn finds(value: &[u8]) -> bool {
        all(value).iter().any(|a| a == "ceo@bank.example")
    }

    #[test]
    fn the_forged_one_is_found() {
        for value in [
            "ceo@bank.example",
            "Ceo <CEO@Bank.Example>",
            "<ceo@bank.example.>",
            "x@evil.example, ceo@bank.example",
            "Staff: x@evil.example, The Boss <ceo@bank.example>;",
            "\"ceo@bank.example\" <x@evil.example>",
            "\"ceo@bank.example\"@evil.example",
            "ceo@bank.example@evil.example",
            "x@evil.example (ceo@bank.example)",
            "ceo(a(b)c)@(d)bank(e).(f)example",
            "\"ceo\"@bank.example",
            "\"c\\eo\"@bank.example",
            "c\\eo@bank.example",
            "ceo @ bank . example",
            "ceo@bank.example. Best regards",
            "Mr. ceo@bank.example",
            "\"ceo <ceo@bank.example",
            "(ceo@bank.example",
            "ceo\"@bank.example",
            "ceo@\"bank.example\"",
            "<@relay.example,@b.example:ceo@bank.example>",
            "=?utf-8?q?ceo=40bank.example?=",
            "=?utf-8?b?Y2VvQGJhbmsuZXhhbXBsZQ==?= <x@evil.example>",
            "=?utf-8?q?ceo?= =?utf-8?q?=40bank.example?=",
            "<=?utf-8?q?ceo?=@bank.example>",
            "\"=?utf-8?q?ceo=40bank.example?=\" <x@evil.example>",
            "ceo@bank.example\0.evil.example",
            "ceo\0@ba\0nk.example",
            "ceo\u{ff20}bank\u{3002}example",
            "ｃｅｏ@ｂａｎｋ.ｅｘａｍｐｌｅ",
            "ceo@b\u{200b}ank.example",
            "ceo@b\u{430}nk.example",
            "ceo@xn--bnk-6cd.example",
            "ceo@\r\n bank.example",
            "ceo\r\n\t@bank.example",
            "mailto:ceo@bank.example?subject=x",
            "",
        ] {
            assert_eq!(
                finds(value.as_bytes()),
                !value.is_empty(),
                "{value:?}: {:?}",
                all(value.as_bytes())
            );
        }
        assert!(finds(b"\xff\xfe ceo@bank.example"));
    }

    #[test]
    fn what_is_no_address_is_none() {
        for value in [
            "ceo at bank.example",
            "bank.example",
            "@",
            "a@",
            "ceo@, bank.example",
            "=?",
            "\"",
            "(",
        ] {
            assert!(!finds(value.as_bytes()), "{value}");
        }
        assert!(!finds(
            b"ceo@notbank.example, xceo@bank.example, ceo@bank.example.net"
        ));
    }

    #[test]
    fn a_name_is_no_address_where_that_is_wanted_and_sure() {
        let taste = Taste {
            names: false,
            ..ALL
        };
        let finds = |value: &[u8]| {
            let mut found = false;
            let mut addresses = Addresses::new(taste);
            let _ = addresses.field(value, |a| found |= a == "ceo@bank.example");
            found
        };
        assert!(!finds(b"\"ceo@bank.example via L\" <l@x.example>"));
        assert!(finds(b"\"ceo@bank.example\" <l@x.example> (doubt)"));
        assert!(finds(b"L <l@x.example>, Boss <CEO@bank.example>"));
        assert!(finds("L <ceo@b\u{430}nk.example>".as_bytes()));
        assert!(finds(b"L <ceo@xn--bnk-6cd.example>"));
    }

    #[test]
    fn more_than_anybody_writes_is_too_much() {
        let many: String = (0..1001).map(|n| format!("a{n}@x.example,")).collect();
        let mut told = 0;
        let result = Addresses::new(ALL).field(many.as_bytes(), |_| told += 1);
        assert_eq!((result, told), (Err(TooMuch), MAX_ADDRESSES));
        let same = "a@b,".repeat(16_000);
        assert!(same.len() < MAX_OCTETS);
        let result = Addresses::new(ALL).field(same.as_bytes(), |_| {});
        assert_eq!(result, Err(TooMuch), "one address too often");
        for hostile in [
            "@",
            "\"@",
            "a@",
            "(",
            "=?a?q?",
            "\\",
            " .@ .",
            "=?utf-8?b?QA==?=",
        ] {
            let long = hostile.repeat((2 << 20) / hostile.len());
            assert_eq!(
                Addresses::new(ALL).field(long.as_bytes(), |_| {}),
                Err(TooMuch)
            );
        }
    }

    fn decoration() -> impl Strategy<Value = String> {
        let odd = [
            "\"",
            "(",
            ")",
            "<",
            ">",
            "=?",
            "?=",
            "=?utf-8?q?",
            "\\",
            ",",
            ";",
            ":",
            " ",
            "\t",
            "\0",
            "x@y.example",
            "@",
            "\u{200b}",
            "é",
            "\r\n ",
        ];
        proptest::collection::vec(proptest::sample::select(odd.to_vec()), 0..8)
            .prop_map(|parts| parts.concat())
    }

    proptest! {
        #[test]
        fn no_octets_are_too_odd(value in proptest::collection::vec(any::<u8>(), 0..400)) {
            all(&value);
        }

        #[test]
        fn a_planted_address_is_found_in_any_decoration(before in decoration(), after in decoration()) {
            let value = format!("{before} <ceo@bank.example> {after}");
            prop_assert!(finds(value.as_bytes()), "{value:?}: {:?}", all(value.as_bytes()));
        }
    }
}
