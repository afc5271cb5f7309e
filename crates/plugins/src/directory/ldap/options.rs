//! The options of an LDAP source, checked; nothing is asked here.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use serde::Deserialize;
use tokio::sync::Semaphore;

use super::Ldap;
use super::connect::{Login, Opener, Secured, Server, connector};
use super::filter::Filter;
use crate::directory::Directory;
use crate::options::{BadValue, BuildError};
use crate::secret;

const DOMAIN_FILTER: &str = "(sendmailMTAClassValue={domain})";
const ADDRESS_FILTER: &str = "(mailLocalAddress={address})";
const CONNECTIONS: usize = 4;

/// How deep is searched (RFC 4511 §4.5.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Scope {
    Base,
    One,
    #[default]
    Sub,
}

/// The options that only an LDAP source has.
#[derive(Default)]
pub(crate) struct LdapSettings {
    pub(crate) start_tls: bool,
    pub(crate) ca_file: Option<PathBuf>,
    pub(crate) bind_dn: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) scope: Option<Scope>,
    pub(crate) domain_filter: Option<String>,
    pub(crate) address_filter: Option<String>,
    pub(crate) connections: Option<NonZeroUsize>,
}

impl LdapSettings {
    /// The first of them that is written.
    pub(crate) fn written(&self) -> Option<&'static str> {
        let all = [
            ("start_tls", self.start_tls),
            ("ca_file", self.ca_file.is_some()),
            ("bind_dn", self.bind_dn.is_some()),
            ("password", self.password.is_some()),
            ("base", self.base.is_some()),
            ("scope", self.scope.is_some()),
            ("domain_filter", self.domain_filter.is_some()),
            ("address_filter", self.address_filter.is_some()),
            ("connections", self.connections.is_some()),
        ];
        all.into_iter()
            .find(|(_, written)| *written)
            .map(|(key, _)| key)
    }
}

/// A directory at that address.
pub(in crate::directory) fn open(
    source: &str,
    settings: &LdapSettings,
    dir: &Path,
) -> Result<Box<dyn Directory>, BuildError> {
    let (scheme, server) = server(source)?;
    let connections = settings.connections.map_or(CONNECTIONS, NonZeroUsize::get);
    Ok(Box::new(Ldap {
        name: source.to_owned(),
        opener: Opener {
            secured: secured(scheme, settings, dir)?,
            login: login(settings, dir)?,
            server,
        },
        base: base(settings)?,
        scope: match settings.scope.unwrap_or_default() {
            Scope::Base => ldap3::Scope::Base,
            Scope::One => ldap3::Scope::OneLevel,
            Scope::Sub => ldap3::Scope::Subtree,
        },
        domains: domain_filter(settings)?,
        addresses: address_filter(settings)?,
        turns: Semaphore::new(connections.min(Semaphore::MAX_PERMITS)),
        idle: Mutex::default(),
    }))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Ldap,
    Ldaps,
    Ldapi,
}

fn server(source: &str) -> Result<(Scheme, Server), BuildError> {
    let parsed = source
        .split_once("://")
        .and_then(|(scheme, rest)| match scheme {
            "ldap" => Some((Scheme::Ldap, tcp(rest, 389)?)),
            "ldaps" => Some((Scheme::Ldaps, tcp(rest, 636)?)),
            "ldapi" => Some((Scheme::Ldapi, unix(rest)?)),
            _ => None,
        });
    parsed.ok_or_else(|| {
        let way_out = "write ldap://host:389, ldaps://host:636 or ldapi:///run/slapd/ldapi; base and filters are options of their own";
        BadValue::new("source", source, "no address of a directory", way_out).into()
    })
}

/// `host`, `host:port`, `[ipv6]:port`, a final slash allowed.
fn tcp(text: &str, default: u16) -> Option<Server> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, port.parse().ok()?),
        _ => (text, default),
    };
    let bare = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    let named = match bare {
        Some(inside) => inside.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(fits),
    };
    let name = bare.unwrap_or(host).to_owned();
    (named && port != 0).then(|| Server::Tcp(format!("{host}:{port}"), name))
}

/// A path, as it is or with its slashes written as `%2F`.
fn unix(text: &str) -> Option<Server> {
    let path = text.replace("%2F", "/").replace("%2f", "/");
    path.starts_with('/').then(|| Server::Unix(path.into()))
}

