//! Routes: which next hop a recipient's copy goes to. Pure: no DNS, no connection.

use std::fmt;
use std::net::IpAddr;

use posthouse_hook::{Domain, ForwardPath, Host};
use posthouse_store::Kind;
use serde::Deserialize;

use crate::source::Source;

/// The port of SMTP between servers (RFC 5321 §4.5.4.2).
const SMTP_PORT: u16 = 25;

/// Routes in order; the first that matches wins. Never empty.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "Vec<Route>")]
pub struct Routes(Vec<Route>);

/// One route.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Whose mail: `*`, `example.com`, or `.example.com` for its subdomains.
    pub domain: Pattern,
    /// Only messages of this kind; without it, all.
    #[serde(default)]
    pub kind: Option<Kind>,
    /// `mx`, or `smtp://host:port`.
    pub next_hop: NextHop,
    /// What to do with 8-bit mail if the next hop does not offer 8BITMIME.
    #[serde(default)]
    pub eight_bit: EightBit,
    /// Whether TLS is used.
    #[serde(default)]
    pub tls: Tls,
    /// The local addresses that connections are made from. Default: the system chooses.
    #[serde(default)]
    pub source: Source,
    /// The name that we give in EHLO. Default: that of `[relay]`.
    #[serde(default)]
    pub helo: Option<Domain>,
}

/// The domains that a route is for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Pattern {
    /// `*`: every domain, and address literals.
    Any,
    /// `example.com`: that domain.
    Exact(Domain),
    /// `.example.com`: its subdomains.
    Below(Domain),
}

/// Where a route leads.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Deserialize)]
#[serde(try_from = "String")]
pub enum NextHop {
    /// To the mail hosts of the recipient's domain (RFC 5321 §5.1).
    Mx,
    /// To one host, whatever the domain.
    Fixed(Host, u16),
}

/// What to do with 8-bit mail if the next hop does not offer 8BITMIME (RFC 6152).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EightBit {
    /// Send it as it is: in practice every server takes it.
    #[default]
    Send,
    /// Fail it with 5.6.3.
    Fail,
}

/// Whether TLS is used (RFC 3207).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Tls {
    /// When it is offered; the certificate is not verified, and plain text is the way out.
    #[default]
    Opportunistic,
    /// Never.
    Off,
    /// Always, with a certificate that is verified; otherwise the message waits.
    Require,
}

/// Where one recipient's copy goes, and how. Copies of one message with equal targets share a
/// transaction; messages with equal targets share connections.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Target {
    /// To whom we connect.
    pub hop: Hop,
    /// For next hops without 8BITMIME.
    pub eight_bit: EightBit,
    /// Whether TLS is used.
    pub tls: Tls,
    /// Where connections are made from.
    pub source: Source,
    /// The name that we give in EHLO, if the route has one of its own.
    pub helo: Option<Domain>,
}

/// A next hop before DNS was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Hop {
    /// The mail hosts of a domain, or the host of an address literal.
    Mx(Host),
    /// A host by name or address, and its port.
    Fixed(Host, u16),
}

impl Routes {
    /// The target for one recipient, or none if no route matches.
    ///
    /// `ours` is our own host name: the domain of the bare `<postmaster>` (RFC 5321 §4.5.1).
    pub fn target(&self, to: &ForwardPath, kind: Kind, ours: &Domain) -> Option<Target> {
        let host = match to {
            ForwardPath::Postmaster => Host::Domain(ours.clone()),
            ForwardPath::Mailbox(mailbox) => mailbox.host().clone(),
        };
        let route = self.0.iter().find(|route| route.matches(&host, kind))?;
        Some(Target {
            hop: match &route.next_hop {
                NextHop::Mx => Hop::Mx(host),
                NextHop::Fixed(host, port) => Hop::Fixed(host.clone(), *port),
            },
            eight_bit: route.eight_bit,
            tls: route.tls,
            source: route.source,
            helo: route.helo.clone(),
        })
    }

    /// Every local address that a route names as its source, each once.
    pub fn sources(&self) -> Vec<IpAddr> {
        let mut all: Vec<_> = self.0.iter().flat_map(|r| r.source.addresses()).collect();
        all.sort();
        all.dedup();
        all
    }
}

impl Route {
    fn matches(&self, host: &Host, kind: Kind) -> bool {
        self.kind.is_none_or(|only| only == kind) && self.domain.matches(host)
    }
}

impl Pattern {
    fn matches(&self, host: &Host) -> bool {
        match self {
            Self::Any => true,
            Self::Exact(domain) => host.domain() == Some(domain),
            Self::Below(parent) => host.domain().is_some_and(|d| d.is_below(parent.as_str())),
        }
    }
}

