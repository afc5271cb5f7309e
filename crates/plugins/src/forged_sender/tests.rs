//! The plugin in a chain: who is refused, held, discarded, noted, spared.

use posthouse_hook::facts::Spf;
use posthouse_hook::proofs::{
    DkimFound, DkimSignature, ForgedFound, RelayClient, ReverseName, SpfFound, Verified,
};
use posthouse_hook::{Chain, Refusal};

use super::*;
use crate::testing::{Parts, Zone, session, step, transaction};

const LIST: &str = "list = [\"bank.example\", \"ceo@corp.example hold\", \"drop.example discard Gone\", \
                    \"note.example note\", \"said.example reject Not you, {address}\"]\n";

struct Bench {
    chain: Chain,
    session: Session,
    tx: Transaction,
}

impl Bench {
    fn new(options: &str, from: &str, header: &str) -> Self {
        Self::with(Zone::default(), options, from, header)
    }

    fn with(zone: Zone, options: &str, from: &str, header: &str) -> Self {
        let options = format!("{LIST}{options}");
        let plugin = Parts::new(zone).build("forged_sender", &options);
        let message = format!("{header}\n\nbody\n");
        Self {
            chain: Chain::new("c", vec![step("forged_sender", plugin.expect("valid"))]),
            session: session("198.51.100.7"),
            tx: transaction(from, &["<b@isp.example>", "<c@isp.example>"], &message),
        }
    }

    async fn run(&mut self) -> Result<(), Refusal> {
        let Self { chain, session, tx } = self;
        chain.mail(session, tx).await?;
        chain.headers(session, tx).await?;
        match chain.data(session, tx).await {
            Verdict::Refuse(refusal) => Err(refusal),
            _ => Ok(()),
        }
    }

    async fn said(&mut self) -> String {
        let said = self.run().await;
        said.map_or_else(|refusal| refusal.to_string(), |()| "250".to_owned())
    }

    fn found(&self) -> Vec<String> {
        let ForgedFound(found) = self.tx.notes.get().cloned().unwrap_or_default();
        let line = |f: &posthouse_hook::proofs::Forged| {
            let spared = f.spared.as_ref().map(|why| format!(" but {why}"));
            format!(
                "{} {} {}{}",
                f.field,
                f.address,
                f.action,
                spared.unwrap_or_default()
            )
        };
        found.iter().map(line).collect()
    }

    fn dispositions(&self) -> Vec<Disposition> {
        self.tx.dispositions().collect()
    }
}

const HONEST: &str = "From: x@honest.example";

#[tokio::test]
async fn each_action_does_its_own() {
    let held = Disposition::Hold(Why::Policy);
    for (from, header, said, disposition) in [
        (
            "<x@bank.example>",
            HONEST,
            "550 5.7.1 x@bank.example may not be used",
            Disposition::Relay,
        ),
        (
            "<x@honest.example>",
            "From: a@x, B <b@BANK.example>",
            "550 5.7.1 b@bank.example may",
            Disposition::Relay,
        ),
        ("<ceo@corp.example>", HONEST, "250", held),
        ("<x@honest.example>", "From: ceo@corp.example", "250", held),
        ("<x@drop.example>", HONEST, "250", Disposition::Discard),
        ("<x@note.example>", HONEST, "250", Disposition::Relay),
        (
            "<x@said.example>",
            HONEST,
            "550 5.7.1 Not you, x@said.example",
            Disposition::Relay,
        ),
        ("<x@honest.example>", HONEST, "250", Disposition::Relay),
        (
            "<>",
            "From: x@honest.example\nSender: x@bank.example",
            "250",
            Disposition::Relay,
        ),
        (
            "<>",
            "From: x@drop.example\nFrom: ceo@corp.example",
            "250",
            held,
        ),
        (
            "<>",
            "From: ceo@corp.example, x@bank.example",
            "550",
            Disposition::Relay,
        ),
    ] {
        let mut bench = Bench::new("", from, header);
        let heard = bench.said().await;
        assert!(heard.starts_with(said), "{from} {header}: {heard}");
        assert_eq!(bench.dispositions(), [disposition; 2], "{from} {header}");
        let honest = heard == "250" && disposition == Disposition::Relay && !from.contains("note");
        assert_eq!(bench.found().is_empty(), honest, "{from} {header}");
    }
}

