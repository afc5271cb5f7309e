//! The one domain of header From (RFC 7489 §6.6.1). What is not plainly one domain is none: a reader
//! could be shown another.

use posthouse_hook::{Domain, Header};

/// The domain of all addresses in the one From field, or why there is not one.
pub(super) fn author_domain(header: &Header) -> Result<Domain, &'static str> {
    let mut fields = header.all("From");
    let field = fields.next().ok_or("no From field")?;
    if fields.next().is_some() {
        return Err("several From fields");
    }
    let addresses = addresses(&field.text()).ok_or("From is not understood")?;
    let mut domains = addresses.iter().map(|address| domain(address));
    let first = domains.next().ok_or("no address in From")?;
    let first = first.ok_or("an address in From without a domain")?;
    match domains.all(|other| other.as_ref() == Some(&first)) {
        true => Ok(first),
        false => Err("several domains in From"),
    }
}

fn domain(address: &str) -> Option<Domain> {
    let (local, domain) = address.rsplit_once('@')?;
    let domain = Domain::parse(domain.trim()).ok()?;
    (!local.trim().is_empty()).then_some(domain)
}

/// Where the reader is in a list of addresses.
#[derive(Default)]
struct Reader {
    found: Vec<String>,
    /// What stands outside of angle brackets since the last comma.
    plain: String,
    /// What stands inside.
    angle: Option<String>,
    /// Whether the brackets are open.
    open: bool,
}

/// The addresses of a mailbox-list or of groups (RFC 5322 §3.4), comments left out. None for what is
/// neither.
fn addresses(text: &str) -> Option<Vec<String>> {
    let mut reader = Reader::default();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '(' => skip_comment(&mut chars)?,
            '"' => reader.quoted(&mut chars)?,
            '<' => reader.open_bracket()?,
            '>' => reader.close_bracket()?,
            ',' | ';' => reader.end()?,
            ':' => reader.begin_group()?,
            ')' => return None,
            c => reader.put(c)?,
        }
    }
    reader.end()?;
    Some(reader.found)
}

fn skip_comment(chars: &mut std::str::Chars<'_>) -> Option<()> {
    let mut depth = 1_usize;
    while depth > 0 {
        match chars.next()? {
            '\\' => drop(chars.next()?),
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
    }
    Some(())
}

impl Reader {
    /// A quoted string: nothing in it is a sign of the grammar, an `@` neither.
    fn quoted(&mut self, chars: &mut std::str::Chars<'_>) -> Option<()> {
        loop {
            match chars.next()? {
                '"' => return self.put('q'),
                '\\' => drop(chars.next()?),
                _ => {}
            }
        }
    }

    fn put(&mut self, c: char) -> Option<()> {
        match (&mut self.angle, self.open) {
            (Some(angle), true) => angle.push(c),
            // Behind the brackets nothing but white space may stand.
            (Some(_), false) => return c.is_whitespace().then_some(()),
            (None, _) => self.plain.push(c),
        }
        Some(())
    }

    fn open_bracket(&mut self) -> Option<()> {
        self.open = true;
        self.angle.replace(String::new()).is_none().then_some(())
    }

    fn close_bracket(&mut self) -> Option<()> {
        std::mem::take(&mut self.open).then_some(())
    }

    /// A group's name is no address. A source route is not read.
    fn begin_group(&mut self) -> Option<()> {
        let name = std::mem::take(&mut self.plain);
        (self.angle.is_none() && !name.contains('@')).then_some(())
    }

    fn end(&mut self) -> Option<()> {
        if self.open {
            return None;
        }
        let plain = std::mem::take(&mut self.plain);
        match self.angle.take() {
            Some(angle) => self.found.push(angle),
            None if plain.trim().is_empty() => {}
            None => self.found.push(plain),
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn of(header: &str) -> Result<String, &'static str> {
        let header = header.replace('\n', "\r\n") + "\r\n\r\n";
        author_domain(&Header::parse(Bytes::from(header))).map(|d| d.to_string())
    }

    #[test]
    fn one_domain_is_found() {
        for from in [
            "From: a@x.example",
            "From: Ann <a@X.Example>",
            "from : \"Eve <e@evil.example>\" <a@x.example>",
            "From: =?utf-8?q?e=40evil.example?= <a@x.example>",
            "From: e@evil.example <a@x.example>",
            "From: (e@evil.example) a (,;)@x.example (\\) <e@evil.example>)",
            "From: \"a@evil.example\"@x.example",
            "From: A <a@x.example>,\n\tB <b@x.example>",
            "From: Team: a@x.example, B <b@x.example>;",
            "Sender: e@evil.example\nFrom:\n a@x.example",
        ] {
            assert_eq!(of(from).as_deref(), Ok("x.example"), "{from}");
        }
    }

    #[test]
    fn what_is_not_one_domain_is_none() {
        for from in [
            "Subject: x",
            "From:",
            "From: Ann",
            "From: <>",
            "From: undisclosed:;",
            "From: a@x.example\nFrom: a@x.example",
            "From: a@x.example\nfrom : e@evil.example",
            "From: a@x.example, e@evil.example",
            "From: <a@x.example> <e@evil.example>",
            "From: <a@x.example> e@evil.example",
            "From: <a@x.example",
            "From: a@x.example>",
            "From: \"open <a@x.example>",
            "From: (open a@x.example",
            "From: <@evil.example:a@x.example>",
            "From: e@evil.example: a@x.example;",
            "From: a@[192.0.2.1]",
            "From: a@x.example\0",
            "From: a@x..example",
            "From: @x.example",
            "From: a@b\u{fc}cher.example",
        ] {
            assert!(of(from).is_err(), "{from}: {:?}", of(from));
        }
    }

    proptest::proptest! {
        #[test]
        fn any_text_is_survived(text in "[a-c@.<>\"(),:;\\\\ ]{0,60}") {
            let _ = addresses(&text);
        }
    }
}
