//! `early_talker`: waits a while before the greeting, and refuses who does not (RFC 5321 §4.3.1).
//! Programs that send without reading, and clients of other protocols, give themselves away by that.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use posthouse_hook::early::{EarlyPipelining, EarlyTalk};
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::{Listings, SpokeEarly, Tongue};
use posthouse_hook::trail::{cut, visible};
use posthouse_hook::{HookPoint, Plugin, Refusal, Session, Span, Verdict};
use serde::Deserialize;

use crate::exempt::{self, Exempt};
use crate::options::{BadValue, BuildError, Options};
use crate::stranger::{Action, SLACK, exempt_default};
use crate::surroundings::Surroundings;

/// Longest wait: honest clients wait for five minutes (RFC 5321 §4.5.3.2.1), and each keeps a session.
const LONGEST: Span = Span(Duration::from_secs(60));
/// How much of what was said is logged, in characters.
const SHOWN: usize = 40;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    #[serde(default = "wait", deserialize_with = "posthouse_hook::time::patience")]
    wait: Span,
    /// What becomes of who speaks before the greeting.
    #[serde(default = "refuse")]
    action: Action,
    /// What becomes of who goes on before its HELO or EHLO is answered.
    #[serde(default)]
    pipelining: Action,
    #[serde(default = "exempt_default")]
    exempt: Vec<Exempt>,
}

fn wait() -> Span {
    Span(Duration::from_secs(5))
}

fn refuse() -> Action {
    Action::Refuse
}

struct EarlyTalker {
    config: Config,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    _parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    if config.wait > LONGEST {
        let way_out = format!("write {LONGEST} or less");
        return Err(BadValue::new("wait", config.wait, "clients would not wait", way_out).into());
    }
    Ok(Arc::new(EarlyTalker { config }))
}

#[async_trait]
impl Plugin for EarlyTalker {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Connect, HookPoint::Helo]
    }

    fn nature(&self) -> Nature {
        match (self.config.action, self.config.pipelining) {
            (Action::Note, Action::Note) => Nature::Measures,
            _ => Nature::Refuses,
        }
    }

    fn default_timeout(&self) -> Duration {
        self.config.wait.0.saturating_add(SLACK)
    }

    async fn connect(&self, session: &mut Session) -> Answer {
        if self.spared(session) {
            return Ok(Verdict::Pass);
        }
        let Some(talk) = session.notes.get::<EarlyTalk>().cloned() else {
            return Ok(Verdict::Pass);
        };
        let Ok(said) = tokio::time::timeout(self.config.wait.0, talk.heard()).await else {
            return Ok(Verdict::Pass);
        };
        let (tongue, shown) = (tongue(&said), shown(&said));
        session.remark(format_args!(
            "spoke before the greeting: {tongue:?}, {shown:?}"
        ));
        session.notes.put(SpokeEarly(tongue));
        Ok(self.verdict(self.config.action, session, tongue, &shown))
    }

    async fn helo(&self, session: &mut Session) -> Answer {
        if session.notes.get::<EarlyPipelining>().is_none() || self.spared(session) {
            return Ok(Verdict::Pass);
        }
        session.remark("went on before its HELO was answered");
        Ok(self.verdict(self.config.pipelining, session, Tongue::Smtp, ""))
    }
}

impl EarlyTalker {
    fn spared(&self, session: &mut Session) -> bool {
        let allowed = session.notes.get::<Listings>();
        let allowed = allowed.is_some_and(Listings::allow_client);
        let word = exempt::client(&self.config.exempt, session).map(Exempt::word);
        let why = word.or(allowed.then_some("a list speaks for it"));
        if let Some(why) = why {
            session.remark(format_args!("exempt: {why}"));
        }
        why.is_some()
    }

    fn verdict(&self, action: Action, session: &Session, tongue: Tongue, said: &str) -> Verdict {
        match action {
            Action::Note => Verdict::Pass,
            Action::Refuse => {
                tracing::info!(client = %session.client_ip(), ?tongue, said, "refused for speaking before its turn");
                Verdict::Refuse(Refusal::spoke_early())
            }
        }
    }
}

