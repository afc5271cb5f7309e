//! RFC 7208's own suite, 203 cases, through our SPF: every scenario's zone is served over UDP and
//! TCP on loopback, and asked through a resolver as the program's is.

use std::net::IpAddr;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::rdata::{A, AAAA, CNAME, MX, PTR, TXT};
use hickory_resolver::proto::rr::{Name, RData, Record, RecordType};
use posthouse_hook::{Domain, LookupError, Mx, Resolver};
use posthouse_plugins::spf;
use posthouse_tests::dns::{Dns, Zone};
use yaml_rust2::{Yaml, YamlLoader};

/// From Debian's package python3-spf.
const SUITE: &str = "/usr/share/doc/python3-spf/rfc7208-tests.yml.gz";
const CASES: usize = 203;
/// How long an answer may take that never comes; long enough for a loopback that is busy.
const PATIENCE: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread")]
async fn every_case_of_the_suite_has_its_result() {
    let mut servers = Vec::new();
    let mut running = tokio::task::JoinSet::new();
    for scenario in suite() {
        let dns = Dns::serve(zone(&scenario["zonedata"]));
        let resolver = Arc::new(resolver(dns.addr()));
        servers.push(dns);
        for (name, case) in scenario["tests"].as_hash().expect("tests") {
            running.spawn(run(Arc::clone(&resolver), text(name), case.clone()));
        }
    }
    assert_eq!(
        running.len(),
        CASES,
        "the suite is not the one that is meant"
    );
    let failures: Vec<_> = running.join_all().await.into_iter().flatten().collect();
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

/// What is wrong with one case, if anything.
async fn run(resolver: Arc<Hickory>, name: String, case: Yaml) -> Option<String> {
    let ip: IpAddr = text(&case["host"]).parse().expect("an address");
    let (helo, sender) = (text(&case["helo"]), text(&case["mailfrom"]));
    let got = spf::check(&*resolver, ip, &helo, &sender).await.to_string();
    let wanted = match &case["result"] {
        Yaml::Array(several) => several.iter().map(text).collect(),
        one => vec![text(one)],
    };
    (!wanted.contains(&got)).then(|| format!("{name}: {got}, not {wanted:?}"))
}

fn suite() -> Vec<Yaml> {
    let out = Command::new("gzip").args(["-dc", SUITE]).output();
    let out = out.expect("gzip, from the Debian package `gzip`");
    assert!(
        out.status.success(),
        "{SUITE}: install the Debian package `python3-spf`"
    );
    let text = String::from_utf8(out.stdout).expect("UTF-8");
    YamlLoader::load_from_str(&text).expect("YAML")
}

/// A scalar as it stands in the file.
fn text(value: &Yaml) -> String {
    match value {
        Yaml::Integer(number) => number.to_string(),
        other => other.as_str().expect("a string").to_owned(),
    }
}

/// The suite's octets stand as characters up to U+00FF.
fn octets(text: &str) -> Vec<u8> {
    text.chars()
        .map(|c| u8::try_from(u32::from(c)).expect("an octet"))
        .collect()
}

fn zone(data: &Yaml) -> Zone {
    let mut zone = Zone::default();
    for (name, entries) in data.as_hash().expect("names") {
        let (name, entries) = (text(name), entries.as_vec().expect("records"));
        let txt = entries.iter().filter(|entry| !entry["TXT"].is_badvalue());
        let own_txt: Vec<_> = txt.collect();
        let answers_txt = own_txt.iter().any(|e| e["TXT"].as_str() != Some("NONE"));
        for entry in entries {
            match entry.as_hash() {
                Some(record) => add(&mut zone, &name, record, own_txt.is_empty()),
                None if answers_txt => {}
                None => zone.silence(&name),
            }
        }
    }
    zone
}

/// Adds one record. Where the suite has no TXT records of its own for a name, its SPF records
/// (type 99, which RFC 7208 no longer asks for) stand for them.
fn add(zone: &mut Zone, at: &str, record: &yaml_rust2::yaml::Hash, spf_is_txt: bool) {
    for (kind, value) in record {
        let data = match text(kind).as_str() {
            "SPF" if !spf_is_txt => continue,
            "TXT" if value.as_str() == Some("NONE") => continue,
            "SPF" | "TXT" => RData::TXT(txt(value)),
            "A" => RData::A(A(text(value).parse().expect("an IPv4 address"))),
            "AAAA" => RData::AAAA(AAAA(text(value).parse().expect("an IPv6 address"))),
            "MX" => RData::MX(mx(value)),
            "PTR" => RData::PTR(PTR(name(&text(value)))),
            "CNAME" => RData::CNAME(CNAME(name(&text(value)))),
            other => panic!("a record of type {other}"),
        };
        zone.add(Record::from_rdata(name(at), 60, data));
    }
}

fn txt(value: &Yaml) -> TXT {
    let strings: Vec<Vec<u8>> = match value {
        Yaml::Array(strings) => strings.iter().map(|s| octets(&text(s))).collect(),
        one => octets(&text(one)).chunks(255).map(<[u8]>::to_vec).collect(),
    };
    match strings.is_empty() {
        // Not even an empty string is illegal on the wire (RFC 1035 §3.3.14).
        true => TXT::from_bytes(vec![b""]),
        false => TXT::from_bytes(strings.iter().map(Vec::as_slice).collect()),
    }
}

fn mx(value: &Yaml) -> MX {
    let preference = value[0].as_i64().expect("a preference");
    MX::new(
        u16::try_from(preference).expect("16 bits"),
        name(&text(&value[1])),
    )
}

/// A name of any octets.
fn name(text: &str) -> Name {
    let labels = text.split('.').filter(|label| !label.is_empty());
    Name::from_labels(labels.map(str::as_bytes)).expect("a name")
}

/// The same back again; none for the root, which a null MX has.
fn domain_of(name: &Name) -> Option<Domain> {
    let labels: Vec<_> = name.iter().map(String::from_utf8_lossy).collect();
    Domain::for_query(&labels.join("."))
}

/// The resolver port over hickory, as the program has it.
struct Hickory(TokioResolver);

fn resolver(addr: std::net::SocketAddr) -> Hickory {
    let mut connections = vec![ConnectionConfig::udp(), ConnectionConfig::tcp()];
    connections.iter_mut().for_each(|c| c.port = addr.port());
    let server = NameServerConfig::new(addr.ip(), true, connections);
    let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
    let provider = TokioRuntimeProvider::default();
    let mut builder = TokioResolver::builder_with_config(config, provider);
    builder.options_mut().timeout = PATIENCE;
    builder.options_mut().attempts = 1;
    Hickory(builder.build().expect("a resolver"))
}

impl Hickory {
    async fn ask<T>(
        &self,
        name: Name,
        kind: RecordType,
        take: impl Fn(&RData) -> Option<T>,
    ) -> Result<Vec<T>, LookupError> {
        let lookup = self.0.lookup(name, kind).await.map_err(lookup_error)?;
        let found: Vec<_> = lookup
            .answers()
            .iter()
            .filter_map(|r| take(&r.data))
            .collect();
        match found.is_empty() {
            true => Err(LookupError::NotFound),
            false => Ok(found),
        }
    }
}

fn lookup_error(error: NetError) -> LookupError {
    match error.is_no_records_found() {
        true => LookupError::NotFound,
        false => LookupError::Temporary(error.to_string()),
    }
}

#[async_trait]
impl Resolver for Hickory {
    async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, LookupError> {
        let take = |data: &RData| match data {
            RData::MX(mx) => Some(Mx {
                preference: mx.preference,
                host: domain_of(&mx.exchange),
            }),
            _ => None,
        };
        self.ask(name(domain.as_str()), RecordType::MX, take).await
    }

    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        let take = |data: &RData| data.ip_addr();
        let v4 = self.ask(name(domain.as_str()), RecordType::A, take).await;
        let v6 = self
            .ask(name(domain.as_str()), RecordType::AAAA, take)
            .await;
        match (v4, v6) {
            (Ok(v4), v6) => Ok(v4.into_iter().chain(v6.unwrap_or_default()).collect()),
            (Err(_), Ok(v6)) => Ok(v6),
            (Err(LookupError::NotFound), Err(error)) | (Err(error), _) => Err(error),
        }
    }

    async fn txt(&self, domain: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        let take = |data: &RData| match data {
            RData::TXT(txt) => Some(txt.txt_data.concat()),
            _ => None,
        };
        self.ask(name(domain.as_str()), RecordType::TXT, take).await
    }

    async fn names(&self, ip: IpAddr) -> Result<Vec<Domain>, LookupError> {
        let take = |data: &RData| match data {
            RData::PTR(ptr) => domain_of(ptr),
            _ => None,
        };
        self.ask(Name::from(ip), RecordType::PTR, take).await
    }
}
