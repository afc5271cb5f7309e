//! One visit: the link that the path claims, and who brings it.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, header};
use posthouse_hook::{Id, Language, LinkClaim, LinkKind};
use posthouse_store::{Actor, Who};

use crate::client::{self, Peer};
use crate::fault::Fault;
use crate::pages::Pages;

/// What is known before the store is asked. It prints without the secret.
pub(crate) struct Visit {
    /// What the path claims; worth nothing until the store has proven it.
    pub(crate) claim: LinkClaim,
    /// The path of the link's own page, secret included: for that page only.
    pub(crate) path: String,
    /// The message that the path names below the link.
    pub(crate) message: Option<Id>,
    /// The client's address.
    pub(crate) from: Option<IpAddr>,
    /// What the browser asks for. A page that knows better puts another one here.
    pub(crate) language: Language,
    /// Whether somebody looks (GET), rather than a program that asks for the header (HEAD).
    pub(crate) looks: bool,
}

impl Visit {
    /// Reads `/KIND/TOKEN` and `/KIND/TOKEN/m/ID…`. The path is taken as it stands, without
    /// percent-decoding: a token has no character that would need it.
    fn read(path: &str) -> Option<Self> {
        let mut segments = path.split('/').skip(1);
        let segment = segments.next()?;
        let kind = LinkKind::ALL.into_iter().find(|k| k.segment() == segment)?;
        let token = segments.next()?;
        let claim = LinkClaim::parse(kind, token)?;
        let message = match segments.nth(1) {
            Some(id) => Some(id.parse().ok()?),
            None => None,
        };
        Some(Self {
            claim,
            path: format!("/{segment}/{}", token.to_ascii_lowercase()),
            message,
            from: None,
            language: Language::default(),
            looks: false,
        })
    }

    /// The visitor, for the audit.
    pub(crate) fn actor(&self) -> Actor {
        let who = match self.claim.kind {
            LinkKind::Item | LinkKind::Manage => Who::Sender,
            LinkKind::Address | LinkKind::Stop => Who::Recipient,
            LinkKind::Confirm => Who::Confirmer,
        };
        Actor {
            who,
            from: self.from,
        }
    }
}

impl FromRequestParts<Arc<Pages>> for Visit {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, pages: &Arc<Pages>) -> Result<Self, Fault> {
        let mut visit = Self::read(parts.uri.path()).ok_or(Fault::NotFound)?;
        visit.from = client_of(parts, pages);
        visit.language = language_of(&parts.headers);
        visit.looks = parts.method == Method::GET;
        Ok(visit)
    }
}

fn client_of(parts: &Parts, pages: &Pages) -> Option<IpAddr> {
    let peer = parts.extensions.get::<Peer>();
    peer.map(|p| client::client(p.0.ip(), &parts.headers, &pages.trusted))
}

/// Somebody who brings no link.
pub(crate) struct Visitor {
    /// The client's address.
    from: Option<IpAddr>,
    /// What the browser asks for.
    pub(crate) language: Language,
}

impl Visitor {
    /// The visitor, for the audit.
    pub(crate) fn actor(&self) -> Actor {
        Actor {
            who: Who::Visitor,
            from: self.from,
        }
    }
}

impl FromRequestParts<Arc<Pages>> for Visitor {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut Parts,
        pages: &Arc<Pages>,
    ) -> Result<Self, Self::Rejection> {
        Ok(Self {
            from: client_of(parts, pages),
            language: language_of(&parts.headers),
        })
    }
}

/// The language that a browser asks for; several fields are one (RFC 9110 §5.3).
pub(crate) fn language_of(headers: &HeaderMap) -> Language {
    let fields = headers.get_all(header::ACCEPT_LANGUAGE).iter();
    let fields: Vec<_> = fields.filter_map(|field| field.to_str().ok()).collect();
    Language::from_accept_language(&fields.join(","))
}

/// A path as logs may hold it: what could be a secret, or anything that a stranger made up, is
/// replaced.
pub(crate) fn without_secret(path: &str) -> &'static str {
    let segments: Vec<_> = path.split('/').skip(1).take(5).collect();
    match segments[..] {
        [""] => "/",
        ["robots.txt"] => "/robots.txt",
        ["style.css"] => "/style.css",
        ["icon.svg"] => "/icon.svg",
        ["i", _] => "/i/<link>",
        ["a", _] => "/a/<link>",
        ["a", _, "m", _] => "/a/<link>/m/<id>",
        ["a", _, "m", _, "message.eml"] => "/a/<link>/m/<id>/message.eml",
        ["s", _] => "/s/<link>",
        ["c", _] => "/c/<link>",
        ["m", _] => "/m/<link>",
        ["m", _, "m", _] => "/m/<link>/m/<id>",
        _ => "/<other>",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use posthouse_hook::LinkKey;

    fn token() -> String {
        let key = LinkKey::new([7; 32], "http://x");
        key.mint(LinkKind::Address, Id(17), "a@x.example", 0)
            .token()
    }

    #[test]
    fn paths_are_read_strictly() {
        let token = token();
        let read = |path: &str| Visit::read(path).map(|v| (v.claim.kind, v.message));
        assert_eq!(
            read(&format!("/a/{token}")),
            Some((LinkKind::Address, None))
        );
        let below = Some((LinkKind::Address, Some(Id(9))));
        assert_eq!(read(&format!("/a/{token}/m/9")), below);
        assert_eq!(read(&format!("/a/{token}/m/9/message.eml")), below);
        for path in [
            "/".to_owned(),
            "/a/".to_owned(),
            format!("/x/{token}"),
            format!("/a/{token}x"),
            format!("/a/%{token}"),
            format!("/a/{token}/m/nine"),
            format!("/a/{token}/m/99999999999999999999"),
        ] {
            assert!(read(&path).is_none(), "{path}");
        }
    }

    #[test]
    fn one_spelling_leads_to_one_path() {
        let visit = Visit::read(&format!("/a/{}", token().to_ascii_uppercase()));
        assert_eq!(visit.map(|v| v.path), Some(format!("/a/{}", token())));
    }

    #[test]
    fn no_logged_path_holds_a_secret() {
        let token = token();
        for path in [
            format!("/i/{token}"),
            format!("/a/{token}/m/3/message.eml"),
            format!("/I/{token}"),
            format!("/{token}"),
            format!("/a/b/{token}"),
            format!("/robots.txt/{token}"),
            format!("/s/{token}/"),
            format!("/c/{token}"),
            format!("/m/{token}"),
            format!("/m/{token}/m/7"),
        ] {
            assert!(!without_secret(&path).contains(&token), "{path}");
        }
    }
}
