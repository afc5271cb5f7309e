//! The order of mail hosts, and what ends a search, against a resolver of fixed records.

use std::collections::HashMap;

use async_trait::async_trait;

use super::*;

/// Records as text: `mx:domain` → `10 host, 20 host`; `a:host` → addresses; `!` is no answer.
struct Zone(HashMap<&'static str, &'static str>);

impl Zone {
    fn get(&self, kind: &str, name: &Domain) -> Result<Vec<String>, LookupError> {
        match self.0.get(format!("{kind}:{name}").as_str()) {
            None => Err(LookupError::NotFound),
            Some(&"!") => Err(LookupError::Temporary("SERVFAIL".to_owned())),
            Some(text) => Ok(text.split(", ").map(str::to_owned).collect()),
        }
    }
}

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, domain: &Domain) -> Result<Vec<Mx>, LookupError> {
        let records = self.get("mx", domain)?;
        Ok(records
            .iter()
            .map(|record| {
                let (preference, host) = record.split_once(' ').expect("two words");
                Mx {
                    preference: preference.parse().expect("a number"),
                    host: Domain::parse(host).ok(),
                }
            })
            .collect())
    }

    async fn addresses(&self, domain: &Domain) -> Result<Vec<IpAddr>, LookupError> {
        let records = self.get("a", domain)?;
        Ok(records
            .iter()
            .map(|ip| ip.parse().expect("an address"))
            .collect())
    }

    async fn txt(&self, _: &Domain) -> Result<Vec<Vec<u8>>, LookupError> {
        Err(LookupError::NotFound)
    }

    async fn names(&self, _: IpAddr) -> Result<Vec<Domain>, LookupError> {
        Err(LookupError::NotFound)
    }
}

async fn resolve(zone: &[(&'static str, &'static str)], hop: &str, turn: usize) -> String {
    let zone = Zone(zone.iter().copied().collect());
    let place = Place {
        resolver: &zone,
        ours: &Domain::parse("out.isp.example").expect("valid"),
        mx_port: 25,
        source: Source::default(),
        turn,
    };
    let hop = match hop.split_once(':') {
        Some((host, port)) => Hop::Fixed(
            Host::parse(host).expect("valid"),
            port.parse().expect("a port"),
        ),
        None => Hop::Mx(Host::parse(hop).expect("valid")),
    };
    match place.candidates(&hop).await {
        Ok(found) => found
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join(" "),
        Err(unroutable) => unroutable.answer(&hop).said,
    }
}

#[tokio::test]
async fn mail_hosts_by_preference_every_address() {
    let zone = [
        ("mx:d.example", "20 c.example, 10 a.example, 10 b.example"),
        ("a:a.example", "192.0.2.1, 2001:db8::1"),
        ("a:b.example", "192.0.2.2"),
        ("a:c.example", "192.0.2.3"),
    ];
    let a = "a.example[192.0.2.1]:25 a.example[2001:db8::1]:25";
    let (b, c) = ("b.example[192.0.2.2]:25", "c.example[192.0.2.3]:25");
    assert_eq!(resolve(&zone, "d.example", 0).await, format!("{a} {b} {c}"));
    assert_eq!(resolve(&zone, "d.example", 1).await, format!("{b} {a} {c}"));
}

#[tokio::test]
async fn without_mx_the_domain_is_its_own_mail_host() {
    let zone = [("a:d.example", "192.0.2.1")];
    assert_eq!(
        resolve(&zone, "d.example", 0).await,
        "d.example[192.0.2.1]:25"
    );
    assert_eq!(
        resolve(&zone, "d.example:2525", 0).await,
        "d.example[192.0.2.1]:2525"
    );
    assert_eq!(resolve(&[], "[192.0.2.9]", 0).await, "192.0.2.9:25");
}

#[tokio::test]
async fn what_ends_a_search() {
    for (zone, want) in [
        (
            &[("mx:d.example", "0 .")][..],
            "5.1.10 556 d.example takes no mail (null MX)",
        ),
        (&[], "5.1.2 d.example has no mail host"),
        (
            &[("mx:d.example", "!")],
            "4.4.3 d.example: DNS did not answer",
        ),
        (
            &[("mx:d.example", "10 gone.example")],
            "5.1.2 gone.example has no",
        ),
        (
            &[
                ("mx:d.example", "10 gone.example, 20 b.example"),
                ("a:b.example", "!"),
            ],
            "4.4.3 b.example",
        ),
        (
            &[
                ("mx:d.example", "10 b.example, 20 gone.example"),
                ("a:b.example", "!"),
            ],
            "4.4.3 b.example",
        ),
        (
            &[
                ("mx:d.example", "10 out.isp.example, 20 b.example"),
                ("a:b.example", "192.0.2.1"),
            ],
            "5.4.6 mail for d.example loops",
        ),
    ] {
        let got = resolve(zone, "d.example", 0).await;
        assert!(got.starts_with(want), "{got}");
    }
}

#[tokio::test]
async fn only_better_mail_hosts_than_ourselves_are_a_way_out() {
    let zone = [
        (
            "mx:d.example",
            "10 a.example, 20 out.isp.example, 20 b.example, 30 c.example",
        ),
        ("a:a.example", "192.0.2.1"),
        ("a:b.example", "192.0.2.2"),
        ("a:c.example", "192.0.2.3"),
    ];
    assert_eq!(
        resolve(&zone, "d.example", 0).await,
        "a.example[192.0.2.1]:25"
    );
    assert!(
        resolve(&[], "out.isp.example", 0)
            .await
            .starts_with("5.4.6")
    );
}
