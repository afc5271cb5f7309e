//! Samples of spam that is not held: one in N, the same message always the same way, apart from the
//! quarantine, listed and exported.

use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::next_hop::NextHop;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::smtp::Smtp;
use posthouse_tests::wait;
use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(30);
const GTUBE: &str = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

fn mail(n: usize, sign: &str, lines: usize) -> Vec<u8> {
    let filling = "and so on and on and on, as such mail does.\r\n".repeat(lines);
    format!("Subject: {n}\r\n\r\n{sign}{filling}").into_bytes()
}

fn house(one_in: usize, hop: &NextHop) -> (Posthouse, Dns) {
    let dns = Dns::start("");
    let outbound = Outbound::new(hop.addr(), dns.addr());
    let options = format!("scan_when = \"all\"\nkeep_one_in = {one_in}\nfiltered_domains");
    let config = outbound.toml().replacen("filtered_domains", &options, 1);
    (Posthouse::start(config_dir(), &config, outbound.smtp), dns)
}

/// Strangers' mail to a domain that is not filtered: let through, spam or not.
fn send(house: &Posthouse, octets: &[u8]) {
    let mut client = Smtp::hello(house.addr).expect("greets");
    let heard = client.send("eve@strange.test", &["bob@far.test"], octets);
    assert_eq!(heard.expect("answers").code, 250);
}

fn json(house: &Posthouse, args: &[&str]) -> Vec<Value> {
    serde_json::from_str(&run(command(&house.config()).args(args))).expect("JSON")
}

#[test]
fn one_in_one_keeps_the_beginning_of_all_spam_and_nothing_else() {
    let hop = NextHop::start(0, |_| {}).expect("listens");
    let (house, _dns) = house(1, &hop);
    let long = mail(1, GTUBE, 5000);
    for octets in [&long, &mail(2, GTUBE, 1), &mail(3, "", 1)] {
        send(&house, octets);
    }
    let samples = wait::until("two samples", LIMIT, || {
        let samples = json(&house, &["held", "samples", "--json"]);
        (samples.len() == 2).then_some(samples)
    });
    assert_eq!(samples[1]["size"], long.len());
    assert_eq!(
        (&samples[1]["kept"], &samples[1]["sender"]),
        (&131_072.into(), &"eve@strange.test".into())
    );
    assert_eq!(samples[1]["judgement"]["spam"], true);
    let id = samples[1]["id"].as_str().expect("an id");
    let beginning = run(command(&house.config()).args(["held", "samples", "--export", id]));
    assert_eq!(beginning.as_bytes(), &long[..131_072]);
    let status = &json(&house, &["status", "--json"])[0];
    assert_eq!(
        (&status["spam_not_held"], &status["sample_octets"]),
        (&2.into(), &(131_072 + mail(2, GTUBE, 1).len()).into())
    );
    assert_eq!(
        json(&house, &["held", "list", "--json"]).len(),
        0,
        "it is no quarantine"
    );
    run(command(&house.config()).args(["held", "erase", "eve@strange.test", "--yes"]));
    assert_eq!(json(&house, &["held", "samples", "--json"]).len(), 0);
}

#[test]
fn one_in_many_falls_the_same_way_each_time() {
    let hop = NextHop::start(0, |_| {}).expect("listens");
    let (house, _dns) = house(4, &hop);
    for n in (0..60).chain(0..60) {
        send(&house, &mail(n, GTUBE, 1));
    }
    wait::until("all to be counted", LIMIT, || {
        (json(&house, &["status", "--json"])[0]["spam_not_held"] == 120).then_some(())
    });
    let kept = wait::until("samples", LIMIT, || {
        let samples = json(&house, &["held", "samples", "--json", "--limit", "1000"]);
        (samples.len() >= 10 && samples.len().is_multiple_of(2)).then_some(samples.len())
    });
    assert!(kept < 60, "{kept} of 120");
}
