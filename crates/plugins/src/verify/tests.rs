//! Both plugins over a database of constants, and over a directory that a test holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use cdb2::CDBWriter;
use posthouse_hook::facts::Spf;
use posthouse_hook::proofs::{RelayClient, SpfFound};
use posthouse_hook::{Chain, Domain, ForwardPath, Recipient, Session};
use proptest::prelude::*;

use super::config::SenderTable;
use super::sender::{VerifySender, verifier};
use crate::backend::Dead;
use crate::directory::{Directory, Found, Question};
use crate::testing::{Parts, Zone, session, step, transaction};

/// A directory on disk with these keys, and the option that names it.
fn cdb(keys: &[&str]) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("users.cdb");
    let path = path.to_str().expect("a name");
    let mut cdb = CDBWriter::create(path).expect("a file");
    for key in keys {
        cdb.add(key.as_bytes(), b"").expect("written");
    }
    cdb.finish().expect("moved");
    let option = format!("source = \"cdb:{path}\"\n");
    (dir, option)
}

fn chain(kind: &str, options: &str) -> Chain {
    let plugin = Parts::new(Zone::default()).build(kind, options);
    Chain::new("c", vec![step(kind, plugin.expect("valid"))])
}

/// What a client hears at MAIL, or "ok".
async fn mail(chain: &Chain, session: &mut Session, from: &str) -> String {
    let mut tx = transaction(from, &[], "");
    tx.notes.put(SpfFound {
        result: Spf::Pass,
        domain: Some(Domain::parse("proven.example").expect("a domain")),
        of_helo: false,
    });
    let heard = chain.mail(session, &mut tx).await;
    heard.map_or_else(|refusal| refusal.to_string(), |()| "ok".to_owned())
}

/// What a client hears at RCPT; a recipient that nobody refuses is refused by the empty chain.
async fn rcpt(chain: &Chain, session: &mut Session, to: &str) -> String {
    let mut tx = transaction("<a@a.example>", &[], "");
    let to = Recipient::new(ForwardPath::parse(to).expect("a path"));
    match chain.rcpt(session, &mut tx, &to).await {
        Err(refusal) if refusal.to_string().contains("Relaying denied") => "ok".to_owned(),
        Err(refusal) => refusal.to_string(),
        Ok(()) => "taken".to_owned(),
    }
}

const MISSING: &str = "550 5.7.1 Reject: your From address bob@isp.example does not exist.";

#[tokio::test]
async fn a_sender_of_ours_must_exist() {
    let keys = ["ann@isp.example", "\"a b\"@isp.example", "a+b@isp.example"];
    let (_dir, source) = cdb(&keys);
    let chain = chain(
        "verify_sender",
        &format!("{source}recipient_delimiter = \"+\""),
    );
    for (from, exists) in [
        ("<ann@isp.example>", true),
        ("<Ann@ISP.example>", true),
        ("<\"ann\"@isp.example>", true),
        ("<\"\\ann\"@isp.example>", true),
        ("<\"A B\"@isp.example>", true),
        ("<ann+list@isp.example>", true),
        ("<ann+list+more@isp.example>", true),
        ("<a+b@isp.example>", true),
        ("<a+c@isp.example>", false),
        ("<+ann@isp.example>", false),
        ("<\"ann+ x\"@isp.example>", false),
        ("<bob@isp.example>", false),
        ("<*@isp.example>", false),
        ("<postmaster@isp.example>", true),
        ("<>", true),
        ("<bob@elsewhere.example>", true),
        ("<bob@sub.isp.example>", true),
        ("<bob@[192.0.2.1]>", true),
    ] {
        let heard = mail(&chain, &mut session("198.51.100.9"), from).await;
        assert_eq!(heard == "ok", exists, "{from}: {heard}");
    }
    let mut session = session("198.51.100.9");
    assert_eq!(
        mail(&chain, &mut session, "<bob@isp.example>").await,
        MISSING
    );
    let remarks = &session.trail.entries[0].remarks;
    assert!(remarks[0].contains("does not exist by cdb:"), "{remarks:?}");
}

