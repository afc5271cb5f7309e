//! `spf`: judges the envelope sender (RFC 7208) and leaves a note; refuses only if it is told to.
//! Never asks about clients that may relay: their mail enters here, from wherever they are.

use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::SpfFound;
use posthouse_hook::{
    Domain, HookPoint, Plugin, Refusal, ReversePath, Session, Spf, Transaction, Verdict,
};
use serde::Deserialize;

use crate::clause::{Clause, OnTempError};
use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, Options};
use crate::spf;
use crate::surroundings::{Common, Surroundings};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// The results that are refused.
    #[serde(default)]
    refuse: Vec<Refused>,
    #[serde(default)]
    on_temperror: OnTempError,
    /// Clients whose mail is not judged.
    #[serde(default = "relaying")]
    exempt: Vec<Exempt>,
}

/// A result that may be refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Refused {
    Fail,
    SoftFail,
    PermError,
}

fn relaying() -> Vec<Exempt> {
    vec![Exempt::Auth, Exempt::RelayClients]
}

struct SpfPlugin {
    config: Config,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    if let Some(word) = config.exempt.iter().find(|word| !relaying().contains(word)) {
        let problem = "it tells of senders, and this option is about clients";
        let way_out = "write auth, relay_clients, or both";
        return Err(BadValue::new("exempt", word.word(), problem, way_out).into());
    }
    Ok(Arc::new(SpfPlugin {
        config,
        common: parts.common().clone(),
    }))
}

#[async_trait]
impl Plugin for SpfPlugin {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Mail]
    }

    fn nature(&self) -> Nature {
        match self.config.refuse.is_empty() && self.config.on_temperror == OnTempError::Pass {
            true => Nature::Measures,
            false => Nature::Refuses,
        }
    }

    async fn mail(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        if let Some(why) = self.not_asked(session) {
            session.remark(format_args!("not judged: {why}"));
            return Ok(Verdict::Pass);
        }
        let found = self.judge(session, &tx.reverse_path).await;
        session.remark(told(&found));
        clause(&found).leave(tx);
        let verdict = self.verdict(&found);
        if let Verdict::Refuse(refusal) = &verdict {
            let client = session.client_ip();
            tracing::info!(session = %session.id, %client, sender = %tx.reverse_path,
                spf = %found.result, reply = refusal.code(), "refused for its SPF");
        }
        tx.notes.put(found);
        Ok(verdict)
    }
}

impl SpfPlugin {
    /// Why SPF at this client would say nothing of the sender.
    fn not_asked(&self, session: &Session) -> Option<&'static str> {
        let ours = self.common.our_servers.load();
        match exempt::client(&self.config.exempt, session) {
            Some(word) => Some(word.word()),
            None => ours
                .contains(session.client_ip())
                .then_some("one of our_servers"),
        }
    }

    async fn judge(&self, session: &Session, sender: &ReversePath) -> SpfFound {
        let helo = session.helo.as_deref().unwrap_or_default();
        let (ip, address) = (session.client_ip(), sender.address());
        let result = spf::check(&*self.common.resolver, ip, helo, &address).await;
        let of_helo = *sender == ReversePath::Null;
        SpfFound {
            result,
            domain: match of_helo {
                true => Domain::parse(helo).ok(),
                false => sender.domain().cloned(),
            },
            of_helo,
        }
    }

    fn verdict(&self, found: &SpfFound) -> Verdict {
        let refuses = |result| self.config.refuse.contains(&result);
        match found.result {
            Spf::Fail if refuses(Refused::Fail) => Verdict::Refuse(Refusal::spf_failed()),
            Spf::SoftFail if refuses(Refused::SoftFail) => Verdict::Refuse(Refusal::spf_failed()),
            Spf::PermError if refuses(Refused::PermError) => Verdict::Refuse(Refusal::spf_broken()),
            Spf::TempError if self.config.on_temperror == OnTempError::Defer => {
                Verdict::Refuse(Refusal::spf_unknown())
            }
            _ => Verdict::Pass,
        }
    }
}

fn clause(found: &SpfFound) -> Clause {
    let name = match found.of_helo {
        true => "smtp.helo",
        false => "smtp.mailfrom",
    };
    let clause = Clause::new("spf", found.result);
    match &found.domain {
        Some(domain) => clause.property(name, domain.as_str()),
        None => clause,
    }
}