#[tokio::test]
async fn the_code_and_the_fields_can_be_chosen() {
    let options =
        "code = \"553 5.7.1\"\nlook_at = [\"sender\", \"reply-to\"]\ntext = \"no {address}\"";
    let mut bench = Bench::new(options, "<x@bank.example>", "From: x@bank.example");
    assert_eq!(bench.said().await, "250");
    let mut bench = Bench::new(options, "<>", "Reply-To: x@bank.example");
    assert_eq!(bench.said().await, "553 5.7.1 no x@bank.example");
    let mut bench = Bench::new("action = \"note\"", "<>", "From: x@bank.example");
    assert_eq!(
        (bench.said().await, bench.found().len()),
        ("250".to_owned(), 1)
    );
}

#[tokio::test]
async fn known_clients_are_spared() {
    let forged = || Bench::new("", "<x@bank.example>", HONEST);
    let mut bench = forged();
    bench.session.auth = Some("ann".to_owned());
    assert_eq!(bench.said().await, "250");
    assert_eq!(bench.found(), ["envelope x@bank.example reject but auth"]);
    let mut bench = forged();
    bench.session.notes.put(RelayClient);
    assert_eq!(bench.said().await, "250");
}

fn signed(domain: &str, result: Verified) -> DkimFound {
    let domain = Domain::parse(domain).expect("a domain");
    let selector = "s".to_owned();
    DkimFound(vec![DkimSignature {
        result,
        domain,
        selector,
    }])
}

#[tokio::test]
async fn a_proof_spares_the_domain_that_it_proves_and_no_other() {
    let options = "exempt = [\"spf\", \"dkim\"]";
    for (domain, result, taken) in [
        ("bank.example", Verified::Pass, true),
        ("bank.example", Verified::Fail, false),
        ("evil.example", Verified::Pass, false),
    ] {
        let mut bench = Bench::new(options, "<x@bank.example>", "From: ceo@bank.example");
        bench.tx.notes.put(signed(domain, result));
        assert_eq!(bench.run().await.is_ok(), taken, "{domain} {result}");
    }
    let mut bench = Bench::new(options, "<x@bank.example>", "From: x@bank.example");
    bench.tx.notes.put(SpfFound {
        result: Spf::Pass,
        domain: Domain::parse("bank.example").ok(),
        of_helo: false,
    });
    assert_eq!(bench.said().await, "250");
    // Two senders, of whom one is proved.
    let mut bench = Bench::new(options, "<>", "From: x@bank.example, x@said.example");
    bench.tx.notes.put(signed("bank.example", Verified::Pass));
    assert_eq!(bench.said().await, "550 5.7.1 Not you, x@said.example");
}

#[tokio::test]
async fn what_waits_for_a_proof_is_refused_without_one() {
    for exempt in ["dkim", "dmarc", "spf"] {
        let options = format!("exempt = [\"{exempt}\"]");
        let mut bench = Bench::new(&options, "<x@bank.example>", HONEST);
        let Bench { chain, session, tx } = &mut bench;
        let why = "not before the proof can be there";
        assert!(chain.mail(session, tx).await.is_ok(), "{why}");
        let early = chain.headers(session, tx).await.is_ok();
        assert_eq!(early, exempt != "spf", "{why}");
        assert!(
            bench.said().await.starts_with("550 5.7.1 x@bank.example"),
            "{exempt}"
        );
    }
}

#[tokio::test]
async fn rules_say_which_clients_are_looked_at() {
    let options = "clients = [\"198.51.100.:deny,action=hold\", \"=.partner.example:allow\", \":deny,text=\\\"Go away\\\"\"]";
    let zone = || {
        let zone = Zone::default().pointer("203.0.113.5", "mx.partner.example");
        let zone = zone.address("mx.partner.example", "203.0.113.5");
        let zone = zone.pointer("203.0.113.6", "mx.partner.example");
        zone.pointer("203.0.113.7", "gone.partner.example")
            .failing("gone.partner.example")
    };
    for (client, want) in [
        ("198.51.100.7", "250"),
        ("203.0.113.5", "250"),
        ("203.0.113.6", "550 5.7.1 Go away"),
        ("203.0.113.7", "451 4.3.0"),
        ("203.0.113.8", "550 5.7.1 Go away"),
    ] {
        let mut bench = Bench::with(zone(), options, "<>", "From: x@bank.example");
        bench.session = session(client);
        let said = bench.said().await;
        assert!(said.starts_with(want), "{client}: {said}");
        let held = client == "198.51.100.7";
        assert_eq!(
            bench.dispositions()[0] != Disposition::Relay,
            held,
            "{client}"
        );
        assert!(bench.session.notes.get::<ReverseName>().is_some() || held);
    }
}

