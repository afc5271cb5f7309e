//! A search filter of the operator's, with places for a domain and an address (RFC 4515). Whatever is
//! put there stays a value.

use ldap3::{ldap_escape, parse_filter};

/// The filter, cut at its places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Filter(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Domain,
    Address,
}

/// What a filter is filled with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) domain: &'a str,
    /// None when a domain is asked about.
    pub(super) address: Option<&'a str>,
}

const DOMAIN: &str = "{domain}";
const ADDRESS: &str = "{address}";

impl Filter {
    /// Reads a filter in which `place` must stand; the error is for the operator.
    fn parse(text: &str, place: &str) -> Result<Self, String> {
        if !text.contains(place) {
            return Err(format!("{place} does not stand in it"));
        }
        let filter = Self(parts(text));
        let sample = Values {
            domain: "x.example",
            address: Some("a@x.example"),
        };
        match parse_filter(filter.fill(sample)) {
            Ok(_) => Ok(filter),
            Err(_) => Err("no search filter".to_owned()),
        }
    }

    pub(super) fn of_domain(text: &str) -> Result<Self, String> {
        if text.contains(ADDRESS) {
            return Err(format!(
                "{ADDRESS} is not known when a domain is asked about"
            ));
        }
        Self::parse(text, DOMAIN)
    }

    pub(super) fn of_address(text: &str) -> Result<Self, String> {
        Self::parse(text, ADDRESS)
    }

    /// The filter with these values, escaped, in their places.
    pub(super) fn fill(&self, values: Values<'_>) -> String {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Domain => ldap_escape(values.domain).into_owned(),
            Part::Address => ldap_escape(values.address.unwrap_or_default()).into_owned(),
        };
        self.0.iter().map(part).collect()
    }
}

/// Cuts a filter at its places, in one pass: what is put in is not looked at again.
fn parts(text: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find('{') {
        let (before, here) = rest.split_at(at);
        let (part, len) = if here.starts_with(DOMAIN) {
            (Part::Domain, DOMAIN.len())
        } else if here.starts_with(ADDRESS) {
            (Part::Address, ADDRESS.len())
        } else {
            (Part::Text("{".to_owned()), 1)
        };
        parts.extend([Part::Text(before.to_owned()), part]);
        rest = &here[len..];
    }
    parts.push(Part::Text(rest.to_owned()));
    parts
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn filled(text: &str, address: &str) -> String {
        let filter = Filter::of_address(text).expect("valid");
        filter.fill(Values {
            domain: "x.example",
            address: Some(address),
        })
    }

    #[test]
    fn values_are_escaped_and_not_looked_at_again() {
        let text = "(|(mail={address})(&(d={domain})(a={address})))";
        assert_eq!(filled(text, "a@x"), "(|(mail=a@x)(&(d=x.example)(a=a@x)))");
        assert_eq!(
            filled("(a={address})", "*)(uid=*"),
            "(a=\\2a\\29\\28uid=\\2a)"
        );
        assert_eq!(filled("(a={address})", "{domain}@x"), "(a={domain}@x)");
        assert_eq!(filled("(a={address})", "\\2a"), "(a=\\5c2a)");
    }

    #[test]
    fn filters_that_are_none() {
        for (text, why) in [
            ("", "does not stand"),
            ("(mail=x)", "does not stand"),
            ("(mail={address}", "no search filter"),
            ("mail={address})", "no search filter"),
            ("(mail{address})", "no search filter"),
        ] {
            assert!(
                Filter::of_address(text).expect_err(text).contains(why),
                "{text}"
            );
        }
        assert!(Filter::of_domain("(a={domain})(b={address})").is_err());
        assert!(Filter::of_domain("(a={domain})").is_ok());
    }

    proptest! {
        /// Whatever stands in the place of the address, the filter has the same shape.
        #[test]
        fn no_value_breaks_out(address in "[ -~]{0,200}") {
            let filter = filled("(&(mail={address})(objectClass=x))", &address);
            prop_assert!(parse_filter(&filter).is_ok());
            let inside = &filter["(&(mail=".len()..filter.len() - ")(objectClass=x))".len()];
            prop_assert!(!inside.contains(['(', ')', '*']));
        }
    }
}
