//! `posthouse explain`: a message goes through the chain without being queued, and the trail says
//! what each plugin found, which cell that is, and what would become of it.

use std::io::Read as _;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use posthouse_hook::{
    Chain, Clock as _, Content, Disposition, ForwardPath, Header, Id, Judgement, Kept, Message,
    Outcome, Recipient, Refusal, ReversePath, Session, SystemClock, Trail, Transaction, Verdict,
};
use posthouse_relay::LetterWriter;
use posthouse_store::Kind;
use serde::Serialize;

use super::print::print_trail;
use super::{Failure, block_on, chains_of, load};
use crate::cli::ExplainArgs;
use crate::config::Loaded;
use crate::out::outln;

/// Largest message that is explained, in octets.
const MAX_MESSAGE: u64 = 256 << 20;

/// What the session came to.
#[derive(Serialize)]
struct Explained {
    reply: String,
    recipients: Vec<Fate>,
    judgement: Option<Judgement>,
    letters: Vec<Letter>,
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

/// Prints the trail, the reply, the dispositions and the letters.
pub(crate) fn run(config: Option<&Path>, args: &ExplainArgs) -> super::Outcome {
    let loaded = load(config)?;
    let (from, to) = envelope(args)?;
    let message = read(&args.file)?;
    let explained = block_on(async {
        let (chains, _lists) = chains_of(&loaded)?;
        let name = chain_name(&loaded, args)?;
        let chain = chains
            .get(&name)
            .ok_or_else(|| Failure::Usage(format!("there is no chain `{name}`")))?;
        let mut session = session(args);
        let result = converse(chain, &mut session, from, &to, message).await;
        explain(&loaded, session, result)
    })?;
    if args.json {
        outln!("{}", serde_json::to_string_pretty(&[&explained])?);
    } else {
        print(&explained);
    }
    Ok(())
}

fn envelope(args: &ExplainArgs) -> Result<(ReversePath, Vec<ForwardPath>), Failure> {
    let wrong = |text: &str, error| Failure::Usage(format!("`{text}`: {error}"));
    let bare = |text: &str| {
        text.trim_start_matches('<')
            .trim_end_matches('>')
            .to_owned()
    };
    let from = ReversePath::from_address(&bare(&args.from)).map_err(|e| wrong(&args.from, e))?;
    let to = args
        .to
        .iter()
        .map(|text| ForwardPath::from_address(&bare(text)).map_err(|e| wrong(text, e)))
        .collect::<Result<_, _>>()?;
    Ok((from, to))
}

/// The message with CRLF line ends, as a client would send it.
fn read(file: &Path) -> Result<Bytes, Failure> {
    let wrong = |error| Failure::Because(format!("{}: {error}", file.display()));
    let mut raw = Vec::new();
    let source: Box<dyn std::io::Read> = match file.to_str() {
        Some("-") => Box::new(std::io::stdin()),
        _ => Box::new(std::fs::File::open(file).map_err(wrong)?),
    };
    source
        .take(MAX_MESSAGE)
        .read_to_end(&mut raw)
        .map_err(wrong)?;
    let mut bytes = Vec::with_capacity(raw.len());
    for line in raw.split_inclusive(|b| *b == b'\n') {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        bytes.extend_from_slice(text.strip_suffix(b"\r").unwrap_or(text));
        bytes.extend_from_slice(b"\r\n");
    }
    Ok(bytes.into())
}

fn chain_name(loaded: &Loaded, args: &ExplainArgs) -> Result<String, Failure> {
    let first = || {
        loaded
            .config
            .listener
            .first()
            .map(|l| l.chain.get_ref().clone())
    };
    args.chain
        .clone()
        .or_else(first)
        .ok_or_else(|| Failure::Usage("there is no listener; name a chain with --chain".to_owned()))
}

fn session(args: &ExplainArgs) -> Session {
    let client = SocketAddr::new(args.client, 0);
    let local = SocketAddr::from(([127, 0, 0, 1], 25));
    let mut session = Session::new(Id(0), client, local, SystemClock.now());
    session.helo = Some(args.helo.clone());
    session.esmtp = true;
    session.auth.clone_from(&args.auth);
    session
}

/// Where a session ended, and with what.
enum Ended {
    Refused(Refusal),
    Decided(Box<Transaction>, Outcome),
}

/// The session as a client would have it, without a socket.
async fn converse(
    chain: &Chain,
    session: &mut Session,
    from: ReversePath,
    to: &[ForwardPath],
    message: Bytes,
) -> Ended {
    match transact(chain, session, from, to, message).await {
        Ok((tx, verdict)) => {
            let outcome = Outcome::decide(verdict, tx.dispositions());
            Ended::Decided(Box::new(tx), outcome)
        }
        Err(refusal) => Ended::Refused(refusal),
    }
}

async fn transact(
    chain: &Chain,
    session: &mut Session,
    from: ReversePath,
    to: &[ForwardPath],
    message: Bytes,
) -> Result<(Transaction, Verdict), Refusal> {
    chain.connect(session).await?;
    chain.helo(session).await?;
    if session.auth.is_some() {
        chain.auth(session).await?;
    }
    let mut tx = Transaction::new(Id(0), SystemClock.now(), from);
    chain.mail(session, &mut tx).await?;
    let mut last = Refusal::no_recipients();
    for forward_path in to {
        let recipient = Recipient::new(forward_path.clone());
        match chain.rcpt(session, &mut tx, &recipient).await {
            Ok(()) => tx.recipients.push(recipient),
            Err(refusal) => last = refusal,
        }
    }
    if tx.recipients.is_empty() {
        return Err(last);
    }
    tx.message = header_of(&message);
    chain.headers(session, &mut tx).await?;
    tx.message.content = Content::Memory(message);
    let verdict = chain.data(session, &mut tx).await;
    Ok((tx, verdict))
}

fn header_of(message: &Bytes) -> Message {
    let end = memchr::memmem::find(message, b"\r\n\r\n").map_or(message.len(), |at| at + 4);
    Message {
        header: Arc::new(Header::parse(message.slice(..end))),
        content: Content::default(),
    }
}

fn explain(loaded: &Loaded, session: Session, ended: Ended) -> Result<Explained, Failure> {
    let trail = session.trail;
    Ok(match ended {
        Ended::Refused(refusal) => Explained {
            reply: refusal.to_string(),
            recipients: Vec::new(),
            judgement: None,
            letters: Vec::new(),
            trail,
        },
        Ended::Decided(tx, outcome) => Explained {
            reply: reply(&outcome),
            recipients: fates(loaded, &tx, &outcome),
            letters: letters(loaded, &tx, &outcome)?,
            judgement: tx.notes.get::<Judgement>().cloned(),
            trail,
        },
    })
}

fn reply(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted(_) => "250 2.6.0 Queued".to_owned(),
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
            next_hop: (fate == "relay").then(|| next_hop(loaded, &recipient.forward_path)),
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

fn next_hop(loaded: &Loaded, to: &ForwardPath) -> String {
    let config = &loaded.config;
    let target = config
        .relay
        .route
        .target(to, Kind::Relayed, &config.hostname);
    target.map_or_else(
        || "no route: it would fail".to_owned(),
        |t| t.hop.to_string(),
    )
}

/// The letters that would go out, if nothing else is held for these addresses.
fn letters(loaded: &Loaded, tx: &Transaction, outcome: &Outcome) -> Result<Vec<Letter>, Failure> {
    let config = &loaded.config;
    let templates = config.templates.as_ref().map(|dir| dir.join("mail"));
    let writer = LetterWriter::new(
        config.letters.clone(),
        config.hostname.clone(),
        templates.as_deref(),
        Arc::new(SystemClock),
    )?;
    let field = |name| {
        tx.message
            .header
            .first(name)
            .map(|f| f.text())
            .unwrap_or_default()
    };
    let write = |to: ForwardPath| {
        let base = config.web.url.as_str();
        let bytes = writer.preview(base, &to, &field("From"), &field("Subject"))?;
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Letter { to, text })
    };
    posthouse_store::would_cause_letters(tx, outcome)
        .into_iter()
        .map(write)
        .collect()
}

fn print(explained: &Explained) {
    outln!("trail:");
    print_trail(&explained.trail, 0);
    if let Some(judgement) = &explained.judgement {
        outln!("origin: {}, SPF {}", judgement.origin, judgement.spf);
        outln!("column: {:?}", judgement.column);
    }
    outln!("reply: {}", explained.reply);
    for fate in &explained.recipients {
        let hop = fate.next_hop.as_ref().map(|hop| format!(" by {hop}"));
        outln!("{}: {}{}", fate.address, fate.fate, hop.unwrap_or_default());
    }
    for letter in &explained.letters {
        outln!("letter to {}:", letter.to);
        letter
            .text
            .lines()
            .for_each(|line| outln!("    {}", posthouse_hook::trail::visible(line)));
    }
}
