//! No link's secret in log, trail or `--json`: a server logs all it can while links are made,
//! opened and used, and then everything that it wrote is searched.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use posthouse_tests::dns::Dns;
use posthouse_tests::posthouse::{Outbound, Posthouse, command, config_dir};
use posthouse_tests::proc::run;
use posthouse_tests::sink::{Script, Sink};
use posthouse_tests::smtp::Smtp;

const SPAM: &[u8] =
    b"Subject: x\r\n\r\nXJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n";

/// Characters of a secret: a token less its id.
const SECRET: usize = 26;

#[test]
fn no_secret_is_written_anywhere() {
    let (dns, sink) = (Dns::start(""), Sink::start(Script::friendly()));
    let mut outbound = Outbound::new(sink.addr(), dns.addr());
    outbound.more = "[log]\nformat = \"json\"\nfilter = \"trace\"".to_owned();
    let config = outbound
        .toml()
        .replace("[letters]\n", "[letters]\ncheck = \"1s\"\n");
    let server = Posthouse::start(config_dir(), &config, outbound.smtp);

    let mut client = Smtp::hello(server.addr).expect("greets");
    let heard = client
        .send("a@ours.test", &["b@filtered.test"], SPAM)
        .expect("answers");
    let letter = sink.wait_for(1)[0].message.clone();
    let letter = String::from_utf8_lossy(&letter).replace("=\r\n", "");
    let mut links = links_in(&heard.text);
    links.extend(links_in(&letter));
    assert_eq!(links.len(), 3, "item, address and stop: {links:?}");
    for link in &links {
        assert!(
            get(outbound.web, link).starts_with("HTTP/1.1 200"),
            "{link}"
        );
        let forged = format!("{link}x");
        assert!(
            get(outbound.web, &forged).starts_with("HTTP/1.1 404"),
            "{forged}"
        );
    }

    let id = "held list --json".split(' ');
    let listed = run(command(&server.config()).args(id));
    let items: serde_json::Value = serde_json::from_str(&listed).expect("JSON");
    let id = items[0]["id"].as_str().expect("an id").to_owned();
    let shown = run(command(&server.config()).args(["held", "show", &id, "--json"]));
    let text = run(command(&server.config()).args(["held", "show", &id]));
    let log = server.proc.log();
    assert!(
        log.contains("/i/"),
        "visits are logged, without their token"
    );
    for link in &links {
        let secret = &link[link.len() - SECRET..];
        for (what, written) in [
            ("log", &log),
            ("list", &listed),
            ("show", &shown),
            ("text", &text),
        ] {
            assert!(!written.contains(secret), "{link} is in the {what}");
        }
    }
}

/// A next hop may quote a link of ours: some refuse a letter for the URL in it.
#[test]
fn a_link_in_a_next_hop_s_words_is_not_written_either() {
    let dns = Dns::start("");
    let quote = "https://out.test/a/avgv5upsiaaadutc75nginh46ywbfzek445ppmi";
    let refusal = format!("554 5.7.1 listed URL {quote}");
    let sink = Sink::start(Script::friendly().on(".", &refusal));
    let outbound = Outbound::new(sink.addr(), dns.addr());
    let server = Posthouse::start(config_dir(), &outbound.toml(), outbound.smtp);
    let mut client = Smtp::hello(server.addr).expect("greets");
    let clean = b"Subject: hi\r\n\r\nhello\r\n";
    let heard = client.send("", &["b@x.test"], clean).expect("answers");
    let id = heard.text.rsplit(' ').next().expect("an id").to_owned();
    let show = || {
        command(&server.config())
            .args(["queue", "show", &id])
            .output()
    };
    let told = posthouse_tests::wait::until("the failure", Duration::from_secs(30), || {
        let output = show().expect("it starts");
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        told.contains("failed").then_some(told)
    });
    for text in [told, server.proc.log()] {
        assert!(text.contains("/a/<link>"), "{text}");
        assert!(!text.contains("avgv5upsiaaa"), "{text}");
    }
}

fn links_in(text: &str) -> Vec<String> {
    let words = text.split(|c: char| c.is_whitespace() || "<>".contains(c));
    let mut links: Vec<_> = words
        .filter(|word| word.starts_with("http://"))
        .map(|word| word.trim_end_matches('.').to_owned())
        .collect();
    links.sort();
    links.dedup();
    links
}

fn get(web: SocketAddr, url: &str) -> String {
    let path = url
        .split_once(&web.to_string())
        .map_or("/", |(_, path)| path);
    let mut stream = TcpStream::connect(web).expect("listens");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("set");
    let request = format!("GET {path} HTTP/1.1\r\nHost: {web}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("takes it");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answers");
    answer
}
