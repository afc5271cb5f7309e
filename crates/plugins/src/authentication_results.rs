//! `authentication_results`: writes what was found about the sender into one field above the
//! message (RFC 8601), and finds fields in our name that we did not write. Removes nothing.

use std::net::IpAddr;
use std::sync::Arc;

use async_trait::async_trait;
use posthouse_hook::plugin::{Answer, Nature};
use posthouse_hook::proofs::{AuthResults, ReverseName};
use posthouse_hook::{Header, HookPoint, Plugin, Refusal, Session, Transaction, Verdict};
use serde::Deserialize;

use crate::clause::{Clause, pvalue};
use crate::options::{BadValue, BuildError, Options};
use crate::surroundings::{Common, Surroundings};

const FIELD: &str = "Authentication-Results";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    /// Who says so: our name in the field.
    authserv_id: Option<String>,
    #[serde(default)]
    forged: Forged,
}

/// What becomes of a message that has a field in our name (RFC 8601 §5).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Forged {
    /// It is logged; our own field stands above it.
    #[default]
    Note,
    /// 550.
    Refuse,
}

struct Results {
    authserv_id: String,
    forged: Forged,
    common: Common,
}

pub(crate) fn build(
    _name: &str,
    options: Options<'_>,
    parts: &mut dyn Surroundings,
) -> Result<Arc<dyn Plugin>, BuildError> {
    let config: Config = options.read()?;
    let common = parts.common().clone();
    let authserv_id = config
        .authserv_id
        .unwrap_or_else(|| common.hostname.clone());
    let plain = pvalue(&authserv_id) == authserv_id;
    if !plain {
        let problem = "it is no single word";
        let way_out = "write a name such as mx.example.com";
        return Err(BadValue::new("authserv_id", authserv_id, problem, way_out).into());
    }
    Ok(Arc::new(Results {
        authserv_id,
        forged: config.forged,
        common,
    }))
}

#[async_trait]
impl Plugin for Results {
    fn points(&self) -> &[HookPoint] {
        &[HookPoint::Headers, HookPoint::Data]
    }

    fn nature(&self) -> Nature {
        match self.forged {
            Forged::Note => Nature::Measures,
            Forged::Refuse => Nature::Refuses,
        }
    }

    async fn headers(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let believed = self.common.our_servers.load().contains(session.client_ip());
        let found = in_the_name_of(&self.authserv_id, &tx.message.header);
        if found == 0 || believed {
            return Ok(Verdict::Pass);
        }
        session.remark(format_args!("{found} {FIELD} in our name, not ours"));
        let client = session.client_ip();
        tracing::warn!(session = %session.id, %client, sender = %tx.reverse_path, fields = found,
            "a message came with authentication results in our name");
        Ok(match self.forged {
            Forged::Note => Verdict::Pass,
            Forged::Refuse => Verdict::Refuse(Refusal::forged_results()),
        })
    }

    async fn data(&self, session: &mut Session, tx: &mut Transaction) -> Answer {
        let lines = self.lines(session, tx);
        session.remark(lines.join(" "));
        tx.prepend_folded(FIELD, &lines);
        Ok(Verdict::Pass)
    }
}

impl Results {
    /// The field's value: a clause a line.
    fn lines(&self, session: &Session, tx: &Transaction) -> Vec<String> {
        let mut clauses = of_the_client(session);
        if let Some(AuthResults(found)) = tx.notes.get() {
            clauses.extend(found.iter().cloned());
        }
        if clauses.is_empty() {
            return vec![format!("{}; none", self.authserv_id)];
        }
        let mut lines = vec![self.authserv_id.clone()];
        lines.extend(clauses);
        let last = lines.len() - 1;
        lines[..last].iter_mut().for_each(|line| line.push(';'));
        lines
    }
}

/// What the session knows: the user (RFC 8601 §2.7.4) and reverse DNS (§2.7.3).
fn of_the_client(session: &Session) -> Vec<String> {
    let user = session.auth.as_deref();
    let auth = user.map(|user| Clause::new("auth", "pass").property("smtp.auth", user));
    let reverse = session.notes.get::<ReverseName>();
    let iprev = reverse.map(|name| reverse_dns(name, session.client_ip()));
    auth.into_iter()
        .chain(iprev)
        .map(Clause::into_text)
        .collect()
}

