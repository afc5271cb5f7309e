//! What is told of a session: the trail, the reply, and what would become of each copy.

use posthouse_hook::trail::visible;
use posthouse_hook::{
    Disposition, ForwardPath, Judgement, Kept, Observation, Observed, Outcome, Recipient, Reply,
    Session, Trail, Transaction,
};
use posthouse_relay::Listed;
use posthouse_store::Kind;
use serde::Serialize;

use super::Failure;
use super::session::Ended;
use crate::commands::letter_writer;
use crate::commands::print::{print_judgement, print_trail};
use crate::config::Loaded;
use crate::out::outln;

/// What the session came to.
#[derive(Serialize)]
pub(super) struct Explained {
    reply: String,
    recipients: Vec<Fate>,
    judgement: Option<Judgement>,
    letters: Vec<Letter>,
    /// What the chain, if it observes, would have done.
    observed: Vec<Observation>,
    trail: Trail,
}

/// What would become of one recipient's copy.
#[derive(Serialize)]
struct Fate {
    address: ForwardPath,
    fate: String,
    next_hop: Option<String>,
}

/// A letter that would go out.
#[derive(Serialize)]
struct Letter {
    to: ForwardPath,
    text: String,
}

impl Explained {
    /// What a session came to under this configuration.
    pub(super) fn of(loaded: &Loaded, session: Session, ended: Ended) -> Result<Self, Failure> {
        let trail = session.trail;
        Ok(match ended {
            Ended::Refused(refusal) => Self {
                reply: refusal.to_string(),
                recipients: Vec::new(),
                judgement: None,
                letters: Vec::new(),
                observed: Vec::new(),
                trail,
            },
            Ended::Decided(tx, outcome) => Self {
                reply: reply(&tx, &outcome),
                recipients: fates(loaded, &tx, &outcome),
                letters: letters(loaded, &tx, &outcome)?,
                judgement: tx.notes.get::<Judgement>().cloned(),
                observed: observed(&tx),
                trail,
            },
        })
    }

    /// Prints it for a person.
    pub(super) fn print(&self) {
        outln!("trail:");
        print_trail(&self.trail, 0);
        if let Some(judgement) = &self.judgement {
            print_judgement(judgement);
        }
        outln!("reply: {}", self.reply);
        for fate in &self.recipients {
            let hop = fate.next_hop.as_ref().map(|hop| format!(" by {hop}"));
            outln!("{}: {}{}", fate.address, fate.fate, hop.unwrap_or_default());
        }
        for observation in &self.observed {
            outln!("{}", in_words(observation));
        }
        for letter in &self.letters {
            outln!("letter to {}:", letter.to);
            let lines = letter.text.lines();
            lines.for_each(|line| outln!("    {}", visible(line)));
        }
    }
}

fn observed(tx: &Transaction) -> Vec<Observation> {
    let Observed(observed) = tx.notes.get().cloned().unwrap_or_default();
    observed
}

fn in_words(observation: &Observation) -> String {
    let to = observation.recipients.iter().map(ToString::to_string);
    format!(
        "observed, not done: {} at {} would {} {}",
        observation.plugin,
        observation.point,
        observation.would,
        to.collect::<Vec<_>>().join(" ")
    )
}

fn reply(tx: &Transaction, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(_) => Reply::queued(tx.id).to_string(),
        Outcome::Refused { refusal, .. } => refusal.to_string(),
    }
}

fn fates(loaded: &Loaded, tx: &Transaction, outcome: &Outcome) -> Vec<Fate> {
    let words: Vec<_> = match outcome {
        Outcome::Accepted(dispositions) => dispositions.iter().map(disposed).collect(),
        Outcome::Refused { kept, .. } => kept.iter().map(kept_words).collect(),
    };
    let pairs = tx.recipients.iter().zip(words);
    pairs
        .map(|(recipient, fate)| Fate {
            next_hop: (fate == "relay").then(|| next_hop(loaded, recipient)),
            address: recipient.forward_path.clone(),
            fate,
        })
        .collect()
}

fn disposed(disposition: &Disposition) -> String {
    match disposition {
        Disposition::Relay => "relay".to_owned(),
        Disposition::Hold(why) => format!("hold: {why:?}"),
        Disposition::Discard => "discard".to_owned(),
    }
}

fn kept_words(kept: &Kept) -> String {
    match kept {
        Kept::Nothing => "refused, nothing is kept".to_owned(),
        Kept::Held(why) => format!("hold: {why:?}"),
        Kept::Discarded => "discard".to_owned(),
    }
}

/// Where the copy would go: by its recipient's redirect, if there is one.
fn next_hop(loaded: &Loaded, recipient: &Recipient) -> String {
    let config = &loaded.config;
    let (to, kind) = match &recipient.redirect {
        Some(target) => (target, Kind::Redirected),
        None => (&recipient.forward_path, Kind::Relayed),
    };
    let target = config.relay.route.target(to, kind, &config.hostname);
    target.map_or_else(
        || "no route: it would fail".to_owned(),
        |t| t.hop.to_string(),
    )
}

/// The letters that would go out, if nothing else is held for these addresses.
fn letters(loaded: &Loaded, tx: &Transaction, outcome: &Outcome) -> Result<Vec<Letter>, Failure> {
    let writer = letter_writer(&loaded.config)?;
    let header = &tx.message.header;
    let field = |name| header.first(name).map(|f| f.text()).unwrap_or_default();
    let (from, subject) = (field("From"), field("Subject"));
    let write = |to: ForwardPath| {
        let listed = Listed {
            at: tx.started,
            from: &from,
            subject: &subject,
            size: tx.message.content.len(),
        };
        let bytes = writer.preview(loaded.config.web.url.as_str(), &to, listed)?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Letter { to, text })
    };
    let waiting = posthouse_store::would_cause_letters(tx, outcome);
    waiting.into_iter().map(write).collect()
}
