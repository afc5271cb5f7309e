//! When a scan runs, and what its answer, or the want of one, comes to.

use posthouse_hook::{Disposition, Row, Scanned, Why};

use super::Bench;
use crate::testing::Scanner;

fn down() -> Scanned {
    Scanned::Unscanned("down".to_owned())
}

#[tokio::test]
async fn clean_mail_goes_on_and_leaves_its_facts() {
    for from in ["<a@pass.example>", "<a@fail.example>"] {
        let came = Bench::says(Scanned::Clean)
            .send(from, &["<b@big.example>"])
            .await;
        assert!(came.relays_all(), "{from}");
        assert!(!came.judgement().spam);
        assert_eq!(came.judgement().identity, None);
        assert_eq!(came.judgement().scans.0.len(), 1);
    }
}

#[tokio::test]
async fn only_what_a_cell_could_act_on_is_scanned() {
    for (option, from, to, scans) in [
        ("", "<a@fail.example>", "<b@any.example>", 0),
        ("", "<a@pass.example>", "<b@any.example>", 1),
        ("", "<a@fail.example>", "<b@big.example>", 1),
        (
            "scan_vouched = false",
            "<a@pass.example>",
            "<b@any.example>",
            0,
        ),
        (
            "scan_vouched = false",
            "<a@pass.example>",
            "<b@big.example>",
            1,
        ),
        (
            "scan_when = \"all\"",
            "<a@fail.example>",
            "<b@any.example>",
            1,
        ),
        ("scan_one_in = 1", "<a@fail.example>", "<b@any.example>", 1),
        (
            "scan_senders = [\"fail.example\"]",
            "<a@fail.example>",
            "<b@any.example>",
            1,
        ),
        (
            "scan_senders = [\"b@fail.example\"]",
            "<a@fail.example>",
            "<b@any.example>",
            0,
        ),
    ] {
        let mut bench = Bench::spam().with(option);
        let came = bench.send(from, &[to]).await;
        assert_eq!(bench.scanner.asked(), scans, "{option} {from} {to}");
        assert_eq!(came.judgement().spam, scans == 1);
    }
}

#[tokio::test]
async fn one_in_n_is_about_one_in_n_and_the_same_at_each_try() {
    let mut bench = Bench::spam().with("scan_one_in = 4");
    let mut scanned = Vec::new();
    for n in 0..200 {
        let from = format!("<a{}@fail.example>", n % 100);
        let before = bench.scanner.asked();
        bench.send(&from, &["<b@any.example>"]).await;
        scanned.push(bench.scanner.asked() - before);
    }
    let (first, second) = scanned.split_at(100);
    assert_eq!(first, second);
    let count: usize = first.iter().sum();
    assert!((10..45).contains(&count), "{count} of 100");
}

#[tokio::test]
async fn what_was_not_scanned_follows_the_option() {
    let to = ["<b@big.example>"];
    let passed = Bench::says(down()).send("<a@fail.example>", &to).await;
    assert!(passed.relays_all() && !passed.judgement().spam);
    assert!(
        passed
            .remarks()
            .contains("relayed unscanned: scanner: down")
    );

    let mut holds = Bench::says(down()).with("unscanned = \"hold\"");
    let held = holds.send("<a@fail.example>", &to).await;
    let want = [Disposition::Hold(Why::Unscanned(Row::Filtered))];
    assert_eq!(
        (held.code(), held.dispositions().as_slice()),
        (250, &want[..])
    );
    let refused = holds.send("<a@pass.example>", &to).await;
    assert_eq!(refused.code(), 552);
    assert!(refused.verdict.to_string().contains("could not be scanned"));

    let mut defers = Bench::says(down()).with("unscanned = \"defer\"");
    let deferred = defers.send("<a@fail.example>", &to).await;
    assert_eq!(deferred.code(), 451);
    assert_eq!(deferred.dispositions(), [Disposition::Relay]);
}

#[tokio::test]
async fn a_scan_that_did_not_matter_cannot_defer() {
    let mut bench = Bench::says(down()).with("unscanned = \"defer\"\nscan_when = \"all\"");
    let came = bench.send("<a@fail.example>", &["<b@any.example>"]).await;
    assert!(came.relays_all());
}

#[tokio::test]
async fn a_broken_scanner_means_451() {
    let mut bench = Bench::new(Scanner::broken());
    let came = bench.send("<a@pass.example>", &["<b@big.example>"]).await;
    assert_eq!(came.code(), 451);
    assert_eq!(came.dispositions(), [Disposition::Relay]);
}

#[tokio::test]
async fn spam_waits_for_a_row_that_dns_does_not_tell() {
    let to = ["<b@down.example>", "<b@any.example>"];
    let came = Bench::spam().send("<a@fail.example>", &to).await;
    assert_eq!(came.code(), 451);
    assert!(
        came.remarks().contains("MX of down.example"),
        "{}",
        came.remarks()
    );
    let clean = Bench::says(Scanned::Clean)
        .send("<a@fail.example>", &to)
        .await;
    assert!(clean.relays_all());
}
