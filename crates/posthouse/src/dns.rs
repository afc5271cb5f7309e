//! DNS for every room: the hook's resolver port over hickory, one cache for the whole program.

use std::net::{IpAddr, Ipv4Addr};

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig, ResolverOpts};
use hickory_resolver::lookup::Lookup;
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData, RecordType};
use posthouse_hook::{Domain, LookupError, Mx, Resolver};

use crate::config::Dns;

/// Answers that are kept, each for as long as its TTL says.
const CACHED: u64 = 8192;

/// The resolver that the configuration describes.
pub(crate) struct DnsResolver(TokioResolver);

impl DnsResolver {
    /// Asks the configured servers, or the system's.
    pub(crate) fn new(config: &Dns) -> Result<Self, NetError> {
        let mut builder = if config.servers.is_empty() {
            TokioResolver::builder_tokio()?
        } else {
            let servers = config
                .servers
                .iter()
                .map(|server| name_server(*server))
                .collect();
            TokioResolver::builder_with_config(
                ResolverConfig::from_name_servers(servers),
                TokioRuntimeProvider::default(),
            )
        };
        configure(builder.options_mut(), config);
        builder.build().map(Self)
    }

    async fn ask(&self, name: Name, kind: RecordType) -> Result<Lookup, LookupError> {
        self.0.lookup(name, kind).await.map_err(|error| {
            if error.is_no_records_found() || error.is_nx_domain() {
                LookupError::NotFound
            } else {
                LookupError::Temporary(error.to_string())
            }
        })
    }

    async fn records<T>(
        &self,
        domain: &Domain,
        kind: RecordType,
        pick: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let lookup = self.ask(fqdn(domain)?, kind).await?;
        let found: Vec<_> = lookup
            .answers()
            .iter()
            .filter_map(|r| pick(&r.data))
            .collect();
        if found.is_empty() {
            Err(LookupError::NotFound)
        } else {
            Ok(found)
        }
    }
}

fn configure(options: &mut ResolverOpts, config: &Dns) {
    options.timeout = config.timeout.0;
    options.attempts = config.attempts;
    options.cache_size = CACHED;
    // Names in mail are whole names: a search list would turn a typo into somebody's host.
    options.ndots = 0;
    options.edns0 = true;
}

fn name_server(server: std::net::SocketAddr) -> NameServerConfig {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    for connection in &mut connections {
        connection.port = server.port();
    }
    NameServerConfig::new(server.ip(), true, connections)
}

/// The absolute name: no search list is ever tried. By its labels, because SPF macros make names
/// of characters that the resolver's own parser would not take.
fn fqdn(domain: &Domain) -> Result<Name, LookupError> {
    let labels = domain.as_str().split('.').map(str::as_bytes);
    Name::from_labels(labels).map_err(|_| LookupError::NotFound)
}

fn domain_of(name: &Name) -> Option<Domain> {
    Domain::parse(&name.to_ascii()).ok()
}

#[async_trait]
impl Resolver for DnsResolver {
    async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, LookupError> {
        let pick = |data: &RData| match data {
            RData::MX(mx) => {
                // Only the root is the null MX; a name that is no host name is no record.
                let host = domain_of(&mx.exchange);
                let usable = mx.exchange.is_root() || host.is_some();
                usable.then_some(Mx {
                    preference: mx.preference,
                    host,
                })
            }
            _ => None,
        };
        let mut found = self.records(domain, RecordType::MX, pick).await?;
        found.sort_by_key(|mx| mx.preference);
        Ok(found)
    }

    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        let pick = |data: &RData| match data {
            RData::A(a) => Some(IpAddr::V4(a.0)),
            RData::AAAA(aaaa) => Some(IpAddr::V6(aaaa.0)),
            _ => None,
        };
        let (v4, v6) = tokio::join!(
            self.records(domain, RecordType::A, pick),
            self.records(domain, RecordType::AAAA, pick)
        );
        match (v4, v6) {
            (Ok(mut all), Ok(more)) => {
                all.extend(more);
                Ok(all)
            }
            (Ok(found), _) | (_, Ok(found)) => Ok(found),
            (Err(LookupError::NotFound), other) | (other, Err(LookupError::NotFound)) => other,
            (failed, _) => failed,
        }
    }

    async fn v4(&self, domain: &Domain) -> Result<Vec<Ipv4Addr>, LookupError> {
        let pick = |data: &RData| match data {
            RData::A(a) => Some(a.0),
            _ => None,
        };
        self.records(domain, RecordType::A, pick).await
    }

    async fn v4_anew(&self, domain: &Domain) -> Result<Vec<Ipv4Addr>, LookupError> {
        self.0.clear_lookup_cache(fqdn(domain)?, RecordType::A);
        self.v4(domain).await
    }

    async fn txt(&self, domain: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        let pick = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        };
        self.records(domain, RecordType::TXT, pick).await
    }

    async fn names(&self, ip: IpAddr) -> Result<Vec<Domain>, LookupError> {
        let lookup = self.ask(Name::from(ip), RecordType::PTR).await?;
        let found = lookup
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::PTR(name) => domain_of(&name.0),
                _ => None,
            });
        Ok(found.collect())
    }
}
