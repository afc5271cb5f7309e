//! What a configuration allows but hardly means: warnings of `posthouse check`.

use posthouse_hook::Chain;
use posthouse_hook::plugin::Nature;

use super::{Chains, Fault, Loaded};

/// Warnings about every listener's chain.
pub(crate) fn warnings(loaded: &Loaded, chains: &Chains) -> Vec<Fault> {
    let mut found = Vec::new();
    if loaded.config.listener.is_empty() {
        found.push(
            Fault::of_file(&loaded.file, "there is no listener: nobody can send mail")
                .with_way_out("add a [[listener]] with an address and a chain"),
        );
    }
    for listener in &loaded.config.listener {
        let Some(chain) = chains.get(listener.chain.get_ref()) else {
            continue;
        };
        let name = chain.name();
        let problems = [
            open_relay(chain),
            behind_quarantine(chain),
            admits_nobody(chain),
        ];
        for (problem, way_out) in problems.into_iter().flatten() {
            let problem = format!("chain `{name}`: {problem}");
            found.push(
                loaded
                    .fault(Some(listener.chain.span()), problem)
                    .with_way_out(way_out),
            );
        }
    }
    found
}

type Warning = Option<(String, &'static str)>;

/// A chain that can never refuse a stranger is an open relay.
fn open_relay(chain: &Chain) -> Warning {
    let step = chain.steps().iter().find(|s| s.plugin.admits_anyone())?;
    Some((
        format!(
            "`{}` takes any recipient from anybody: an open relay",
            step.name
        ),
        "list only the networks of your own clients",
    ))
}

/// What refuses behind the quarantine refuses what was already held: the client keeps its copy.
fn behind_quarantine(chain: &Chain) -> Warning {
    let steps = chain.steps();
    let at = steps
        .iter()
        .position(|s| s.plugin.nature() == Nature::Disposes)?;
    let late = steps[at + 1..]
        .iter()
        .find(|s| s.plugin.nature() == Nature::Refuses)?;
    Some((
        format!(
            "`{}` may refuse what `{}` has held",
            late.name, steps[at].name
        ),
        "put plugins that refuse before the quarantine",
    ))
}

fn admits_nobody(chain: &Chain) -> Warning {
    let admits = |nature| matches!(nature, Nature::Admits);
    if chain.steps().iter().any(|s| admits(s.plugin.nature())) {
        return None;
    }
    Some((
        "no plugin takes a recipient: every RCPT is refused".to_owned(),
        "add relay_clients or relay_domains",
    ))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use posthouse_hook::{HookPoint, OnError, Plugin, Step};

    use super::*;

    struct Of(Nature);

    impl Plugin for Of {
        fn points(&self) -> &[HookPoint] {
            &[]
        }

        fn nature(&self) -> Nature {
            self.0
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
    fn refusing_before_the_quarantine_is_well() {
        use Nature::{Admits, Disposes, Refuses};
        assert!(behind_quarantine(&chain(&[Refuses, Admits, Disposes])).is_none());
        assert!(behind_quarantine(&chain(&[Admits, Refuses])).is_none());
        let (problem, _) = behind_quarantine(&chain(&[Disposes, Admits, Refuses])).expect("warns");
        assert_eq!(problem, "`Refuses` may refuse what `Disposes` has held");
    }
}