#[tokio::test]
async fn a_recipient_of_ours_must_exist() {
    let (_dir, source) = cdb(&["ann@isp.example"]);
    let chain = chain("verify_recipient", &source);
    for (to, want) in [
        ("<ann@isp.example>", "ok"),
        (
            "<bob@isp.example>",
            "550 5.1.1 Recipient bob@isp.example does not exist",
        ),
        (
            "<ann+x@isp.example>",
            "550 5.1.1 Recipient ann+x@isp.example does not exist",
        ),
        ("<postmaster>", "ok"),
        ("<Postmaster@isp.example>", "ok"),
        ("<bob@elsewhere.example>", "ok"),
    ] {
        assert_eq!(rcpt(&chain, &mut session("198.51.100.9"), to).await, want);
    }
}

#[tokio::test]
async fn whom_the_operator_exempts_is_left_alone() {
    let (_dir, source) = cdb(&[]);
    let options = format!("{source}exempt = [\"auth\", \"relay_clients\", \"spf\"]");
    let chain = chain("verify_sender", &options);
    let bob = "<bob@isp.example>";
    assert_eq!(
        mail(&chain, &mut session("198.51.100.9"), bob).await,
        MISSING
    );
    let mut user = session("198.51.100.9");
    user.auth = Some("ann".to_owned());
    assert_eq!(mail(&chain, &mut user, bob).await, "ok");
    let mut customer = session("192.0.2.9");
    customer.notes.put(RelayClient);
    assert_eq!(mail(&chain, &mut customer, bob).await, "ok");
    let options = format!("{options}\ndomains = [\"proven.example\", \"isp.example\"]");
    let chain = self::chain("verify_sender", &options);
    let proven = "<bob@proven.example>";
    assert_eq!(
        mail(&chain, &mut session("198.51.100.9"), proven).await,
        "ok"
    );
}

#[tokio::test]
async fn the_operator_s_words_are_used() {
    let (_dir, source) = cdb(&[]);
    let options = format!("{source}refusal = \"553 5.1.8\"\ntext = \"Who is {{address}}?\"");
    let chain = chain("verify_sender", &options);
    let heard = mail(&chain, &mut session("198.51.100.9"), "<bob@isp.example>").await;
    assert_eq!(heard, "553 5.1.8 Who is bob@isp.example?");
}

#[test]
fn wrong_options_name_value_and_way_out() {
    let (_dir, source) = cdb(&[]);
    for (options, said) in [
        (String::new(), "source"),
        ("source = \"nis:users\"".into(), "`nis:users`: no source"),
        ("source = \"cdb:\"".into(), "path is missing"),
        (
            "source = \"cdb:/no/where\"".into(),
            "/no/where: No such file",
        ),
        ("source = \"sqlite:/no/where\"".into(), "needs a query"),
        (
            "source = \"sqlite:/no/where\"\nquery = \"select ?1\"".into(),
            "/no/where: No such file",
        ),
        (
            format!("{source}query = \"select ?1\""),
            "has no use for it",
        ),
        (format!("{source}refusal = \"250 2.0.0\""), "250 2.0.0"),
        (format!("{source}text = \" \""), "needs words"),
        (format!("{source}text = \"see {{link}}\""), "no link"),
        (format!("{source}recipient_delimiter = \"@\""), "`@`"),
        (format!("{source}exempt = [\"dkim\"]"), "`dkim`"),
        (format!("{source}ask_timeout = \"0s\""), "no time at all"),
        (format!("{source}cache_entries = 0"), "nonzero"),
    ] {
        let built = Parts::new(Zone::default()).build("verify_sender", &options);
        let error = built.err().expect(&options).to_string();
        assert!(error.contains(said), "{options}: {error}");
    }
}

/// A directory that a test holds: it has ann, and may be dead or say nothing at all.
#[derive(Default)]
struct Held {
    dead: AtomicBool,
    hangs: AtomicBool,
    asked: AtomicUsize,
}

#[async_trait]
impl Directory for Arc<Held> {
    fn name(&self) -> String {
        "held".to_owned()
    }

    async fn find(&self, question: &Question) -> Result<Found, Dead> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.dead.load(Ordering::SeqCst) {
            return Err(Dead("no route".to_owned()));
        }
        let ann = Question::Address("ann@isp.example".to_owned());
        Ok((*question == ann).into())
    }
}