/// Whose language it is, by the first octets.
fn tongue(said: &[u8]) -> Tongue {
    const PROXY_V2: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
    let begins = |words: &[&[u8]]| words.iter().any(|word| said.starts_with(word));
    let upper = said
        .get(..5)
        .map(<[u8]>::to_ascii_uppercase)
        .unwrap_or_default();
    if said.starts_with(&[0x16, 3]) {
        Tongue::Tls
    } else if begins(&[b"PROXY ", PROXY_V2]) {
        Tongue::Proxy
    } else if begins(&[
        b"GET ",
        b"POST ",
        b"HEAD ",
        b"PUT ",
        b"OPTIONS ",
        b"CONNECT ",
    ]) {
        Tongue::Http
    } else if [b"HELO ", b"EHLO "]
        .iter()
        .any(|word| upper == word.as_slice())
    {
        Tongue::Smtp
    } else {
        Tongue::Other
    }
}

fn shown(said: &[u8]) -> String {
    visible(cut(&String::from_utf8_lossy(said), SHOWN))
}

#[cfg(test)]
mod tests {
    use posthouse_hook::Chain;
    use posthouse_hook::proofs::{ListKind, ListedOf, Listing, RelayClient};
    use tokio::time::Instant;

    use super::*;
    use crate::testing::{Parts, Zone, session, step};

    fn chain(options: &str) -> Chain {
        let plugin = Parts::new(Zone::default()).build("early_talker", options);
        Chain::new("c", vec![step("early_talker", plugin.expect("valid"))])
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_silent_waits_and_is_served() {
        let (_ear, talk) = EarlyTalk::new();
        let mut client = session("192.0.2.1");
        client.notes.put(talk);
        let begun = Instant::now();
        assert!(chain("").connect(&mut client).await.is_ok());
        assert_eq!(begun.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn who_speaks_is_refused_at_once_or_noted() {
        for (options, refused) in [("", true), ("action = \"note\"", false)] {
            let (ear, talk) = EarlyTalk::new();
            let mut client = session("192.0.2.1");
            client.notes.put(talk);
            ear.hears(b"GET / HTTP/1.0\r\n");
            let begun = Instant::now();
            let heard = chain(options).connect(&mut client).await;
            assert_eq!(heard.is_err(), refused, "{options}");
            assert_eq!(begun.elapsed(), Duration::ZERO);
            assert_eq!(client.notes.get(), Some(&SpokeEarly(Tongue::Http)));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_known_does_not_wait() {
        let (ear, talk) = EarlyTalk::new();
        ear.hears(b"EHLO x\r\n");
        let mut friend = session("192.0.2.1");
        friend.notes.put(talk);
        let mut allowed = friend.clone();
        friend.notes.put(RelayClient);
        allowed.notes.put(Listings(vec![Listing {
            list: "wl".to_owned(),
            of: ListedOf::Client,
            what: "192.0.2.1".to_owned(),
            kind: ListKind::Allow,
            answers: Vec::new(),
            weight: 0,
        }]));
        // Without a listener there is nobody to wait for.
        for mut client in [friend, allowed, session("192.0.2.1")] {
            let begun = Instant::now();
            assert!(chain("").connect(&mut client).await.is_ok());
            assert_eq!(begun.elapsed(), Duration::ZERO);
        }
    }

    #[tokio::test]
    async fn going_on_before_the_reply_is_noted_or_refused() {
        for (options, refused) in [("", false), ("pipelining = \"refuse\"", true)] {
            let mut client = session("192.0.2.1");
            client.notes.put(EarlyPipelining);
            let heard = chain(options).helo(&mut client).await;
            assert_eq!(heard.is_err(), refused, "{options}");
        }
    }

    #[test]
    fn languages_are_known_by_their_first_words() {
        for (said, want) in [
            (&b"\x16\x03\x01\x02\x00"[..], Tongue::Tls),
            (b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n", Tongue::Proxy),
            (b"\r\n\r\n\0\r\nQUIT\n\x21\x11", Tongue::Proxy),
            (b"GET / HTTP/1.1\r\n", Tongue::Http),
            (b"ehlo x\r\n", Tongue::Smtp),
            (b"", Tongue::Other),
            (b"\xff\xfe", Tongue::Other),
        ] {
            assert_eq!(tongue(said), want, "{said:?}");
        }
        assert_eq!(
            shown(b"a\r\n\x1b[2J").len(),
            "a\u{fffd}\u{fffd}\u{fffd}[2J".len()
        );
    }

    #[test]
    fn nobody_waits_for_ever() {
        let mut parts = Parts::new(Zone::default());
        let error = parts.build("early_talker", "wait = \"2m\"").err();
        let error = error.expect("refused").to_string();
        assert!(error.contains("write 1m or less"), "{error}");
    }
}
