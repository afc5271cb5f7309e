//! `dnsbl`: lists in DNS of addresses and domains (RFC 5782), against clients and for them.
//!
//! A list that dies, lies or refuses to answer never turns against a client: see [`health`]. What it
//! answers is kept for its TTL by the resolver alone.

mod answers;
mod config;
mod from;
mod health;
mod judge;
mod list;
mod question;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join_all;
use posthouse_hook::plugin::{Answer, Nature, Report};
use posthouse_hook::proofs::{ListedOf, Listings};
use posthouse_hook::trail::cut;
use posthouse_hook::{Domain, HookPoint, Host, Plugin, Refusal, Session, Transaction, Verdict};
use tokio::time::timeout;

use self::config::{Config, Times};
use self::judge::Hit;
use self::list::{List, Ports};
use self::question::{Subject, askable};
use crate::exempt;
use crate::options::{BadValue, BuildError, Options};
use crate::stranger::SLACK;
use crate::surroundings::{Common, Surroundings};

/// How often it is looked whether a list is due for its test.
const TICK: Duration = Duration::from_secs(1);
/// Longest text of a list in a reply, in characters.
const MAX_TEXT: usize = 200;
/// What a client hears if the list has no text of its own in the configuration.
const ADDRESS_TEXT: &str = "%IP% is listed by %ZONE%: %TXT%";
const DOMAIN_TEXT: &str = "%DOMAIN% is listed by %ZONE%: %TXT%";

struct Dnsbl {
    lists: Vec<Arc<List>>,
    config: Rules,
    common: Common,
    points: Vec<HookPoint>,
}

/// What is left of the configuration once the lists are made.
struct Rules {
    deadline: Duration,
    reject_at: Option<u32>,
    exempt: Vec<exempt::Exempt>,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    if config.zones.is_empty() {
        return Err(BadValue::new("zones", "[]", "no list is named", "name one or more").into());
    }
    let times = Times {
        retest: config.retest.0,
        deadline: config.deadline.0,
    };
    let lists = config.zones.into_iter().map(|zone| zone.into_list(&times));
    let lists: Vec<_> = lists.collect::<Result<_, _>>()?;
    Ok(Arc::new(Dnsbl {
        points: points(&lists),
        lists,
        config: Rules {
            deadline: times.deadline,
            reject_at: config.reject_at,
            exempt: config.exempt,
        },
        common: parts.common().clone(),
    }))
}

/// It is asked only where a list has something to say.
fn points(lists: &[Arc<List>]) -> Vec<HookPoint> {
    let points = [
        (ListedOf::Client, HookPoint::Connect),
        (ListedOf::Helo, HookPoint::Helo),
        (ListedOf::Sender, HookPoint::Mail),
        (ListedOf::From, HookPoint::Headers),
    ];
    let wanted = points
        .iter()
        .filter(|(of, _)| lists.iter().any(|list| list.of == *of));
    wanted.map(|(_, point)| *point).collect()
}

#[async_trait]
impl Plugin for Dnsbl {
    fn points(&self) -> &[HookPoint] {
        &self.points
    }

    fn nature(&self) -> Nature {
        Nature::Refuses
    }

    /// The questions, and then the text of the list that it is refused for.
    fn default_timeout(&self) -> Duration {
        self.config.deadline.saturating_mul(2).saturating_add(SLACK)
    }

    fn tick_every(&self) -> Option<Duration> {
        Some(TICK)
    }

    async fn tick(&self) {
        join_all(self.lists.iter().map(|list| list.tick(self.ports()))).await;
    }

    fn report(&self) -> Option<Report> {
        Some(Report {
            plugin: "dnsbl",
            parts: self.lists.iter().flat_map(|list| list.report()).collect(),
        })
    }

    async fn connect(&self, session: &mut Session) -> Answer {
        let client = Subject::Address(session.client_ip());
        let before = weight(&[session.notes.get()]);
        let found = self
            .look(ListedOf::Client, vec![client], session, before)
            .await;
        leave(&mut session.notes, found.hits);
        Ok(found.verdict)
    }

    async fn helo(&self, session: &mut Session) -> Answer {
        forget_helo(&mut session.notes);
        let name = session.helo.as_deref().map(Host::parse);
        let name = name
            .and_then(Result::ok)
            .and_then(|host| host.domain().cloned());
        let subjects = self.strangers(name);
        let before = weight(&[session.notes.get()]);
        let found = self.look(ListedOf::Helo, subjects, session, before).await;
        leave(&mut session.notes, found.hits);
        Ok(found.verdict)
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let domain = tx.reverse_path.domain().cloned();
        self.look_for(ListedOf::Sender, domain, session, tx).await
    }

    async fn headers(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let domains = from::domains(&tx.message.header);
        self.look_for(ListedOf::From, domains, session, tx).await
    }
}

/// What was found at a hook point, and what it comes to.
struct Found {
    hits: Vec<Hit>,
    verdict: Verdict,
}