fn over(held: &Arc<Held>, options: &str) -> Chain {
    let (_dir, source) = cdb(&[]);
    let table: SenderTable = toml::from_str(&format!("{source}{options}")).expect("valid");
    let parts = &mut Parts::new(Zone::default());
    let mut verifier = verifier("verify_sender", table, parts).expect("valid");
    verifier.directory = Box::new(Arc::clone(held));
    let plugin = Arc::new(VerifySender(verifier));
    Chain::new("c", vec![step("verify_sender", plugin)])
}

const LATER: &str = "451 4.4.3 Address cannot be verified now, try again later";

#[tokio::test]
async fn a_dead_directory_defers_or_passes_and_comes_back() {
    let held = Arc::<Held>::default();
    let strict = over(&held, "rest = \"0s\"");
    let lenient = over(&held, "on_dead = \"pass\"\nrest = \"0s\"");
    held.dead.store(true, Ordering::SeqCst);
    for _ in 0..20 {
        let mut client = session("198.51.100.9");
        assert_eq!(mail(&strict, &mut client, "<ann@isp.example>").await, LATER);
        let remarks = &client.trail.entries[0].remarks;
        assert!(remarks[0].contains("no route"), "{remarks:?}");
        let mut client = session("198.51.100.9");
        assert_eq!(mail(&lenient, &mut client, "<bob@isp.example>").await, "ok");
        let remarks = &client.trail.entries[0].remarks;
        assert!(remarks[1].contains("unverified"), "{remarks:?}");
    }
    // Who is not ours needs no directory.
    let mut client = session("198.51.100.9");
    assert_eq!(mail(&strict, &mut client, "<ann@x.example>").await, "ok");
    held.dead.store(false, Ordering::SeqCst);
    assert_eq!(mail(&strict, &mut client, "<ann@isp.example>").await, "ok");
    assert_eq!(
        mail(&lenient, &mut client, "<bob@isp.example>").await,
        MISSING
    );
}

#[tokio::test]
async fn a_directory_that_hangs_costs_no_more_than_its_limit() {
    let held = Arc::<Held>::default();
    held.hangs.store(true, Ordering::SeqCst);
    let chain = over(&held, "ask_timeout = \"1s\"");
    let begun = std::time::Instant::now();
    let mut clients: Vec<_> = (0..50).map(|_| session("198.51.100.9")).collect();
    let all = clients
        .iter_mut()
        .map(|client| mail(&chain, client, "<ann@isp.example>"));
    let heard = futures_util::future::join_all(all).await;
    assert!(heard.iter().all(|heard| heard == LATER), "{heard:?}");
    assert!(begun.elapsed().as_secs_f32() < 4.0, "{:?}", begun.elapsed());
}

#[tokio::test]
async fn answers_are_kept() {
    let held = Arc::<Held>::default();
    let chain = over(&held, "");
    for _ in 0..10 {
        let mut client = session("198.51.100.9");
        assert_eq!(mail(&chain, &mut client, "<ann@isp.example>").await, "ok");
        assert_eq!(
            mail(&chain, &mut client, "<bob@isp.example>").await,
            MISSING
        );
    }
    assert_eq!(held.asked.load(Ordering::SeqCst), 2);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client calls itself, the reply is short lines of printable ASCII with our code.
    #[test]
    fn no_sender_can_break_the_reply(local in "[!-~]{1,200}", quoted in "[ -~]{0,200}") {
        let quoted = quoted.replace(['"', '\\'], "{link}");
        let quoted = format!("\"{}\"", &quoted[..quoted.len().min(250)]);
        let chain = over(&Arc::default(), "");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        for local in [local.as_str(), "{link}", &quoted] {
            let path = format!("<{local}@isp.example>");
            let Ok(from) = posthouse_hook::ReversePath::parse(&path) else { continue };
            let mut tx = transaction("<>", &[], "");
            tx.reverse_path = from;
            let heard = runtime.block_on(chain.mail(&mut session("198.51.100.9"), &mut tx));
            let Err(refusal) = heard else { continue };
            let mut told = Vec::new();
            refusal.into_reply(None).write_to(&mut told);
            let told = String::from_utf8(told).expect("ASCII");
            let lines: Vec<_> = told.split_inclusive("\r\n").collect();
            prop_assert!(lines.len() < 4 && told.contains("does not exist"), "{}", told);
            prop_assert!(lines.iter().all(|l| l.starts_with("550") && l.len() <= 512), "{}", told);
        }
    }
}
