//! Forms: what a POST says, and the proof that it came from a page of ours.

use axum::extract::Form;
use axum::extract::rejection::FormRejection;
use hyper::{HeaderMap, StatusCode};
use posthouse_hook::{LinkClaim, LinkKey};

use crate::fault::Fault;
use crate::url::SiteUrl;

/// A form as it was posted: names and values in order, or why it could not be read.
pub(crate) type Posted = Result<Form<Fields>, FormRejection>;

/// Names and values; a name may come more than once.
pub(crate) type Fields = Vec<(String, String)>;

/// The name of the field that proves the form.
const PROOF: &str = "form";

/// The fields, once they are read and proven for the link.
pub(crate) fn proven(
    posted: Posted,
    headers: &HeaderMap,
    site: &SiteUrl,
    key: &LinkKey,
    claim: &LinkClaim,
) -> Result<Fields, Fault> {
    own(posted, headers, site, |proof| key.proves_form(claim, proof))
}

/// The fields, once they are read and `proves` takes their proof.
pub(crate) fn own(
    posted: Posted,
    headers: &HeaderMap,
    site: &SiteUrl,
    proves: impl FnOnce(&str) -> bool,
) -> Result<Fields, Fault> {
    let Form(fields) = posted.map_err(|why| unreadable(why.status()))?;
    let proof = value(&fields, PROOF).unwrap_or("");
    if is_foreign(headers, site) || !proves(proof) {
        return Err(Fault::Foreign);
    }
    Ok(fields)
}

fn unreadable(status: StatusCode) -> Fault {
    match status {
        StatusCode::PAYLOAD_TOO_LARGE => Fault::TooLarge,
        _ => Fault::BadForm,
    }
}

/// The first value of that name.
pub(crate) fn value<'a>(fields: &'a Fields, name: &str) -> Option<&'a str> {
    values(fields, name).next()
}

/// Every value of that name.
pub(crate) fn values<'a>(fields: &'a Fields, name: &str) -> impl Iterator<Item = &'a str> {
    fields
        .iter()
        .filter(move |(field, _)| field == name)
        .map(|(_, value)| value.as_str())
}

/// Whether the browser says that another site sent the form. A second lock beside the proof: no
/// word, or the word `null` that privacy settings cause, leaves the answer to the proof.
fn is_foreign(headers: &HeaderMap, site: &SiteUrl) -> bool {
    let text = |name: &str| headers.get(name).map(|v| v.to_str().unwrap_or("?"));
    match (text("sec-fetch-site"), text("origin")) {
        (Some("same-origin" | "none"), _) => false,
        (Some(_), _) => true,
        (None, None | Some("null")) => false,
        (None, Some(origin)) => !is_own(origin, text("host"), site),
    }
}

/// Whether an `Origin` is ours: the configured URL, or the host that the browser asked for.
fn is_own(origin: &str, host: Option<&str>, site: &SiteUrl) -> bool {
    let authority = origin.split_once("://").map(|(_, rest)| rest);
    origin.eq_ignore_ascii_case(site.as_str()) || (authority.is_some() && authority == host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_forms_are_known_by_their_headers() {
        let site = SiteUrl::parse("https://out.isp.example").expect("a URL");
        for (fields, want) in [
            (&[][..], false),
            (
                &[("sec-fetch-site", "same-origin"), ("origin", "null")],
                false,
            ),
            (&[("sec-fetch-site", "none")], false),
            (&[("sec-fetch-site", "same-site")], true),
            (&[("sec-fetch-site", "cross-site")], true),
            (
                &[
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://out.isp.example"),
                ],
                true,
            ),
            (&[("origin", "null")], false),
            (&[("origin", "https://out.isp.example")], false),
            (&[("origin", "https://evil.example")], true),
            (
                &[
                    ("origin", "https://evil.example"),
                    ("host", "out.isp.example"),
                ],
                true,
            ),
            (
                &[("origin", "http://localhost:9"), ("host", "localhost:9")],
                false,
            ),
            (&[("origin", "https://out.isp.example.evil.example")], true),
            (&[("origin", "")], true),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in fields {
                headers.insert(*name, value.parse().expect("a value"));
            }
            assert_eq!(is_foreign(&headers, &site), want, "{fields:?}");
        }
    }

    #[test]
    fn names_may_repeat() {
        let pair = |n: &str, v: &str| (n.to_owned(), v.to_owned());
        let fields = vec![pair("item", "1"), pair("do", "x"), pair("item", "2")];
        assert_eq!(values(&fields, "item").collect::<Vec<_>>(), ["1", "2"]);
        assert_eq!(value(&fields, "none"), None);
    }
}
