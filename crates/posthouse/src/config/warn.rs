//! What a configuration allows but hardly means: warnings of `posthouse check`.

use std::io::ErrorKind;
use std::net::UdpSocket;
use std::sync::Arc;

use posthouse_hook::plugin::Nature;
use posthouse_hook::{Chain, HookPoint, Mode, Step};

use super::{Chains, Fault, Loaded};

/// Octets below which the ledger may find no room for its own changes: a few of its commits.
const LEAST_FREE: u64 = 16 << 20;

/// Warnings about the room that is kept free and about every listener's chain.
pub(crate) fn warnings(loaded: &Loaded, chains: &Chains) -> Vec<Fault> {
    let mut found = Vec::new();
    if loaded.config.listener.is_empty() {
        found.push(
            Fault::of_file(&loaded.file, "there is no listener: nobody can send mail")
                .with_way_out("add a [[listener]] with an address and a chain"),
        );
    }
    found.extend(little_room(loaded));
    found.extend(observes_nothing(loaded, chains));
    found.extend(open_key(loaded));
    found.extend(strange_author(loaded));
    found.extend(absent_sources(loaded));
    for listener in &loaded.config.listener {
        let Some(chain) = chains.get(listener.chain.get_ref()) else {
            continue;
        };
        found.extend(doubts(chain).map(|doubt| {
            let problem = format!("chain `{}`: {}", chain.name(), doubt.problem);
            let span = Some(listener.chain.span());
            loaded.fault(span, problem).with_way_out(doubt.way_out)
        }));
    }
    found
}

/// A disk that our own mail may fill to the last octet leaves no room to discard or release.
fn little_room(loaded: &Loaded) -> Option<Fault> {
    let min_free = loaded.config.store.min_free;
    let problem = format!("[store] min_free = {min_free}: on a full disk nothing can be discarded");
    let fault = Fault::of_file(&loaded.file, problem);
    (min_free < LEAST_FREE).then(|| fault.with_way_out(format!("write {LEAST_FREE} or more")))
}

/// A chain is observed only where a listener runs it.
fn observes_nothing(loaded: &Loaded, chains: &Chains) -> Option<Fault> {
    let listeners = &loaded.config.listener;
    let heard = |name: &str| listeners.iter().any(|l| l.chain.get_ref() == name);
    let observing = |chain: &&Arc<Chain>| chain.mode() == Mode::Observe && !heard(chain.name());
    let chain = chains.values().find(observing)?;
    let name = chain.name();
    let problem =
        format!("chain `{name}`: mode = \"observe\" does nothing where no listener runs it");
    let way_out = "say it in the listener's chain";
    Some(Fault::of_file(&loaded.file, problem).with_way_out(way_out))
}

/// Whoever reads the key can sign as us.
fn open_key(loaded: &Loaded) -> Option<Fault> {
    let dkim = loaded.config.letters.dkim.as_ref()?;
    let file = dkim.key.open_to_others()?.display();
    let problem = format!("letters.dkim: other users may read or change the key `{file}`");
    let fault = loaded.fault(loaded.place(&["letters", "dkim", "key"]), problem);
    Some(fault.with_way_out(format!("chmod o= {file}")))
}

/// DMARC wants a signature of the domain in the From field, or of one above it (RFC 7489 §3.1.1).
fn strange_author(loaded: &Loaded) -> Option<Fault> {
    let config = &loaded.config;
    let signs = &config.letters.dkim.as_ref()?.domain;
    let author = config.letters.author_domain(&config.hostname)?;
    if author == *signs || author.is_below(signs.as_str()) {
        return None;
    }
    let problem =
        format!("letters.dkim: {signs} signs what {author} writes; DMARC counts that as unsigned");
    let fault = loaded.fault(loaded.place(&["letters", "dkim", "domain"]), problem);
    Some(fault.with_way_out("sign with the domain of letters.from, or one above it"))
}

/// Sources of routes that this machine does not have: what leaves by them waits. A datagram socket
/// disturbs nobody, whatever listens there.
fn absent_sources(loaded: &Loaded) -> Vec<Fault> {
    let absent = |ip: &std::net::IpAddr| {
        let bound = UdpSocket::bind((*ip, 0));
        bound.is_err_and(|error| error.kind() == ErrorKind::AddrNotAvailable)
    };
    let sources = loaded.config.relay.route.sources().into_iter();
    let fault = |ip| {
        let problem = format!("[relay] route: this machine does not have the source {ip}");
        Fault::of_file(&loaded.file, problem)
            .with_way_out("add the address to an interface, or mail by that route waits")
    };
    sources.filter(absent).map(fault).collect()
}

/// What is doubtful about one chain.
#[derive(Debug)]
struct Doubt {
    problem: String,
    way_out: &'static str,
}

fn doubts(chain: &Chain) -> impl Iterator<Item = Doubt> {
    [
        open_relay(chain),
        behind_quarantine(chain),
        admits_nobody(chain),
        asked_too_late(chain),
        observes(chain),
    ]
    .into_iter()
    .flatten()
}

