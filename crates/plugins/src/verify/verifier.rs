//! What both plugins share: is the address of a domain of ours, and does it exist?

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use posthouse_hook::plugin::Answer;
use posthouse_hook::reply::LINK_MARK;
use posthouse_hook::trail::{cut, visible};
use posthouse_hook::{Domain, DomainList, Live, Mailbox, Refusal, Session, Verdict};

use super::config::{Config, OnDead, Policy};
use crate::backend::{Backend, Dead, Keeping};
use crate::directory::{self, Case, Directory, Found, Question, written};
use crate::options::{BadValue, BuildError};
use crate::surroundings::{Surroundings, domains};

/// Most characters of an address that a client is told of.
const SHOWN: usize = 254;
/// Questions under way at a time, at the most, for one address: by then another's may have failed.
const TURNS: u32 = 2;
/// How much longer than the directory may take the step waits.
const SLACK: Duration = Duration::from_secs(5);
const ADDRESS: &str = "{address}";

/// What is known of an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// Its domain is none of ours, or the directory is not the one to ask.
    Foreign,
    /// RFC 5321 §4.5.1: every domain has one.
    Postmaster,
    /// The directory has it.
    Exists,
    /// The directory does not have it.
    Missing,
}

/// What the refusal of one plugin looks like unless the configuration says otherwise.
pub(super) struct Wording {
    pub(super) codes: &'static str,
    pub(super) text: &'static str,
}

pub(super) struct Verifier {
    name: String,
    pub(super) directory: Box<dyn Directory>,
    answers: Backend<Question, Found>,
    domains: Live<DomainList>,
    case: Case,
    policy: Policy,
    codes: String,
    text: String,
    /// How often an address passed unverified since the start.
    unverified: AtomicU64,
}

impl Verifier {
    pub(super) fn build(
        name: &str,
        config: Config,
        wording: &Wording,
        parts: &mut dyn Surroundings,
    ) -> Result<Self, BuildError> {
        let Config { policy, directory } = config;
        let codes = policy.refusal.as_deref().unwrap_or(wording.codes);
        let text = policy.text.as_deref().unwrap_or(wording.text);
        check_refusal(codes, text)?;
        check_delimiter(&policy.recipient_delimiter)?;
        let keeping = Keeping {
            entries: policy.cache_entries.get(),
            rest: policy.rest.0,
        };
        let ours = match &policy.domains {
            Some(spec) => domains(parts, "domains", spec)?,
            None => parts.common().our_domains.clone(),
        };
        Ok(Self {
            name: name.to_owned(),
            codes: codes.to_owned(),
            text: text.to_owned(),
            case: directory.case,
            directory: directory::open(&directory, parts)?,
            answers: Backend::new(keeping, Arc::clone(&parts.common().clock)),
            domains: ours,
            policy,
            unverified: AtomicU64::new(0),
        })
    }

    pub(super) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The plugin's own limit comes first, so that a slow directory is no failure of ours.
    pub(super) fn step_timeout(&self) -> Duration {
        self.patience().saturating_add(SLACK)
    }

    fn patience(&self) -> Duration {
        self.policy.ask_timeout.0.saturating_mul(TURNS)
    }

    /// The verdict about an address: the trail is told why, the client only that.
    pub(super) async fn judge(&self, session: &mut Session, mailbox: &Mailbox) -> Answer {
        let standing = tokio::time::timeout(self.patience(), self.stands(mailbox)).await;
        let late = |_| Err(Dead(format!("no answer within {:?}", self.patience())));
        match standing.unwrap_or_else(late) {
            Ok(Standing::Missing) => Ok(self.refuse(session, mailbox)),
            Ok(standing) => {
                session.remark(format_args!("{mailbox}: {}", standing.words()));
                Ok(Verdict::Pass)
            }
            Err(dead) => Ok(self.dead(session, mailbox, &dead)),
        }
    }

    async fn stands(&self, mailbox: &Mailbox) -> Result<Standing, Dead> {
        let Some(domain) = mailbox.domain() else {
            return Ok(Standing::Foreign);
        };
        if !self.is_ours(domain).await? {
            return Ok(Standing::Foreign);
        }
        if mailbox.local().eq_ignore_ascii_case("postmaster") {
            return Ok(Standing::Postmaster);
        }
        let whole = self
            .ask(Question::Address(written(mailbox, self.case)))
            .await?;
        let found = match self.without_extension(mailbox) {
            Some(base) if whole == Found::No => {
                self.ask(Question::Address(written(&base, self.case)))
                    .await?
            }
            _ => whole,
        };
        Ok(match found {
            Found::Yes => Standing::Exists,
            Found::No => Standing::Missing,
            Found::Elsewhere => Standing::Foreign,
        })
    }

