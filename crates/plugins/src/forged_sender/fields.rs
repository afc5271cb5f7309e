//! Which header fields are looked at. A field counts if any reader of mail could know it by its name.

use serde::Deserialize;

/// Where a sender's address is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Part {
    /// The envelope's sender, at MAIL.
    Envelope,
    /// Every From field, and a line that begins as mailbox files separate messages.
    From,
    /// Every Sender field.
    Sender,
    /// Every Reply-To field.
    ReplyTo,
}

impl Part {
    /// Its name, for trails and logs.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Envelope => "envelope",
            Self::From => "From",
            Self::Sender => "Sender",
            Self::ReplyTo => "Reply-To",
        }
    }
}

/// The values of the wanted fields in a header section, top down.
pub(super) fn fields<'a>(
    raw: &'a [u8],
    wanted: &'a [Part],
) -> impl Iterator<Item = (Part, &'a [u8])> {
    let mut rest = raw;
    std::iter::from_fn(move || {
        while !rest.is_empty() {
            let (field, behind) = rest.split_at(end_of_field(rest));
            rest = behind;
            let found = part_of(field);
            if let Some(found) = found.filter(|(part, _)| wanted.contains(part)) {
                return Some(found);
            }
        }
        None
    })
}

/// A line and the lines that continue it.
fn end_of_field(raw: &[u8]) -> usize {
    let ends = memchr::memchr_iter(b'\n', raw).map(|at| at + 1);
    let mut ends = ends.filter(|end| !matches!(raw.get(*end), Some(b' ' | b'\t')));
    ends.next().unwrap_or(raw.len())
}

fn part_of(field: &[u8]) -> Option<(Part, &[u8])> {
    let colon = memchr::memchr(b':', field).unwrap_or(field.len());
    let parts = [Part::From, Part::Sender, Part::ReplyTo];
    let named = parts
        .into_iter()
        .find(|part| is_named(&field[..colon], part.name()));
    match (named, field.strip_prefix(b"From ")) {
        (Some(part), _) => Some((part, field.get(colon + 1..).unwrap_or_default())),
        (None, Some(separator)) => Some((Part::From, separator)),
        (None, None) => None,
    }
}

/// Whether that is the name, for a reader that passes over what no name may have: spaces, controls, folds,
/// octets beyond ASCII.
fn is_named(written: &[u8], name: &str) -> bool {
    let letters = written.iter().filter(|b| b.is_ascii_graphic());
    letters
        .map(u8::to_ascii_lowercase)
        .eq(name.bytes().map(|b| b.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(raw: &str, wanted: &[Part]) -> Vec<String> {
        let found = fields(raw.as_bytes(), wanted);
        found
            .map(|(_, value)| String::from_utf8_lossy(value).trim().to_owned())
            .collect()
    }

    #[test]
    fn a_from_field_is_one_however_it_is_named() {
        let raw = "From: 1\r\nFROM : 2\r\nfrom\t: 3\r\nFr\0om: 4\r\n\u{feff}From: 5\r\nFrom\r\n : 6\r\n\
                   From:\r\n 7\r\nFrom 8@x Thu\r\nX-From: no\r\nFrom-X: no\r\nSubject: a\r\n From: no\r\n\
                   From no colon\r\nFromage: no\r\n\r\n";
        assert_eq!(
            values(raw, &[Part::From]),
            ["1", "2", "3", "4", "5", "6", "7", "8@x Thu", "no colon"]
        );
        assert_eq!(values(" From: first\r\n", &[Part::From]), ["first"]);
    }

    #[test]
    fn other_fields_only_if_they_are_wanted() {
        let raw = "Sender: 1\r\nReply-To: 2\r\nFrom: 3";
        assert_eq!(values(raw, &[Part::From]), ["3"]);
        assert_eq!(values(raw, &[Part::ReplyTo, Part::Sender]), ["1", "2"]);
    }
}