/// A chain that can never refuse a stranger is an open relay.
fn open_relay(chain: &Chain) -> Option<Doubt> {
    let step = chain.steps().iter().find(|s| s.plugin.admits_anyone())?;
    Some(Doubt {
        problem: format!(
            "`{}` takes any recipient from anybody: an open relay",
            step.name
        ),
        way_out: "list only the networks of your own clients",
    })
}

/// What refuses behind the quarantine refuses what was already held: the client keeps its copy.
fn behind_quarantine(chain: &Chain) -> Option<Doubt> {
    let is = |nature| move |step: &&Step| step.plugin.nature() == nature;
    let mut steps = chain.steps().iter();
    let quarantine = steps.find(is(Nature::Disposes))?;
    let late = steps.find(is(Nature::Refuses))?;
    Some(Doubt {
        problem: format!(
            "`{}` may refuse what `{}` has held",
            late.name, quarantine.name
        ),
        way_out: "put plugins that refuse before the quarantine",
    })
}

fn admits_nobody(chain: &Chain) -> Option<Doubt> {
    let mut steps = chain.steps().iter();
    if steps.any(|step| step.plugin.nature() == Nature::Admits) {
        return None;
    }
    Some(Doubt {
        problem: "no plugin takes a recipient: every RCPT is refused".to_owned(),
        way_out: "add relay_clients or relay_domains",
    })
}

/// A recipient that was taken is asked about no more: what stands below all who take recipients,
/// and is asked at rcpt alone, never meets one.
fn asked_too_late(chain: &Chain) -> Option<Doubt> {
    let nature = |step: &Step| step.plugin.nature();
    let steps = chain.steps();
    let last = steps.iter().rposition(|s| nature(s) == Nature::Admits)?;
    let guards = |s: &&Step| {
        nature(s) == Nature::Refuses && s.plugin.points() == [HookPoint::Rcpt].as_slice()
    };
    let late = steps.get(last + 1..)?.iter().find(guards)?;
    let taker = &steps.get(last)?.name;
    Some(Doubt {
        problem: format!(
            "`{}` is never asked: `{taker}` takes recipients above it",
            late.name
        ),
        way_out: "put it above the plugin that takes recipients",
    })
}

/// Nobody should take a chain that only looks for one that guards.
fn observes(chain: &Chain) -> Option<Doubt> {
    (chain.mode() == Mode::Observe).then(|| Doubt {
        problem: "mode = \"observe\": what it would refuse, hold or discard goes through"
            .to_owned(),
        way_out: "write mode = \"enforce\" once `posthouse observe report` shows what you want",
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use posthouse_hook::{OnError, Plugin};

    use super::*;

    /// A plugin of that nature; one that admits, admits anyone.
    struct Of(Nature);

    impl Plugin for Of {
        fn points(&self) -> &[HookPoint] {
            &[HookPoint::Rcpt]
        }

        fn nature(&self) -> Nature {
            self.0
        }

        fn admits_anyone(&self) -> bool {
            self.0 == Nature::Admits
        }
    }

    fn chain(natures: &[Nature]) -> Chain {
        let step = |nature: &Nature| Step {
            name: format!("{nature:?}"),
            plugin: Arc::new(Of(*nature)),
            timeout: Duration::from_secs(1),
            on_error: OnError::Defer,
        };
        Chain::new("test", natures.iter().map(step).collect())
    }

    #[test]
    fn a_chain_that_observes_is_told_of() {
        let chain = chain(&[Nature::Admits]);
        assert!(observes(&chain).is_none());
        assert!(observes(&chain.in_mode(Mode::Observe)).is_some());
    }

    #[test]
    fn refusing_before_the_quarantine_is_well() {
        use Nature::{Admits, Disposes, Refuses};
        assert!(behind_quarantine(&chain(&[Refuses, Admits, Disposes])).is_none());
        assert!(behind_quarantine(&chain(&[Admits, Refuses])).is_none());
        let doubt = behind_quarantine(&chain(&[Disposes, Admits, Refuses])).expect("warns");
        assert_eq!(
            doubt.problem,
            "`Refuses` may refuse what `Disposes` has held"
        );
    }

    #[test]
    fn a_guard_of_recipients_stands_above_who_takes_them() {
        use Nature::{Admits, Measures, Refuses};
        assert!(asked_too_late(&chain(&[Admits, Refuses, Admits])).is_none());
        assert!(asked_too_late(&chain(&[Refuses, Admits, Measures])).is_none());
        let doubt = asked_too_late(&chain(&[Admits, Refuses])).expect("warns");
        assert_eq!(
            doubt.problem,
            "`Refuses` is never asked: `Admits` takes recipients above it"
        );
    }

    #[test]
    fn a_chain_takes_somebody_and_not_anybody() {
        use Nature::{Admits, Measures, Refuses};
        assert!(open_relay(&chain(&[Refuses, Admits])).is_some());
        assert!(open_relay(&chain(&[Refuses])).is_none());
        assert!(admits_nobody(&chain(&[Measures, Refuses])).is_some());
        assert!(admits_nobody(&chain(&[Refuses, Admits])).is_none());
    }
}
