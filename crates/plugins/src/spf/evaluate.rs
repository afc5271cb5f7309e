//! Evaluating SPF records (RFC 7208 §4 to §6), within the limits of §4.6.4.

use std::net::IpAddr;

use ipnet::{Ipv4Net, Ipv6Net};
use posthouse_hook::{Domain, LookupError, Resolver, Spf};

use super::Identity;
use super::macros::DomainSpec;
use super::record::{Mechanism, Record, Target, is_spf};

/// Terms that need DNS, in all records together.
const MAX_TERMS: u8 = 10;
/// Terms whose lookup may find nothing.
const MAX_VOID: u8 = 2;
/// Mail hosts of one `mx`, and names of one `ptr`.
const MAX_NAMES: usize = 10;

/// One run of `check_host()`, with what it has used up of its limits.
pub(super) struct Evaluation<'a> {
    resolver: &'a dyn Resolver,
    identity: &'a Identity<'a>,
    terms: u8,
    voids: u8,
}

/// An evaluation that ends before its time: a `temperror` or a `permerror`.
struct Broken(Spf);

impl From<LookupError> for Broken {
    fn from(_: LookupError) -> Self {
        Self(Spf::TempError)
    }
}

const PERM: Broken = Broken(Spf::PermError);

impl<'a> Evaluation<'a> {
    pub(super) fn new(resolver: &'a dyn Resolver, identity: &'a Identity<'a>) -> Self {
        Self {
            resolver,
            identity,
            terms: 0,
            voids: 0,
        }
    }

    pub(super) async fn run(mut self, domain: Domain) -> Spf {
        match self.check_host(domain).await {
            Ok(result) | Err(Broken(result)) => result,
        }
    }

    /// The records of one domain, and of those that it redirects to.
    async fn check_host(&mut self, mut domain: Domain) -> Result<Spf, Broken> {
        let Some(mut record) = self.record(&domain).await? else {
            return Ok(Spf::None);
        };
        loop {
            for directive in &record.directives {
                if self.matches(&directive.mechanism, &domain).await? {
                    return Ok(directive.result);
                }
            }
            let Some(redirect) = &record.redirect else {
                return Ok(Spf::Neutral);
            };
            self.count_term()?;
            // A redirect to a domain without a record, or to no domain, is broken (§6.1).
            domain = self.expand(redirect, &domain).await.ok_or(PERM)?;
            record = self.record(&domain).await?.ok_or(PERM)?;
        }
    }

    /// The one SPF record of a domain, if it has one (§4.4, §4.5).
    async fn record(&self, domain: &Domain) -> Result<Option<Record>, Broken> {
        let texts = found(self.resolver.txt(domain).await)?;
        let mut records = texts.iter().filter(|txt| is_spf(txt));
        match (records.next(), records.next()) {
            (None, _) => Ok(None),
            (Some(only), None) => Record::parse(only).map(Some).ok_or(PERM),
            (Some(_), Some(_)) => Err(PERM),
        }
    }

    async fn matches(&mut self, mechanism: &Mechanism, domain: &Domain) -> Result<bool, Broken> {
        match mechanism {
            Mechanism::All => Ok(true),
            Mechanism::Ip4(net) => Ok(self.in_v4(net)),
            Mechanism::Ip6(net) => Ok(self.in_v6(net)),
            Mechanism::Include(spec) => self.include(spec, domain).await,
            Mechanism::A(target) => self.a(target, domain).await,
            Mechanism::Mx(target) => self.mx(target, domain).await,
            Mechanism::Ptr(spec) => self.ptr(spec.as_ref(), domain).await,
            Mechanism::Exists(spec) => self.exists(spec, domain).await,
        }
    }

    fn in_v4(&self, net: &Ipv4Net) -> bool {
        matches!(self.identity.ip, IpAddr::V4(ip) if net.contains(&ip))
    }

    fn in_v6(&self, net: &Ipv6Net) -> bool {
        matches!(self.identity.ip, IpAddr::V6(ip) if net.contains(&ip))
    }

    /// The table of §5.2: only a pass matches, and no record is an error.
    async fn include(&mut self, spec: &DomainSpec, domain: &Domain) -> Result<bool, Broken> {
        self.count_term()?;
        let target = self.expand(spec, domain).await.ok_or(PERM)?;
        match Box::pin(self.check_host(target)).await? {
            Spf::Pass => Ok(true),
            Spf::None => Err(PERM),
            _ => Ok(false),
        }
    }

    async fn a(&mut self, target: &Target, domain: &Domain) -> Result<bool, Broken> {
        self.count_term()?;
        let Some(name) = self.target(target.domain.as_ref(), domain).await else {
            return Ok(false);
        };
        let addresses = self.addresses(&name).await?;
        self.count_void(addresses.is_empty())?;
        Ok(self.is_near(&addresses, target))
    }

