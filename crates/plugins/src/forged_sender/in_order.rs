//! Header fields that every reader reads alike: nothing in them but names and plain addresses in angle
//! brackets. Only of these it is sure what is a name and what is an address.

/// The addresses of a field's value that is in order, lower-case; none if it leaves any doubt.
pub(super) fn addresses(value: &[u8]) -> Option<Vec<String>> {
    let text = str::from_utf8(value).ok()?.replace("\r\n", "");
    let fine = |c: char| matches!(c, ' '..='~' | '\t');
    if !text.chars().all(fine) {
        return None;
    }
    let mut found = Vec::new();
    let mut rest = text.trim();
    loop {
        let (address, behind) = mailbox(rest)?;
        found.push(address.to_ascii_lowercase());
        rest = match behind.trim_start() {
            "" => return Some(found),
            more => more.strip_prefix(',')?,
        };
    }
}

/// An address, or a name and an address in brackets; and what stands behind it.
fn mailbox(text: &str) -> Option<(&str, &str)> {
    let mut rest = text.trim_start();
    if let Some(bare) = rest
        .split(',')
        .next()
        .filter(|bare| is_address(bare.trim_end()))
    {
        return Some((bare.trim_end(), &rest[bare.len()..]));
    }
    loop {
        if let Some(inside) = rest.strip_prefix('<') {
            let (address, behind) = inside.split_once('>')?;
            return is_address(address).then_some((address, behind));
        }
        rest = word(rest)?.trim_start();
    }
}

/// What stands behind a word of a name: an atom, with dots, or a quoted string (RFC 5322 §3.2.5).
fn word(text: &str) -> Option<&str> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut escaped = false;
        let end = quoted.find(|c| {
            let ends = c == '"' && !escaped;
            escaped = c == '\\' && !escaped;
            ends
        });
        return Some(&quoted[end? + 1..]);
    }
    let end = text
        .find(|c| !is_atext(c) && c != '.')
        .unwrap_or(text.len());
    (end > 0).then(|| &text[end..])
}

fn is_address(text: &str) -> bool {
    let (local, domain) = text.split_once('@').unwrap_or_default();
    let in_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let parts = |text: &str, fine: &dyn Fn(char) -> bool| {
        text.split('.')
            .all(|part| !part.is_empty() && part.chars().all(fine))
    };
    parts(local, &is_atext) && parts(domain, &in_name)
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_leaves_no_doubt_is_in_order() {
        for (value, want) in [
            (" Ann@X.example\r\n", Some("ann@x.example")),
            (
                " \"ceo@bank.example via List\" <l@x.example>",
                Some("l@x.example"),
            ),
            (
                "A. B.\r\n Cee <a@x.example>, \"\\\"q\" =?utf-8?q?=40?= <b@y.example>",
                Some("a@x.example b@y.example"),
            ),
            ("a@x.example , b@y.example", Some("a@x.example b@y.example")),
            ("<a@x.example> (ceo@bank.example)", None),
            ("G: a@x.example;", None),
            ("<@r.example:a@x.example>", None),
            ("\"a@x.example <b@y.example>", None),
            ("\"a\"@x.example", None),
            ("ceo@bank.example <a@x.example>", None),
            ("a@x.example b@y.example", None),
            ("<=?utf-8?q?a=40b?=>", None),
            ("ü <a@x.example>", None),
            ("a\0 <a@x.example>", None),
            ("a@x.example,", None),
            ("", None),
        ] {
            let found = addresses(value.as_bytes()).map(|all| all.join(" "));
            assert_eq!(found.as_deref(), want, "{value}");
        }
    }
}
