//! Options that cannot be used: each error names the value and the way out.

use posthouse_hook::{Id, LinkKey, LinkKind};

use super::{Bench, OPTIONS, zone};
use crate::options::BuildError;
use crate::testing::{Parts, Scanner};

fn error(parts: &mut Parts, options: &str) -> BuildError {
    match parts.build("quarantine", options) {
        Ok(_) => panic!("{options} was accepted"),
        Err(error) => error,
    }
}

fn parts() -> Parts {
    Parts::new(zone()).chain("spam", Scanner::broken())
}

#[test]
fn bad_values_name_themselves() {
    for (option, said) in [
        ("refusal = \"250 2.0.0\"", "250 2.0.0"),
        ("refusal = \"452 4.2.2\"", "the client comes again"),
        ("refusal = \"no\"", "such as 552 5.7.1"),
        ("scan_when = \"never\"", "never"),
        ("scan_one_in = 0", "0"),
        ("spam_when = \"most\"", "most"),
        ("unscanned = \"drop\"", "drop"),
        ("scan_senders = [\"a@b@c\"]", "a@b@c"),
        ("surprise = 1", "surprise"),
    ] {
        let options = format!("{OPTIONS}\n{option}");
        let error = error(&mut parts(), &options);
        assert!(error.to_string().contains(said), "{option}: {error}");
        let span = error.span().unwrap_or_default();
        assert!(span.start >= OPTIONS.len(), "{option}: {span:?}");
    }
}

#[test]
fn the_scan_must_exist_and_only_measure() {
    let error_of = |options| error(&mut parts(), options).to_string();
    assert!(error_of("scan = \"ham\"").contains("no chain of that name"));
    assert!(error_of("").contains("scan"));
    let mut acts = parts();
    let clients = acts.build("relay_clients", "").expect("valid");
    let mut acts = acts.chain("acts", clients);
    let said = error(&mut acts, "scan = \"acts\"").to_string();
    assert!(said.contains("its plugin `acts` acts"), "{said}");
}

#[test]
fn an_operators_template_is_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    std::fs::create_dir(dir.path().join("mail")).expect("a directory");
    let mut parts = parts();
    parts.common.templates = Some(dir.path().to_owned());
    assert!(
        parts.build("quarantine", OPTIONS).is_ok(),
        "built-in texts stand in"
    );
    let file = dir.path().join("mail/refusal.txt");
    std::fs::write(&file, "Held. Ask us.\n").expect("written");
    assert!(
        error(&mut parts, OPTIONS)
            .to_string()
            .contains("no line has {link}")
    );
    std::fs::write(&file, format!("{} {{link}}\n", "x".repeat(450))).expect("written");
    assert!(
        error(&mut parts, OPTIONS)
            .to_string()
            .contains("mail/refusal.txt")
    );
    std::fs::write(&file, [0xff, 0xfe]).expect("written");
    assert!(error(&mut parts, OPTIONS).to_string().contains("UTF-8"));
}

#[tokio::test]
async fn the_refusal_holds_the_link_whole_on_one_line() {
    let mut bench = Bench::spam().with("refusal = \"552 5.2.1\"");
    let came = bench.send("<a@pass.example>", &["<b@big.example>"]).await;
    let posthouse_hook::Verdict::Refuse(refusal) = came.verdict else {
        panic!("refused");
    };
    let key = LinkKey::new([7; 32], "https://out.isp.example");
    let link = key.mint(LinkKind::Item, Id(1), "a@pass.example", 0);
    let mut wire = Vec::new();
    refusal.into_reply(Some(&link)).write_to(&mut wire);
    let text = String::from_utf8(wire).expect("ASCII");
    assert!(text.contains("probably spam"), "{text}");
    assert!(
        text.lines()
            .any(|line| line == format!("552 5.2.1 {}", link.reveal())),
        "{text}"
    );
}