    async fn is_ours(&self, domain: &Domain) -> Result<bool, Dead> {
        if self.domains.load().contains(domain) {
            return Ok(true);
        }
        if !self.directory.lists_domains() {
            return Ok(false);
        }
        let found = self.ask(Question::Domain(domain.clone())).await?;
        Ok(found == Found::Yes)
    }

    /// The answer that is kept, or the directory's.
    async fn ask(&self, question: Question) -> Result<Found, Dead> {
        let limit = self.policy.ask_timeout.0;
        let ask = async {
            let found = tokio::time::timeout(limit, self.directory.find(&question)).await;
            let late = |_| Err(Dead(format!("no answer within {limit:?}")));
            let found = found.unwrap_or_else(late)?;
            Ok((found, self.keep(found)))
        };
        self.answers.get(&question, ask).await
    }

    fn keep(&self, found: Found) -> Duration {
        match found {
            _ if self.directory.is_at_hand() => Duration::ZERO,
            Found::Yes => self.policy.positive_ttl.0,
            Found::No | Found::Elsewhere => self.policy.negative_ttl.0,
        }
    }

    /// The address without its extension, if it has one: `ann+lists@x` is delivered to `ann@x`.
    fn without_extension(&self, mailbox: &Mailbox) -> Option<Mailbox> {
        let local = mailbox.local();
        let begins = |c: char| self.policy.recipient_delimiter.contains(c);
        let at = local.find(begins).filter(|_| !local.starts_with('"'))?;
        Mailbox::parse(&format!("{}@{}", &local[..at], mailbox.host())).ok()
    }

    fn refuse(&self, session: &mut Session, mailbox: &Mailbox) -> Verdict {
        let source = self.directory.name();
        tracing::info!(session = %session.id, plugin = self.name, client = %session.client_ip(), address = %mailbox, source, "an address of ours does not exist: refused");
        session.remark(format_args!("{mailbox} does not exist by {source}"));
        let address = shown(&mailbox.to_string());
        let told = refusal(&self.codes, &self.text, &address);
        Verdict::Refuse(told.unwrap_or_else(|_| Refusal::policy("Address does not exist")))
    }

    fn dead(&self, session: &mut Session, mailbox: &Mailbox, Dead(why): &Dead) -> Verdict {
        let source = self.directory.name();
        session.remark(format_args!("{mailbox} is not verified: {source}: {why}"));
        match self.policy.on_dead {
            OnDead::Defer => {
                tracing::warn!(session = %session.id, plugin = self.name, address = %mailbox, source, why, "an address cannot be verified: deferred");
                Verdict::Refuse(Refusal::directory_down())
            }
            OnDead::Pass => {
                let unverified = self.unverified.fetch_add(1, Ordering::Relaxed) + 1;
                tracing::warn!(session = %session.id, plugin = self.name, address = %mailbox, source, why, unverified, "an address cannot be verified: let through");
                session.remark(format_args!(
                    "let through unverified, the {unverified}. since the start"
                ));
                Verdict::Pass
            }
        }
    }
}

impl Standing {
    fn words(&self) -> &'static str {
        match self {
            Self::Foreign => "not ours to verify",
            Self::Postmaster => "postmaster always exists",
            Self::Exists => "exists",
            Self::Missing => "does not exist",
        }
    }
}

fn refusal(codes: &str, text: &str, address: &str) -> Result<Refusal, BuildError> {
    let told = Refusal::from_config(codes, &text.replace(ADDRESS, address), 0);
    told.map_err(|error| {
        let way_out = "write codes such as 550 5.7.1, and a text of at least one line";
        BadValue::new("refusal", codes, error, way_out).into()
    })
}

fn check_refusal(codes: &str, text: &str) -> Result<(), BuildError> {
    if text.contains(LINK_MARK) {
        let problem = "nothing is held here, so there is no link";
        return Err(BadValue::new("text", text, problem, "leave {link} out").into());
    }
    refusal(codes, text, "a@x.example").map(drop)
}

fn check_delimiter(delimiter: &str) -> Result<(), BuildError> {
    let fits = |c: char| c.is_ascii_punctuation() && !matches!(c, '@' | '"' | '.');
    if delimiter.chars().all(fits) {
        return Ok(());
    }
    let problem = "no character at which an extension begins";
    Err(BadValue::new("recipient_delimiter", delimiter, problem, "write \"+\"").into())
}

/// An address as a client may be told it: bounded, one line, and never a place for a link.
fn shown(address: &str) -> String {
    visible(cut(address, SHOWN)).replace(['{', '}'], "?")
}
