//! A resolver with a few records in memory.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use posthouse_hook::{Domain, LookupError, Mx, Resolver};

/// DNS in memory. Names that are not in it do not exist; those that fail, fail for every type.
#[derive(Default)]
pub(crate) struct Zone {
    txt: HashMap<Domain, Vec<Vec<u8>>>,
    mx: HashMap<Domain, Vec<Mx>>,
    addresses: HashMap<Domain, Vec<IpAddr>>,
    names: HashMap<IpAddr, Vec<Domain>>,
    failing: Vec<Domain>,
    failing_pointers: Vec<IpAddr>,
    hanging: Vec<Domain>,
    asked: AtomicUsize,
}

pub(crate) fn domain(text: &str) -> Domain {
    Domain::parse(text).expect("a domain")
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

impl Zone {
    pub(crate) fn txt(mut self, name: &str, text: &str) -> Self {
        self.txt.entry(domain(name)).or_default().push(text.into());
        self
    }

    pub(crate) fn mx(mut self, name: &str, host: &str) -> Self {
        let mx = Mx {
            preference: 10,
            host: Some(domain(host)),
        };
        self.mx.entry(domain(name)).or_default().push(mx);
        self
    }

    /// The domain takes no mail (RFC 7505).
    pub(crate) fn null_mx(mut self, name: &str) -> Self {
        let mx = Mx {
            preference: 0,
            host: None,
        };
        self.mx.entry(domain(name)).or_default().push(mx);
        self
    }

    pub(crate) fn address(mut self, name: &str, address: &str) -> Self {
        let addresses = self.addresses.entry(domain(name)).or_default();
        addresses.push(ip(address));
        self
    }

    pub(crate) fn pointer(mut self, address: &str, name: &str) -> Self {
        self.names
            .entry(ip(address))
            .or_default()
            .push(domain(name));
        self
    }

    pub(crate) fn failing(mut self, name: &str) -> Self {
        self.failing.push(domain(name));
        self
    }

    /// The PTR names of this address are not told.
    pub(crate) fn failing_pointer(mut self, address: &str) -> Self {
        self.failing_pointers.push(ip(address));
        self
    }

    /// A question for this name is never answered.
    pub(crate) fn hanging(mut self, name: &str) -> Self {
        self.hanging.push(domain(name));
        self
    }

    /// How many questions there were.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    async fn find<T: Clone>(&self, map: &HashMap<Domain, Vec<T>>, name: &Domain) -> Answer<T> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.hanging.contains(name) {
            std::future::pending::<()>().await;
        }
        if self.failing.contains(name) {
            return Err(LookupError::Temporary("told to fail".to_owned()));
        }
        map.get(name).cloned().ok_or(LookupError::NotFound)
    }
}

type Answer<T> = Result<Vec<T>, LookupError>;

#[async_trait]
impl Resolver for Zone {
    async fn mx(&self, name: &Domain) -> Answer<Mx> {
        self.find(&self.mx, name).await
    }

    async fn addresses(&self, name: &Domain) -> Answer<IpAddr> {
        self.find(&self.addresses, name).await
    }

    async fn txt(&self, name: &Domain) -> Answer<Vec<u8>> {
        self.find(&self.txt, name).await
    }

    async fn names(&self, address: IpAddr) -> Answer<Domain> {
        self.asked.fetch_add(1, Ordering::Relaxed);
        if self.failing_pointers.contains(&address) {
            return Err(LookupError::Temporary("told to fail".to_owned()));
        }
        self.names
            .get(&address)
            .cloned()
            .ok_or(LookupError::NotFound)
    }
}
