//! What RFC 7208's own suite (tests/e2e/rfc7208.rs) does not try, and the plain cases.

use posthouse_hook::Spf;

use super::check;
use crate::testing::{Zone, ip};

async fn result(zone: &Zone, sender: &str) -> Spf {
    check(zone, ip("192.0.2.1"), "client.example", sender).await
}

proptest::proptest! {
    /// A record of any terms is survived, and evaluated to an end.
    #[test]
    fn any_record_has_a_result(
        terms in "( |[-+~?]?(all|a|mx|ptr|ip4|ip6|include|exists|redirect=|exp=|x=)|[:/.%{}]|%\\{[slodiphvcrt][0-9]{0,3}r?[-.+]?\\}|x\\.example|192\\.0\\.2\\.1|[0-9]{1,3}|é){0,30}"
    ) {
        let zone = Zone::default().txt("x.example", &format!("v=spf1 {terms}"));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        runtime.expect("a runtime").block_on(result(&zone, "a@x.example"));
    }
}

#[tokio::test]
async fn the_plain_cases() {
    let zone = Zone::default()
        .txt("pass.example", "v=spf1 ip4:192.0.2.0/24 -all")
        .txt("fail.example", "v=spf1 -all")
        .txt("soft.example", "v=spf1 ~all")
        .txt("twice.example", "v=spf1 +all")
        .txt("twice.example", "v=spf1 -all")
        .txt("broken.example", "v=spf1 ip4:192.0.2.300 +all")
        .failing("down.example");
    for (sender, want) in [
        ("a@pass.example", Spf::Pass),
        ("a@fail.example", Spf::Fail),
        ("a@soft.example", Spf::SoftFail),
        ("a@twice.example", Spf::PermError),
        ("a@broken.example", Spf::PermError),
        ("a@down.example", Spf::TempError),
        ("a@none.example", Spf::None),
        ("a@[192.0.2.1]", Spf::None),
    ] {
        assert_eq!(result(&zone, sender).await, want, "{sender}");
    }
}

#[tokio::test]
async fn the_null_reverse_path_is_judged_by_helo() {
    let zone = Zone::default().txt("client.example", "v=spf1 ip4:192.0.2.1 -all");
    assert_eq!(result(&zone, "").await, Spf::Pass);
    let elsewhere = check(&zone, ip("192.0.2.9"), "client.example", "").await;
    assert_eq!(elsewhere, Spf::Fail);
}

/// The inner record's qualifier decides only whether the include matches; the outer one's counts.
#[tokio::test]
async fn nested_includes_keep_the_outer_qualifier() {
    let zone = Zone::default()
        .txt("outer.example", "v=spf1 ~include:middle.example -all")
        .txt("middle.example", "v=spf1 include:inner.example -all")
        .txt("inner.example", "v=spf1 +all")
        .txt("doubt.example", "v=spf1 include:neutral.example -all")
        .txt("neutral.example", "v=spf1 ?include:inner.example");
    assert_eq!(result(&zone, "a@outer.example").await, Spf::SoftFail);
    assert_eq!(result(&zone, "a@doubt.example").await, Spf::Fail);
}

#[tokio::test]
async fn a_record_that_includes_itself_ends() {
    let zone = Zone::default()
        .txt("loop.example", "v=spf1 include:loop.example -all")
        .txt("round.example", "v=spf1 redirect=round.example");
    assert_eq!(result(&zone, "a@loop.example").await, Spf::PermError);
    assert_eq!(result(&zone, "a@round.example").await, Spf::PermError);
}

#[tokio::test]
async fn pointers_must_point_back() {
    let zone = Zone::default()
        .txt("x.example", "v=spf1 ptr -all")
        .pointer("192.0.2.1", "liar.x.example");
    assert_eq!(result(&zone, "a@x.example").await, Spf::Fail);
    let zone = zone.address("liar.x.example", "192.0.2.1");
    assert_eq!(result(&zone, "a@x.example").await, Spf::Pass);
}

#[tokio::test]
async fn a_mapped_address_is_the_one_it_maps() {
    let zone = Zone::default().txt("x.example", "v=spf1 ip4:192.0.2.1 -all");
    let mapped = check(&zone, ip("::ffff:192.0.2.1"), "h.example", "a@x.example").await;
    assert_eq!(mapped, Spf::Pass);
}