impl Dnsbl {
    fn ports(&self) -> Ports<'_> {
        Ports {
            resolver: &*self.common.resolver,
            clock: &*self.common.clock,
        }
    }

    /// Domains that lists can be asked about, and that are not ours.
    fn strangers(&self, domains: impl IntoIterator<Item = Domain>) -> Vec<Subject> {
        let ours = self.common.our_domains.load();
        let domains = domains.into_iter();
        let strange = domains.filter(|domain| askable(domain) && !ours.contains(domain));
        strange.map(Subject::Name).collect()
    }

    /// Of domains that a transaction names; those whose proof exempts them are not looked up.
    async fn look_for(
        &self,
        of: ListedOf,
        domains: impl IntoIterator<Item = Domain>,
        session: &mut Session,
        tx: &mut Transaction,
    ) -> Answer {
        let exempt = &self.config.exempt;
        let proven = |domain: &Domain| exempt.iter().any(|word| word.sender(tx, domain));
        let domains: Vec<_> = domains.into_iter().filter(|d| !proven(d)).collect();
        let before = weight(&[session.notes.get(), tx.notes.get()]);
        let subjects = self.strangers(domains);
        let found = self.look(of, subjects, session, before).await;
        leave(&mut tx.notes, found.hits);
        Ok(found.verdict)
    }

    /// Asks every list of that kind about every subject, all at the same time.
    async fn look(
        &self,
        of: ListedOf,
        subjects: Vec<Subject>,
        session: &mut Session,
        before: u32,
    ) -> Found {
        let mut hits = Vec::new();
        if let Some(why) = self.spared(session) {
            session.remark(format_args!("exempt: {why}"));
        } else {
            hits = self.ask(of, &subjects).await;
        }
        judge::weigh(&mut hits);
        for Hit { listing, .. } in &hits {
            let (kind, list, answers) = (listing.kind, &listing.list, &listing.answers);
            session.remark(format_args!(
                "{kind:?}: {} is listed by {list}: {answers:?}",
                listing.what
            ));
        }
        let refused_for = judge::refused_for(&hits, before, self.config.reject_at);
        let verdict = match refused_for {
            None => Verdict::Pass,
            Some(hit) => Verdict::Refuse(self.refusal(hit, session.client_ip()).await),
        };
        Found { hits, verdict }
    }

    /// Why the client is not asked about at all.
    fn spared(&self, session: &Session) -> Option<&'static str> {
        let listings = session.notes.get::<Listings>();
        exempt::client(&self.config.exempt, session)
            .map(exempt::Exempt::word)
            .or_else(|| listings?.allow_client().then_some("a list speaks for it"))
    }

    async fn ask(&self, of: ListedOf, subjects: &[Subject]) -> Vec<Hit> {
        let mut questions = Vec::new();
        for (place, list) in self.lists.iter().enumerate() {
            if list.of == of {
                questions.extend(subjects.iter().map(|s| self.question(place, list, s)));
            }
        }
        join_all(questions).await.into_iter().flatten().collect()
    }

    async fn question(&self, place: usize, list: &List, subject: &Subject) -> Option<Hit> {
        Some(Hit {
            listing: list.look(subject, self.ports()).await?,
            action: list.action,
            place,
        })
    }

    /// The refusal for a listing, in the list's own words if it has some.
    async fn refusal(&self, hit: &Hit, client: IpAddr) -> Refusal {
        let listing = &hit.listing;
        let list = &self.lists[hit.place];
        let text = list.text.as_deref().unwrap_or(match listing.of {
            ListedOf::Client => ADDRESS_TEXT,
            _ => DOMAIN_TEXT,
        });
        let txt = match text.contains("%TXT%") {
            true => self.txt(list, &listing.what).await,
            false => String::new(),
        };
        let text = text
            .replace("%IP%", &client.to_string())
            .replace("%DOMAIN%", &listing.what)
            .replace("%ZONE%", &listing.list)
            .replace("%TXT%", &txt);
        let refusal = Refusal::policy(text.trim_end_matches([' ', ':']));
        let (list, of, what, answers) =
            (&listing.list, listing.of, &listing.what, &listing.answers);
        tracing::info!(%client, list, ?of, what, ?answers, weight = listing.weight, "refused for a DNS listing");
        refusal
    }

    /// What the list says of the subject, bounded; nothing if it says nothing in time.
    async fn txt(&self, list: &List, what: &str) -> String {
        let subject = match what.parse() {
            Ok(ip) => Some(Subject::Address(ip)),
            Err(_) => Domain::parse(what).ok().map(Subject::Name),
        };
        let Some(name) = subject.and_then(|subject| subject.within(&list.zone)) else {
            return String::new();
        };
        let asked = timeout(self.config.deadline, self.common.resolver.txt(&name)).await;
        let texts = asked.ok().and_then(Result::ok).unwrap_or_default();
        let first = texts.into_iter().next().unwrap_or_default();
        cut(&String::from_utf8_lossy(&first), MAX_TEXT).to_owned()
    }
}

fn weight(listings: &[Option<&Listings>]) -> u32 {
    let weights = listings.iter().flatten().map(|l| l.weight());
    weights.fold(0, u32::saturating_add)
}

/// Adds to the note what was found.
fn leave(notes: &mut posthouse_hook::Notes, hits: Vec<Hit>) {
    if hits.is_empty() {
        return;
    }
    let mut listings = notes.get::<Listings>().cloned().unwrap_or_default();
    listings.0.extend(hits.into_iter().map(|hit| hit.listing));
    notes.put(listings);
}

/// A client may say HELO again, with another name.
fn forget_helo(notes: &mut posthouse_hook::Notes) {
    if let Some(listings) = notes.get::<Listings>() {
        let mut listings = listings.clone();
        listings.0.retain(|listing| listing.of != ListedOf::Helo);
        notes.put(listings);
    }
}