impl Default for Routes {
    /// Everything by MX.
    fn default() -> Self {
        Self(vec![Route {
            domain: Pattern::Any,
            kind: None,
            next_hop: NextHop::Mx,
            eight_bit: EightBit::default(),
            tls: Tls::default(),
            source: Source::default(),
            helo: None,
        }])
    }
}

impl TryFrom<Vec<Route>> for Routes {
    type Error = &'static str;

    fn try_from(routes: Vec<Route>) -> Result<Self, Self::Error> {
        if routes.is_empty() {
            return Err(
                "route is empty: no mail could leave; write [{ domain = \"*\", next_hop = \"mx\" }]",
            );
        }
        Ok(Self(routes))
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self::Any);
        }
        let parsed = match text.strip_prefix('.') {
            Some(parent) => Domain::parse(parent).map(Self::Below),
            None => Domain::parse(&text).map(Self::Exact),
        };
        parsed.map_err(|_| format!("`{text}` is no domain; write *, example.com or .example.com"))
    }
}

impl TryFrom<String> for NextHop {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        if text == "mx" {
            return Ok(Self::Mx);
        }
        text.strip_prefix("smtp://")
            .and_then(parse_authority)
            .map(|(host, port)| Self::Fixed(host, port))
            .ok_or_else(|| {
                format!(
                    "`{text}` is no next hop; write mx, smtp://host:25 or smtp://[2001:db8::1]:25"
                )
            })
    }
}

/// Reads `host`, `host:port`, `192.0.2.1:port` or `[2001:db8::1]:port`, a final slash allowed.
fn parse_authority(text: &str) -> Option<(Host, u16)> {
    let text = text.strip_suffix('/').unwrap_or(text);
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, port.parse().ok()?),
        _ => (text, SMTP_PORT),
    };
    let bare = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let address = match bare {
        Some(inside) => Some(inside.parse().ok().filter(IpAddr::is_ipv6)?),
        None => host.parse().ok().filter(IpAddr::is_ipv4),
    };
    let host = match address {
        Some(ip) => Host::Literal(ip),
        None => Host::Domain(Domain::parse(host).ok()?),
    };
    (port != 0).then_some((host, port))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.hop.fmt(f)
    }
}

impl fmt::Display for Hop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mx(host) => write!(f, "mx of {host}"),
            Self::Fixed(Host::Domain(name), port) => write!(f, "{name}:{port}"),
            Self::Fixed(Host::Literal(IpAddr::V4(ip)), port) => write!(f, "{ip}:{port}"),
            Self::Fixed(Host::Literal(IpAddr::V6(ip)), port) => write!(f, "[{ip}]:{port}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes() -> Routes {
        let text = r#"route = [
            { domain = "a.example", kind = "released", next_hop = "smtp://127.0.0.1:2501" },
            { domain = ".a.example", next_hop = "smtp://[::1]:2502" },
            { domain = "a.example", next_hop = "smtp://mail.b.example", tls = "require" },
            { domain = "out.isp.example", next_hop = "smtp://box.isp.example:24/" },
            { domain = "*", kind = "relayed", next_hop = "mx" },
        ]"#;
        let config: crate::config::RelayConfig = toml::from_str(text).expect("valid");
        config.route
    }

    #[test]
    fn the_first_match_wins() {
        let ours = Domain::parse("out.isp.example").expect("valid");
        for (to, kind, want) in [
            ("x@a.example", Kind::Released, "127.0.0.1:2501"),
            ("x@a.example", Kind::Relayed, "mail.b.example:25"),
            ("x@sub.a.example", Kind::Released, "[::1]:2502"),
            ("x@ba.example", Kind::Relayed, "mx of ba.example"),
            ("x@[192.0.2.1]", Kind::Relayed, "mx of [192.0.2.1]"),
            ("postmaster", Kind::Relayed, "box.isp.example:24"),
            ("x@ba.example", Kind::Dsn, "-"),
        ] {
            let to = ForwardPath::from_address(to).expect("valid");
            let target = routes().target(&to, kind, &ours);
            let got = target.map_or("-".to_owned(), |target| target.to_string());
            assert_eq!(got, want, "{to} {kind:?}");
        }
    }

    #[test]
    fn next_hops_that_are_none() {
        for text in [
            "",
            "MX",
            "smtp://",
            "smtp://a b",
            "smtp://h:99999",
            "smtp://[1.2.3.4]:25",
            "smtp://::1",
            "smtp://h/x",
        ] {
            assert!(NextHop::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