fn secured(scheme: Scheme, settings: &LdapSettings, dir: &Path) -> Result<Secured, BuildError> {
    let bad = |key, problem, way_out| Err(BadValue::new(key, true, problem, way_out).into());
    let connect = || {
        let file = settings.ca_file.as_ref().map(|file| dir.join(file));
        connector(file.as_deref()).map_err(|problem| {
            let value = file.as_ref().map(|file| file.display().to_string());
            let way_out = "name a file of certificates in PEM";
            BuildError::from(BadValue::new(
                "ca_file",
                value.unwrap_or_default(),
                problem,
                way_out,
            ))
        })
    };
    match (scheme, settings.start_tls) {
        (Scheme::Ldap, false) => Ok(Secured::No),
        (Scheme::Ldap, true) => Ok(Secured::WhenAsked(connect()?)),
        (Scheme::Ldaps, false) => Ok(Secured::AtOnce(connect()?)),
        (Scheme::Ldapi, false) => Ok(Secured::No),
        (Scheme::Ldaps, true) => bad(
            "start_tls",
            "ldaps is TLS already",
            "write ldap://, or leave it out",
        ),
        (Scheme::Ldapi, true) => bad(
            "start_tls",
            "a socket of this machine needs none",
            "leave it out",
        ),
    }
}

/// Binding with a name and no password is anonymous, whatever the name (RFC 4513 §5.1.2).
fn login(settings: &LdapSettings, dir: &Path) -> Result<Option<Login>, BuildError> {
    let bad = |key, value: &str, problem, way_out| {
        Err(BadValue::new(key, value, problem, way_out).into())
    };
    match (&settings.bind_dn, &settings.password) {
        (None, None) => Ok(None),
        (Some(dn), Some(password)) => Ok(Some(Login {
            dn: dn.clone(),
            password: secret::read("password", password, dir)?,
        })),
        (Some(dn), None) => bad(
            "bind_dn",
            dn,
            "a name needs a password",
            "add password = \"file:…\"",
        ),
        (None, Some(_)) => bad(
            "password",
            "…",
            "a password needs a name",
            "add bind_dn = \"cn=…\"",
        ),
    }
}

fn base(settings: &LdapSettings) -> Result<String, BuildError> {
    settings.base.clone().ok_or_else(|| {
        let way_out = "write base = \"dc=mail\", or \"\" for the root";
        BadValue::new(
            "base",
            "",
            "a directory needs a base to search below",
            way_out,
        )
        .into()
    })
}

/// An empty filter: the directory is not asked about domains.
fn domain_filter(settings: &LdapSettings) -> Result<Option<Filter>, BuildError> {
    let text = settings.domain_filter.as_deref().unwrap_or(DOMAIN_FILTER);
    if text.is_empty() {
        return Ok(None);
    }
    let way_out = format!("write a filter such as {DOMAIN_FILTER}, or \"\" to ask about no domain");
    Filter::of_domain(text)
        .map(Some)
        .map_err(|problem| BadValue::new("domain_filter", text, problem, way_out).into())
}

fn address_filter(settings: &LdapSettings) -> Result<Filter, BuildError> {
    let text = settings.address_filter.as_deref().unwrap_or(ADDRESS_FILTER);
    let way_out = format!("write a filter such as {ADDRESS_FILTER}");
    Filter::of_address(text)
        .map_err(|problem| BadValue::new("address_filter", text, problem, way_out).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_directories() {
        let tcp = |scheme, address: &str, host: &str| {
            Some((scheme, Server::Tcp(address.to_owned(), host.to_owned())))
        };
        let unix = Some((Scheme::Ldapi, Server::Unix("/run/slapd/ldapi".into())));
        for (source, want) in [
            (
                "ldap://127.0.0.1:3890",
                tcp(Scheme::Ldap, "127.0.0.1:3890", "127.0.0.1"),
            ),
            (
                "ldap://ldap.isp.example/",
                tcp(Scheme::Ldap, "ldap.isp.example:389", "ldap.isp.example"),
            ),
            ("ldaps://[::1]", tcp(Scheme::Ldaps, "[::1]:636", "::1")),
            (
                "ldaps://[::1]:1636",
                tcp(Scheme::Ldaps, "[::1]:1636", "::1"),
            ),
            ("ldapi:///run/slapd/ldapi", unix.clone()),
            ("ldapi://%2Frun%2fslapd%2Fldapi", unix),
            ("ldap://", None),
            ("ldap://h:0", None),
            ("ldap://h/dc=mail", None),
            ("ldap://a@h", None),
            ("ldap://::1", None),
            ("ldapi://", None),
        ] {
            assert_eq!(server(source).ok(), want, "{source}");
        }
    }
}
