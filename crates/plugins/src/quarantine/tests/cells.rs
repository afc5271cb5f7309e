//! The four cells, the facts that lead to them, and mixed recipients.

use posthouse_hook::Disposition::{self, Discard, Hold, Relay};
use posthouse_hook::{Column, Origin, Row, Spf, Vouched, Why};

use super::{Bench, MESSAGE, STRANGER};
use crate::testing::{ip, session, transaction};

const FILTERED: Disposition = Hold(Why::Spam(Row::Filtered));
const OTHER: Disposition = Hold(Why::Spam(Row::Other));

#[tokio::test]
async fn the_four_cells() {
    for (from, to, code, disposition) in [
        ("<a@pass.example>", "<b@big.example>", 552, FILTERED),
        ("<a@fail.example>", "<b@big.example>", 250, FILTERED),
        ("<a@pass.example>", "<b@any.example>", 552, OTHER),
        ("<a@fail.example>", "<b@any.example>", 250, Relay),
        ("<a@fail.example>", "<b@behind.example>", 250, FILTERED),
        ("<>", "<b@big.example>", 250, FILTERED),
        ("<>", "<b@any.example>", 250, Relay),
    ] {
        let came = Bench::spam().send(from, &[to]).await;
        assert_eq!(came.code(), code, "{from} {to}");
        assert_eq!(came.dispositions(), [disposition], "{from} {to}");
    }
}

#[tokio::test]
async fn mixed_recipients_get_each_their_own() {
    let to = ["<b@any.example>", "<b@big.example>", "<c@any.example>"];
    let silent = Bench::spam().send("<a@fail.example>", &to).await;
    assert_eq!(silent.code(), 250);
    assert_eq!(silent.dispositions(), [Relay, FILTERED, Relay]);
    let refused = Bench::spam().send("<a@pass.example>", &to).await;
    assert_eq!(refused.code(), 552);
    assert_eq!(refused.dispositions(), [OTHER, FILTERED, OTHER]);
}

#[tokio::test]
async fn what_an_earlier_plugin_disposed_of_stays() {
    let mut tx = transaction("<a@fail.example>", &["<b@big.example>"], MESSAGE);
    tx.recipients[0].disposition = Discard;
    let came = Bench::spam().run(session(STRANGER), tx).await;
    assert_eq!(came.dispositions(), [Discard]);
}

#[tokio::test]
async fn ours_is_vouched_for_unless_forged() {
    let to = ["<b@big.example>"];
    let ours = || transaction("<a@isp.example>", &to, MESSAGE);
    let forged = Bench::spam().run(session(STRANGER), ours()).await;
    assert_eq!(forged.judgement().column, Column::NotVouched);
    assert_eq!(forged.judgement().spf, Spf::Fail);
    let mut authenticated = session(STRANGER);
    authenticated.auth = Some("ann".to_owned());
    let came = Bench::spam().run(authenticated, ours()).await;
    let want = Column::Vouched(Vouched::OursAuthenticated);
    assert_eq!(came.judgement().column, want);
    assert_eq!(came.code(), 552);
}

#[tokio::test]
async fn spf_is_judged_where_the_message_entered() {
    let forwarded = format!(
        "Received: from m.pass.example (m.pass.example [{STRANGER}])\n\
         \tby mx.isp.example (Postfix) with ESMTP id 1; d\n{MESSAGE}"
    );
    let tx = transaction("<a@pass.example>", &["<b@any.example>"], &forwarded);
    let came = Bench::spam().run(session("192.0.2.10"), tx).await;
    assert_eq!(came.judgement().origin, Origin::Address(ip(STRANGER)));
    assert_eq!(came.judgement().column, Column::Vouched(Vouched::Spf));
    assert!(
        came.remarks().contains("Received field 1"),
        "{}",
        came.remarks()
    );
    // A customer's PC may relay, but its Received fields are hearsay.
    let tx = transaction("<a@pass.example>", &["<b@any.example>"], &forwarded);
    let came = Bench::spam().run(session("192.0.2.77"), tx).await;
    assert_eq!(came.judgement().origin, Origin::Address(ip("192.0.2.77")));
    assert_eq!(came.judgement().spf, Spf::Fail);
}

#[tokio::test]
async fn without_an_origin_there_is_no_spf() {
    let message = format!("Received: by something new; d\n{MESSAGE}");
    let tx = transaction("<a@pass.example>", &["<b@big.example>"], &message);
    let came = Bench::spam().run(session("192.0.2.10"), tx).await;
    assert_eq!(came.judgement().origin, Origin::Unknown);
    assert_eq!(came.judgement().spf, Spf::None);
    assert_eq!(came.judgement().column, Column::NotVouched);
}

#[tokio::test]
async fn an_srs_sender_is_judged_by_what_it_wraps() {
    let wrapped = "<SRS0=hash=tt=pass.example=ann@isp.example>";
    let came = Bench::spam().send(wrapped, &["<b@any.example>"]).await;
    assert_eq!(came.judgement().sender.address(), "ann@pass.example");
    assert_eq!(came.judgement().column, Column::Vouched(Vouched::Spf));
}

#[tokio::test]
async fn our_servers_trace_does_not_change_the_identity() {
    let mut identities = Vec::new();
    for id in ["1", "23"] {
        let message = format!(
            "Received: from m (m [{STRANGER}]) by mx.isp.example (Postfix) with ESMTP id {id}; d\n{MESSAGE}"
        );
        let tx = transaction("<a@pass.example>", &["<b@big.example>"], &message);
        let came = Bench::spam().run(session("192.0.2.10"), tx).await;
        identities.push(came.judgement().identity);
    }
    assert!(identities[0].is_some());
    assert_eq!(identities[0], identities[1]);
    let direct = Bench::spam()
        .send("<a@pass.example>", &["<b@big.example>"])
        .await;
    assert_eq!(direct.judgement().identity, identities[0]);
}

#[tokio::test]
async fn the_trail_says_why() {
    let came = Bench::spam()
        .send("<a@fail.example>", &["<b@big.example>", "<c@any.example>"])
        .await;
    let remarks = came.remarks();
    for said in [
        "origin 198.51.100.7: the client, which is not one of our_servers",
        "SPF of <a@fail.example> there: fail",
        "not vouched for: SPF at the origin is fail",
        "rows: 1 filtered, 1 other",
        "spam",
        "<b@big.example> filtered: hold, accept, letter",
        "<c@any.example> other: let through, accept, no letter",
    ] {
        assert!(
            remarks.lines().any(|line| line == said),
            "{said}\nnot in\n{remarks}"
        );
    }
    let scan = &came.session.trail.entries[0].aside.entries;
    assert_eq!(
        scan.len(),
        1,
        "the scan's trail hangs under the quarantine's"
    );
}