fn told(found: &SpfFound) -> String {
    let of = match found.of_helo {
        true => "the HELO name",
        false => "the sender",
    };
    match &found.domain {
        Some(domain) => format!("{} for {of}, {domain}", found.result),
        None => format!("{}: {of} is no domain", found.result),
    }
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;
    use posthouse_hook::proofs::{AuthResults, RelayClient};

    use super::*;
    use crate::testing::{Parts, Zone, session, step, transaction};

    fn zone() -> Zone {
        Zone::default()
            .txt("pass.example", "v=spf1 ip4:198.51.100.7 -all")
            .txt("fail.example", "v=spf1 -all")
            .txt("soft.example", "v=spf1 ~all")
            .txt("broken.example", "v=spf1 oops:")
            .txt("client.example", "v=spf1 a -all")
            .address("client.example", "198.51.100.7")
            .failing("down.example")
    }

    /// What the client hears, and the notes.
    async fn ask(options: &str, mut session: Session, from: &str) -> (String, Transaction) {
        let plugin = Parts::new(zone()).build("spf", options).expect("valid");
        let chain = Chain::new("c", vec![step("spf", plugin)]);
        let mut tx = transaction(from, &["<b@isp.example>"], "\n\n");
        let heard = chain.mail(&mut session, &mut tx).await;
        (heard.err().map_or("ok".to_owned(), |r| r.to_string()), tx)
    }

    #[tokio::test]
    async fn each_result_is_noted_and_nothing_is_refused() {
        for (from, want) in [
            ("<a@pass.example>", "spf=pass smtp.mailfrom=pass.example"),
            ("<a@fail.example>", "spf=fail smtp.mailfrom=fail.example"),
            (
                "<a@soft.example>",
                "spf=softfail smtp.mailfrom=soft.example",
            ),
            (
                "<a@broken.example>",
                "spf=permerror smtp.mailfrom=broken.example",
            ),
            (
                "<a@down.example>",
                "spf=temperror smtp.mailfrom=down.example",
            ),
            ("<a@none.example>", "spf=none smtp.mailfrom=none.example"),
            ("<a@[198.51.100.7]>", "spf=none"),
            ("<>", "spf=pass smtp.helo=client.example"),
        ] {
            let (heard, tx) = ask("", session("198.51.100.7"), from).await;
            assert_eq!(heard, "ok");
            let AuthResults(clauses) = tx.notes.get().expect("a clause");
            assert_eq!(clauses, &[want], "{from}");
            assert!(tx.notes.get::<SpfFound>().is_some());
        }
    }

    #[tokio::test]
    async fn a_policy_refuses_what_it_lists() {
        let all = "refuse = [\"fail\", \"softfail\", \"permerror\"]\non_temperror = \"defer\"";
        for (options, from, want) in [
            ("refuse = [\"fail\"]", "<a@fail.example>", "550 5.7.23 "),
            ("refuse = [\"fail\"]", "<a@soft.example>", "ok"),
            ("refuse = [\"fail\"]", "<a@down.example>", "ok"),
            (all, "<a@soft.example>", "550 5.7.23 "),
            (all, "<a@broken.example>", "550 5.7.24 "),
            (all, "<a@down.example>", "451 4.7.24 "),
            (all, "<a@pass.example>", "ok"),
            (all, "<a@none.example>", "ok"),
        ] {
            let (heard, _) = ask(options, session("198.51.100.7"), from).await;
            assert!(heard.starts_with(want), "{options} {from}: {heard}");
        }
    }

    #[tokio::test]
    async fn who_may_relay_is_not_judged() {
        let refuse = "refuse = [\"fail\"]";
        let mut user = session("198.51.100.9");
        user.auth = Some("ann".to_owned());
        let mut customer = session("198.51.100.9");
        customer.notes.put(RelayClient);
        for session in [user, customer, session("192.0.2.10")] {
            let (heard, tx) = ask(refuse, session, "<a@fail.example>").await;
            assert_eq!(heard, "ok");
            assert!(tx.notes.get::<SpfFound>().is_none());
        }
        let mut customer = session("198.51.100.9");
        customer.notes.put(RelayClient);
        let strict = format!("{refuse}\nexempt = []");
        let (heard, _) = ask(&strict, customer, "<a@fail.example>").await;
        assert!(heard.starts_with("550"), "{heard}");
    }

    #[test]
    fn an_exemption_that_means_nothing_is_an_error() {
        let error = Parts::new(zone()).build("spf", "exempt = [\"dkim\"]").err();
        assert!(error.expect("refused").to_string().contains("dkim"));
    }
}