    async fn mx(&mut self, target: &Target, domain: &Domain) -> Result<bool, Broken> {
        self.count_term()?;
        let Some(name) = self.target(target.domain.as_ref(), domain).await else {
            return Ok(false);
        };
        let records = found(self.resolver.mx(&name).await)?;
        self.count_void(records.is_empty())?;
        if records.len() > MAX_NAMES {
            return Err(PERM);
        }
        for host in records.into_iter().filter_map(|mx| mx.host) {
            let addresses = self.addresses(&host).await?;
            if self.is_near(&addresses, target) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A name that the client's address points to, and that points back, at or below the domain.
    async fn ptr(&mut self, spec: Option<&DomainSpec>, domain: &Domain) -> Result<bool, Broken> {
        self.count_term()?;
        let Some(target) = self.target(spec, domain).await else {
            return Ok(false);
        };
        let names = self.resolver.names(self.identity.ip).await;
        self.count_void(names == Err(LookupError::NotFound))?;
        for name in names.unwrap_or_default().into_iter().take(MAX_NAMES) {
            let below = name == target || name.is_below(target.as_str());
            if below && self.points_back(&name).await {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Whether there is an A record, for an IPv6 client too (§5.7).
    async fn exists(&mut self, spec: &DomainSpec, domain: &Domain) -> Result<bool, Broken> {
        self.count_term()?;
        let Some(name) = self.expand(spec, domain).await else {
            return Ok(false);
        };
        let addresses = found(self.resolver.addresses(&name).await)?;
        let exists = addresses.iter().any(IpAddr::is_ipv4);
        self.count_void(!exists)?;
        Ok(exists)
    }

    /// The addresses of the client's family.
    async fn addresses(&self, name: &Domain) -> Result<Vec<IpAddr>, Broken> {
        let mut addresses = found(self.resolver.addresses(name).await)?;
        addresses.retain(|ip| ip.is_ipv4() == self.identity.ip.is_ipv4());
        Ok(addresses)
    }

    /// Whether one of the addresses is the client's, as far as the prefix length says.
    fn is_near(&self, addresses: &[IpAddr], target: &Target) -> bool {
        addresses.iter().any(|address| match address {
            IpAddr::V4(ip) => Ipv4Net::new(*ip, target.v4_prefix).is_ok_and(|n| self.in_v4(&n)),
            IpAddr::V6(ip) => Ipv6Net::new(*ip, target.v6_prefix).is_ok_and(|n| self.in_v6(&n)),
        })
    }

    async fn points_back(&self, name: &Domain) -> bool {
        let addresses = self.resolver.addresses(name).await.unwrap_or_default();
        addresses.contains(&self.identity.ip)
    }

    /// The domain of a term; without a domain-spec, the current one.
    async fn target(&self, spec: Option<&DomainSpec>, domain: &Domain) -> Option<Domain> {
        match spec {
            Some(spec) => self.expand(spec, domain).await,
            None => Some(domain.clone()),
        }
    }

    /// The name that a domain-spec comes to; none if DNS cannot be asked for it (§4.8).
    async fn expand(&self, spec: &DomainSpec, domain: &Domain) -> Option<Domain> {
        let validated = match spec.needs_name() {
            true => self.validated_name(domain).await,
            false => String::new(),
        };
        Domain::for_query(&spec.expand(self.identity, domain.as_str(), &validated))
    }

    /// What `%{p}` stands for (§7.3): the domain itself, then a name below it, then any.
    async fn validated_name(&self, domain: &Domain) -> String {
        let names = self.resolver.names(self.identity.ip).await;
        let mut names = names.unwrap_or_default();
        names.truncate(MAX_NAMES);
        names.sort_by_key(|name| (name != domain, !name.is_below(domain.as_str())));
        for name in names {
            if self.points_back(&name).await {
                return name.to_string();
            }
        }
        "unknown".to_owned()
    }

    fn count_term(&mut self) -> Result<(), Broken> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            Err(PERM)
        } else {
            Ok(())
        }
    }

    fn count_void(&mut self, void: bool) -> Result<(), Broken> {
        self.voids += u8::from(void);
        if self.voids > MAX_VOID {
            Err(PERM)
        } else {
            Ok(())
        }
    }
}

/// What DNS found; nothing if there is nothing, an error only if it did not answer.
fn found<T>(answer: Result<Vec<T>, LookupError>) -> Result<Vec<T>, Broken> {
    match answer {
        Ok(records) => Ok(records),
        Err(LookupError::NotFound) => Ok(Vec::new()),
        Err(error @ LookupError::Temporary(_)) => Err(error.into()),
    }
}
