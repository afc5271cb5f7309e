//! The matrix's rows: whether a recipient's domain is filtered. A domain that is listed is; with
//! `mx:` entries, so is one whose mail host belongs to a listed provider.
//!
//! Answers are kept by the resolver for as long as DNS says, so there is no second cache here.

use std::collections::HashMap;
use std::time::Duration;

use futures_util::future::join_all;
use posthouse_hook::{Domain, DomainList, ForwardPath, LookupError, Resolver, Row};

/// How long one lookup may take; past it, the row is not known.
const PATIENCE: Duration = Duration::from_secs(10);
/// Lookups for one message that are under way at the same time.
const AT_ONCE: usize = 50;

/// A recipient's row, or why it is not known: DNS did not answer.
pub(crate) type Placed = Result<Row, String>;

/// The row of each recipient, in order. Each domain is looked up once, and many at a time.
pub(super) async fn place(
    list: &DomainList,
    resolver: &dyn Resolver,
    recipients: &[&ForwardPath],
) -> Vec<Placed> {
    let mut rows: HashMap<&Domain, Placed> = HashMap::new();
    let mut open = Vec::new();
    for domain in recipients.iter().filter_map(|path| path.domain()) {
        let listed = list.contains(domain);
        let row = if listed { Row::Filtered } else { Row::Other };
        let is_new = rows.insert(domain, Ok(row)).is_none();
        if is_new && !listed && list.has_providers() {
            open.push(domain);
        }
    }
    for some in open.chunks(AT_ONCE) {
        let found = join_all(
            some.iter()
                .map(|domain| by_mail_host(list, resolver, domain)),
        )
        .await;
        rows.extend(some.iter().copied().zip(found));
    }
    let row = |path: &&ForwardPath| path.domain().map_or(Ok(Row::Other), |d| rows[d].clone());
    recipients.iter().map(row).collect()
}

/// The row of one recipient.
pub(crate) async fn row(list: &DomainList, resolver: &dyn Resolver, to: &ForwardPath) -> Placed {
    let placed = place(list, resolver, &[to]).await;
    placed.into_iter().next().unwrap_or(Ok(Row::Other))
}

/// The row by the mail hosts. Without MX the domain is its own mail host (RFC 5321 §5.1).
async fn by_mail_host(list: &DomainList, resolver: &dyn Resolver, domain: &Domain) -> Placed {
    let theirs = match tokio::time::timeout(PATIENCE, resolver.mx(domain)).await {
        Err(_) => return Err(format!("MX of {domain}: no answer in time")),
        Ok(Err(LookupError::Temporary(why))) => return Err(format!("MX of {domain}: {why}")),
        Ok(Err(LookupError::NotFound)) => list.is_provider(domain),
        Ok(Ok(hosts)) => hosts
            .iter()
            .filter_map(|mx| mx.host.as_ref())
            .any(|host| list.is_provider(host)),
    };
    Ok(if theirs { Row::Filtered } else { Row::Other })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Zone;

    async fn rows(list: &[&str], zone: &Zone, to: &[&str]) -> Vec<Option<Row>> {
        let mut domains = DomainList::default();
        for entry in list {
            domains.add(entry).expect("an entry");
        }
        let paths: Vec<_> = to
            .iter()
            .map(|t| ForwardPath::parse(t).expect("a path"))
            .collect();
        let paths: Vec<_> = paths.iter().collect();
        let placed = place(&domains, zone, &paths).await;
        placed.into_iter().map(Result::ok).collect()
    }

    #[tokio::test]
    async fn listed_domains_and_listed_providers_are_filtered() {
        let zone = Zone::default()
            .mx("customer.example", "mx1.mail.provider.example")
            .mx("free.example", "mx.free.example");
        let list = ["big.example", "mx:provider.example"];
        let to = [
            "<a@big.example>",
            "<a@sub.big.example>",
            "<a@customer.example>",
            "<a@free.example>",
            "<a@nothing.example>",
            "<a@mail.provider.example>",
            "<a@[192.0.2.1]>",
            "<postmaster>",
            "<b@big.example>",
        ];
        use Row::{Filtered, Other};
        let want = [
            Filtered, Other, Filtered, Other, Other, Filtered, Other, Other, Filtered,
        ];
        assert_eq!(rows(&list, &zone, &to).await, want.map(Some));
    }

    #[tokio::test]
    async fn a_lookup_that_fails_places_nobody() {
        let zone = Zone::default().failing("down.example");
        let to = ["<a@down.example>", "<a@else.example>"];
        let placed = rows(&["mx:provider.example"], &zone, &to).await;
        assert_eq!(placed, [None, Some(Row::Other)]);
        let without_mx = rows(&["big.example"], &zone, &to).await;
        assert_eq!(without_mx, [Some(Row::Other); 2]);
    }
}
