//! Where a domain's record is, and which organization it belongs to: the tree walk of RFC 7489's
//! successor (draft-ietf-dmarc-dmarcbis §4.10), which needs no list of public suffixes.

use std::collections::HashMap;

use futures_util::future::join_all;
use posthouse_hook::{Domain, LookupError, Resolver};

use super::record::{Record, Suffix};

/// Labels of the longest name that is asked above the first.
const MAX_LABELS: usize = 7;

/// DNS did not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Unknown;

type Answer = Result<Option<Record>, Unknown>;

/// The records that were asked for, each once.
pub(super) struct Records<'a> {
    resolver: &'a dyn Resolver,
    known: HashMap<Domain, Answer>,
}

impl<'a> Records<'a> {
    pub(super) fn new(resolver: &'a dyn Resolver) -> Self {
        Self {
            resolver,
            known: HashMap::new(),
        }
    }

    /// The record of one domain.
    pub(super) async fn at(&mut self, domain: &Domain) -> Answer {
        self.ask(std::slice::from_ref(domain)).await;
        self.known.get(domain).copied().unwrap_or(Ok(None))
    }

    /// The record that speaks for a domain, and whose it is: its own, or its organization's, or that of
    /// the public suffix above it.
    pub(super) async fn policy(
        &mut self,
        domain: &Domain,
    ) -> Result<Option<(Domain, Record)>, Unknown> {
        if let Some(own) = self.at(domain).await? {
            return Ok(Some((domain.clone(), own)));
        }
        let found = self.walk(domain).await?;
        let organization = organization(domain, &found);
        let mut above = found.into_iter();
        let best =
            above.find(|(name, record)| *name == organization || record.suffix == Suffix::Public);
        Ok(best)
    }

    /// The organization of a domain.
    pub(super) async fn organization(&mut self, domain: &Domain) -> Result<Domain, Unknown> {
        let found = self.walk(domain).await?;
        Ok(organization(domain, &found))
    }

    /// The records from a domain upwards, as far as one says that it is the end.
    async fn walk(&mut self, domain: &Domain) -> Result<Vec<(Domain, Record)>, Unknown> {
        let names = upwards(domain);
        self.ask(&names).await;
        let mut found = Vec::new();
        for name in names {
            let Some(record) = self.known.get(&name).copied().unwrap_or(Ok(None))? else {
                continue;
            };
            let last = record.suffix != Suffix::Unsaid;
            found.push((name, record));
            if last {
                break;
            }
        }
        Ok(found)
    }

    async fn ask(&mut self, names: &[Domain]) {
        let new: Vec<_> = names
            .iter()
            .filter(|name| !self.known.contains_key(name))
            .collect();
        let resolver = self.resolver;
        let answers = new.iter().map(|name| lookup(resolver, name));
        let answers = join_all(answers).await;
        let named = new.into_iter().cloned().zip(answers);
        self.known.extend(named.collect::<Vec<_>>());
    }
}

/// Of several records at one name, none counts.
async fn lookup(resolver: &dyn Resolver, domain: &Domain) -> Answer {
    let Some(name) = Domain::for_query(&format!("_dmarc.{domain}")) else {
        return Ok(None);
    };
    match resolver.txt(&name).await {
        Ok(texts) => {
            let mut records = texts.iter().filter_map(|txt| Record::parse(txt));
            Ok(records.next().filter(|_| records.next().is_none()))
        }
        Err(LookupError::NotFound) => Ok(None),
        Err(LookupError::Temporary(_)) => Err(Unknown),
    }
}

/// The names that are asked: the domain, then those above it, at most eight in all.
fn upwards(domain: &Domain) -> Vec<Domain> {
    let labels: Vec<&str> = domain.as_str().split('.').collect();
    let first_above = 1.max(labels.len().saturating_sub(MAX_LABELS));
    let above =
        (first_above..labels.len()).filter_map(|at| Domain::for_query(&labels[at..].join(".")));
    std::iter::once(domain.clone()).chain(above).collect()
}

/// §4.10.2: what says it is an organization; the name below a public suffix; the highest that has a
/// record; the domain itself.
fn organization(domain: &Domain, found: &[(Domain, Record)]) -> Domain {
    let Some((name, record)) = found.last() else {
        return domain.clone();
    };
    match record.suffix {
        Suffix::Public if name != domain => below(name, domain),
        _ => name.clone(),
    }
}

/// The name one label below `suffix`, on the way to `domain`.
fn below(suffix: &Domain, domain: &Domain) -> Domain {
    let kept = suffix.as_str().split('.').count() + 1;
    let labels: Vec<&str> = domain.as_str().split('.').collect();
    let from = labels.len().saturating_sub(kept);
    Domain::for_query(&labels[from..].join(".")).unwrap_or_else(|| domain.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Zone;

    fn domain(text: &str) -> Domain {
        Domain::parse(text).expect("a domain")
    }

    fn zone() -> Zone {
        Zone::default()
            .txt("_dmarc.x.example", "v=DMARC1; p=reject")
            .txt("_dmarc.sub.x.example", "v=DMARC1; p=none")
            .txt("_dmarc.own.x.example", "v=DMARC1; p=none; psd=n")
            .txt("_dmarc.bank", "v=DMARC1; p=reject; psd=y")
            .txt("_dmarc.twice.test", "v=DMARC1; p=reject")
            .txt("_dmarc.twice.test", "v=DMARC1; p=none")
            .txt("_dmarc.spf.test", "v=spf1 -all")
            .failing("_dmarc.down.test")
    }

    #[tokio::test]
    async fn organizations_are_found_without_a_list() {
        let zone = zone();
        let mut records = Records::new(&zone);
        for (name, want) in [
            ("x.example", Ok("x.example")),
            ("a.b.sub.x.example", Ok("x.example")),
            ("a.own.x.example", Ok("own.x.example")),
            ("a.b.my.bank", Ok("my.bank")),
            ("my.bank", Ok("my.bank")),
            ("bank", Ok("bank")),
            ("nobody.test", Ok("nobody.test")),
            ("a.twice.test", Ok("a.twice.test")),
            ("a.down.test", Err(Unknown)),
        ] {
            let found = records.organization(&domain(name)).await;
            assert_eq!(found, want.map(domain), "{name}");
        }
    }

    #[tokio::test]
    async fn policies_are_the_domain_s_or_its_organization_s() {
        let zone = zone();
        let mut records = Records::new(&zone);
        for (name, want) in [
            ("sub.x.example", Some("sub.x.example")),
            ("a.sub.x.example", Some("x.example")),
            ("other.x.example", Some("x.example")),
            ("my.bank", Some("bank")),
            ("nobody.test", None),
            ("twice.test", None),
            ("spf.test", None),
        ] {
            let found = records.policy(&domain(name)).await.expect("answers");
            assert_eq!(found.map(|(name, _)| name), want.map(domain), "{name}");
        }
    }

    #[test]
    fn long_names_are_cut_as_in_the_draft() {
        let names = upwards(&domain("a.b.c.d.e.f.g.h.i.j.mail.example.com"));
        let names: Vec<_> = names.iter().map(Domain::as_str).collect();
        assert_eq!(names[1], "g.h.i.j.mail.example.com");
        assert_eq!((names.len(), names[7]), (8, "com"));
        let eight = upwards(&domain("a.b.c.d.e.f.g.h"));
        assert_eq!((eight.len(), eight[1].as_str()), (8, "b.c.d.e.f.g.h"));
        assert_eq!(upwards(&domain("com")).len(), 1);
    }
}