fn reverse_dns(name: &ReverseName, ip: IpAddr) -> Clause {
    let result = match name {
        ReverseName::Confirmed(_) => "pass",
        ReverseName::Unconfirmed(_) | ReverseName::None => "fail",
        ReverseName::Unknown => "temperror",
    };
    Clause::new("iprev", result).property("policy.iprev", &ip.to_string())
}

/// How many fields claim that name.
fn in_the_name_of(id: &str, header: &Header) -> usize {
    let claims = |text: &str| claimed(text).eq_ignore_ascii_case(id.as_bytes());
    header
        .all(FIELD)
        .filter(|field| claims(&field.text()))
        .count()
}

/// The authserv-id of a field: comments in front are passed over, quotes and escapes undone.
fn claimed(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (mut depth, mut quoted) = (0_usize, false);
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        match b {
            b'\\' if quoted || depth > 0 => out.extend(bytes.next().filter(|_| depth == 0)),
            b'"' if depth == 0 => quoted = !quoted,
            _ if quoted => out.push(b),
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            _ if depth > 0 => {}
            b' ' | b'\t' if out.is_empty() => {}
            b' ' | b'\t' | b';' => break,
            _ => out.push(b),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use posthouse_hook::{Chain, Domain};

    use super::*;
    use crate::testing::{Parts, Zone, session, step, transaction};

    async fn ask(
        options: &str,
        mut session: Session,
        message: &str,
        clauses: &[&str],
    ) -> Result<String, Refusal> {
        let plugin = Parts::new(Zone::default()).build("authentication_results", options);
        let chain = Chain::new("c", vec![step("ar", plugin.expect("valid"))]);
        let mut tx = transaction("<a@x.example>", &["<b@isp.example>"], message);
        tx.received = "Received: here\r\n".to_owned();
        let clauses = clauses.iter().map(|c| (*c).to_owned()).collect();
        tx.notes.put(AuthResults(clauses));
        chain.headers(&mut session, &mut tx).await?;
        match chain.data(&mut session, &mut tx).await {
            Verdict::Refuse(refusal) => Err(refusal),
            _ => Ok(tx.received),
        }
    }

    #[tokio::test]
    async fn one_field_has_every_clause() {
        let mut session = session("2001:db8::7");
        let written = ask("", session.clone(), "\n", &[]).await.expect("passes");
        let want = "Authentication-Results: out.isp.example; none\r\nReceived: here\r\n";
        assert_eq!(written, want);
        session.auth = Some("ann\"; spf=pass".to_owned());
        let name = Domain::parse("c.example").expect("a domain");
        session.notes.put(ReverseName::Confirmed(name));
        let clauses = ["spf=none", "dkim=none"];
        let written = ask("authserv_id = \"mx\"", session, "\n", &clauses).await;
        assert_eq!(
            written.expect("passes"),
            "Authentication-Results: mx;\r\n\tauth=pass smtp.auth=\"ann\\\"; spf=pass\";\r\n\
             \tiprev=pass policy.iprev=\"2001:db8::7\";\r\n\tspf=none;\r\n\tdkim=none\r\n\
             Received: here\r\n"
        );
    }

    #[tokio::test]
    async fn fields_in_our_name_are_refused_if_the_operator_says_so() {
        let refuse = "forged = \"refuse\"";
        for (field, ours) in [
            ("Authentication-Results: out.isp.example; spf=pass", true),
            ("authentication-results :\n\tOUT.isp.example 1; none", true),
            (
                "Authentication-Results: (a (b\\)) ) \"out.isp\\.example\"; none",
                true,
            ),
            ("Authentication-Results: out.isp.example", true),
            ("Authentication-Results: mx.other.example; spf=pass", false),
            ("Authentication-Results: (out.isp.example) x; none", false),
            (
                "ARC-Authentication-Results: i=1; out.isp.example; none",
                false,
            ),
        ] {
            let message = format!("{field}\nSubject: x\n\n");
            let heard = ask(refuse, session("198.51.100.7"), &message, &[]).await;
            assert_eq!(heard.is_err(), ours, "{field}");
            assert!(
                ask("", session("198.51.100.7"), &message, &[])
                    .await
                    .is_ok()
            );
            let trusted = ask(refuse, session("192.0.2.10"), &message, &[]).await;
            assert!(trusted.is_ok(), "our servers have our name");
        }
    }

    #[test]
    fn a_name_of_several_words_is_an_error() {
        let mut parts = Parts::new(Zone::default());
        let built = parts.build("authentication_results", "authserv_id = \"a; b\"");
        assert!(built.err().expect("refused").to_string().contains("a; b"));
    }
}
