//! The domains of header From, for lists of domains. Bounded, and never more than a guess at what a
//! reader of the message sees.

use mail_parser::parsers::MessageStream;
use mail_parser::{Address, HeaderValue};
use posthouse_hook::{Domain, Header};

/// Most From fields that are looked at; RFC 5322 §3.6 allows one.
const MAX_FIELDS: usize = 5;
/// Longest field that is taken apart, in octets; the rest of a longer one is not looked at.
const MAX_FIELD: usize = 8_192;

/// The domain of the first address of each From field, each once; international ones in ASCII.
pub(super) fn domains(header: &Header) -> Vec<Domain> {
    let mut found = Vec::new();
    for field in header.all("From").take(MAX_FIELDS) {
        let value = &field.value[..field.value.len().min(MAX_FIELD)];
        if let Some(domain) = first_domain(value).filter(|domain| !found.contains(domain)) {
            found.push(domain);
        }
    }
    found
}

fn first_domain(value: &[u8]) -> Option<Domain> {
    // The parser wants the line end behind the value.
    let line = [value, b"\r\n"].concat();
    let address = match MessageStream::new(&line).parse_address() {
        HeaderValue::Address(Address::List(list)) => list.into_iter().next()?,
        HeaderValue::Address(Address::Group(groups)) => groups
            .into_iter()
            .find_map(|g| g.addresses.into_iter().next())?,
        _ => return None,
    };
    let address = address.address?;
    let (_, host) = address.rsplit_once('@')?;
    let ascii = idna::domain_to_ascii(host).ok()?;
    Domain::parse(&ascii).ok()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn found(header: &str) -> Vec<String> {
        let header = Header::parse(Bytes::copy_from_slice(header.as_bytes()));
        domains(&header).iter().map(Domain::to_string).collect()
    }

    #[test]
    fn the_first_address_of_each_field() {
        for (header, want) in [
            ("From: a@x.example\r\n", &["x.example"][..]),
            ("From: \"b@y.example\" <a@X.example>\r\n", &["x.example"]),
            (
                "From: Ann (b@y.example) <a@x.example>, c@z.example\r\n",
                &["x.example"],
            ),
            ("From: team: a@x.example, b@y.example;\r\n", &["x.example"]),
            ("From: Ann\r\n\t<a@x.example>\r\n", &["x.example"]),
            (
                "From: <a@b\u{fc}cher.example>\r\n",
                &["xn--bcher-kva.example"],
            ),
            (
                "From: a@x.example\r\nFROM : b@y.example\r\nFrom: c@x.example\r\n",
                &["x.example", "y.example"],
            ),
            ("From: nobody\r\n", &[]),
            ("From:\r\n", &[]),
            ("Reply-To: a@x.example\r\n", &[]),
        ] {
            assert_eq!(found(header), want, "{header:?}");
        }
    }

    #[test]
    fn what_is_looked_at_is_bounded() {
        let many: String = (0..1_000)
            .map(|n| format!("From: a@x{n}.example\r\n"))
            .collect();
        assert_eq!(found(&many).len(), MAX_FIELDS);
        let long = format!("From: {}a@x.example\r\n", "(".repeat(2_000_000));
        assert_eq!(found(&long), Vec::<String>::new());
    }

    proptest! {
        #[test]
        fn any_octets_are_survived(value in proptest::collection::vec(any::<u8>(), 0..300)) {
            let raw = [b"From: ".as_slice(), &value, b"\r\n"].concat();
            domains(&Header::parse(Bytes::from(raw)));
        }
    }
}