#[tokio::test]
async fn our_own_domains_can_be_the_list() {
    let mut parts = Parts::new(Zone::default());
    let plugin = parts
        .build("forged_sender", "list = \"our_domains\"")
        .expect("valid");
    let chain = Chain::new("c", vec![step("f", plugin)]);
    for (from, taken) in [("ann@isp.example", false), ("ann@isp.example.net", true)] {
        let mut tx = transaction("<>", &["<b@isp.example>"], &format!("From: {from}\n\n"));
        let mut session = session("198.51.100.7");
        assert_eq!(
            chain.headers(&mut session, &mut tx).await.is_ok(),
            taken,
            "{from}"
        );
    }
}

#[tokio::test]
async fn hostile_headers_are_bounded_and_count_as_forged() {
    let endless = |line: &str, times| format!("From: {}", line.repeat(times));
    for (header, taken) in [
        ("From: a@honest.example\n".repeat(20_000), false),
        ("X-Junk: a@honest.example\n".repeat(20_000), true),
        (endless("a@b.example,", (2 << 20) / 12), false),
        (endless("x", 2 << 20), false),
        (format!("Subject: {}", "x".repeat(2 << 20)), true),
    ] {
        let begun = std::time::Instant::now();
        let mut bench = Bench::new("", "<>", header.trim_end());
        let said = bench.said().await;
        assert_eq!(said == "250", taken, "{}: {said}", &header[..40]);
        assert!(begun.elapsed().as_secs() < 20, "{:?}", begun.elapsed());
        assert!(bench.found().len() <= 20);
    }
}

#[tokio::test]
async fn of_many_findings_the_strictest_is_kept() {
    let many: String = (0..100).map(|n| format!("a{n}@note.example, ")).collect();
    for last in [
        "ceo@corp.example, x@said.example",
        "x@said.example, ceo@corp.example",
    ] {
        let mut bench = Bench::new("", "<>", &format!("From: {many}{last}"));
        assert!(
            bench.said().await.starts_with("550 5.7.1 Not you"),
            "{last}"
        );
        assert_eq!(bench.found().len(), 20);
    }
}

#[tokio::test]
async fn a_reply_shows_of_an_address_what_fits() {
    let local = format!("{{link}}{}", "x".repeat(180));
    let mut bench = Bench::new("", &format!("<{local}@bank.example>"), HONEST);
    let said = bench.said().await;
    assert!(
        said.starts_with("550 5.7.1 ?link?xxx") && said.len() < 200,
        "{said}"
    );
}

#[test]
fn bad_options_name_themselves() {
    for (options, want) in [
        ("list = []", "nothing in it"),
        ("list = \"exa mple\"", "`mple` is no action"),
        (
            "list = \"a.example\"\ncode = \"250 2.0.0\"",
            "code = `250 2.0.0`",
        ),
        ("list = \"a.example\"\ntext = \" \"", "text = ` `"),
        ("list = \"a.example\"\naction = \"drop\"", "drop"),
        ("list = \"a.example\"\nclients = \"10.0.0.1\"", "is no rule"),
        (
            "list = \"file:/nowhere/list\"",
            "/nowhere/list: No such file",
        ),
    ] {
        let built = Parts::new(Zone::default()).build("forged_sender", options);
        let error = built.err().expect("refused").to_string();
        assert!(error.contains(want), "{error}");
    }
}

#[tokio::test]
async fn a_list_is_swapped_whole_when_it_changes() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("list");
    std::fs::write(&file, "a.example\n").expect("written");
    let mut parts = Parts::new(Zone::default());
    let options = format!("list = \"file:{}\"", file.display());
    let plugin = parts.build("forged_sender", &options).expect("valid");
    let chain = Chain::new("c", vec![step("f", plugin)]);
    let forged = async |domain: &str| {
        let mut tx = transaction(&format!("<x@{domain}>"), &["<b@isp.example>"], "\n");
        chain
            .mail(&mut session("198.51.100.7"), &mut tx)
            .await
            .is_err()
    };
    assert!(forged("a.example").await && !forged("b.example").await);
    let (list, sources) = &mut parts.kept[0];
    for (text, a, b) in [
        ("b.example\n\nbroken line\n", true, false),
        ("b.example\n", false, true),
    ] {
        std::fs::write(&file, text).expect("written");
        assert!(sources.changed());
        sources.clear();
        assert_eq!(list.renew(sources).is_ok(), b);
        assert_eq!(
            (forged("a.example").await, forged("b.example").await),
            (a, b),
            "{text}"
        );
    }
}
