//! `clamav` in the whole program, against the real clamd with signatures of its own, and against
//! servers that misbehave in every way. What was not scanned is never let through by itself.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use posthouse_tests::clamd::{Clamd, EICAR, WORDS};
use posthouse_tests::clients::swaks;
use posthouse_tests::{ports, wait};

use crate::gate::Gate;

const SENDER: &str = "ann@there.test";
const CLEAN: &[u8] = b"From: ann@there.test\r\nSubject: hello\r\n\r\nhello\r\n";
/// What a busy machine may take beyond a limit of two seconds.
const LIMIT: Duration = Duration::from_secs(10);
const LATER: (u16, &str) = (451, "4.3.0 Message cannot be scanned now, try again later");
const EICAR_FOUND: (u16, &str) = (550, "5.7.1 Virus found: Eicar-Test-Signature.UNOFFICIAL");

fn step(address: impl std::fmt::Display, options: &str) -> String {
    format!(
        "[[chain.inbound]]\nplugin = \"clamav\"\naddress = \"{address}\"\n\
         scan_timeout = \"2s\"\nrest = \"1s\"\n{options}"
    )
}

/// A front end without DNS: nothing asks it here.
fn gate(address: impl std::fmt::Display, options: &str) -> Gate {
    Gate::open(ports::free_addr(), &step(address, options))
}

/// A message with one file attached; `first` stands above all other fields.
fn attached(first: &str, octets: &[u8]) -> Vec<u8> {
    let text = BASE64.encode(octets);
    let lines: Vec<_> = text
        .as_bytes()
        .chunks(76)
        .map(String::from_utf8_lossy)
        .collect();
    format!(
        "{first}From: ann@there.test\r\nSubject: the file\r\nMIME-Version: 1.0\r\n\
         Content-Type: application/octet-stream; name=file.bin\r\n\
         Content-Transfer-Encoding: base64\r\n\r\n{}\r\n",
        lines.join("\r\n")
    )
    .into_bytes()
}

fn told(gate: &Gate, message: &[u8]) -> (u16, String) {
    let asked = Instant::now();
    let heard = gate.send(2, SENDER, message);
    assert!(asked.elapsed() < LIMIT, "{:?}", asked.elapsed());
    (heard.code, heard.text)
}

#[track_caller]
fn hears(gate: &Gate, message: &[u8], (code, text): (u16, &str)) {
    let (heard, said) = told(gate, message);
    assert!(
        heard == code && said.starts_with(text),
        "{heard} {said}, not {code} {text}"
    );
}

#[test]
fn viruses_are_refused_by_name() {
    let clamd = Clamd::start();
    for address in [
        clamd.addr().to_string(),
        clamd.socket().display().to_string(),
    ] {
        let gate = gate(&address, "");
        hears(&gate, CLEAN, (250, "2.6.0"));
        hears(&gate, &attached("", EICAR.as_bytes()), EICAR_FOUND);
        // First octets that clamd takes for those of another kind of file.
        for first in [
            "MZ: x\r\n",
            "%PDF-1.4: x\r\n",
            "Rar!: x\r\n",
            "GIF89a: x\r\n",
        ] {
            hears(&gate, &attached(first, EICAR.as_bytes()), EICAR_FOUND);
        }
        let long = format!(
            "Subject: x\r\n\r\n{}{WORDS}\r\n",
            "all is well\r\n".repeat(50_000)
        );
        let words = "5.7.1 Virus found: Own.Words.UNOFFICIAL";
        hears(&gate, long.as_bytes(), (550, words));
        let sent = swaks(
            gate.server.addr,
            SENDER,
            &["bob@ours.test"],
            long.as_bytes(),
        );
        assert!(sent.said.contains(&format!("550 {words}")), "{}", sent.said);
        let log = gate.server.proc.log_with("virus found");
        assert!(
            log.contains("virus found") && log.contains("Own.Words"),
            "{log}"
        );
        let delivered = gate.sink.wait_for(1);
        assert_eq!(delivered.len(), 1, "the clean one, and nothing else");
    }
}

#[test]
fn clamav_s_own_test_files_are_found() {
    // One of them is packed deeper than clamd looks by default.
    let clamd = Clamd::with("MaxRecursion 50\n");
    let gate = gate(
        clamd.addr(),
        "scan_timeout = \"10s\"".replace("scan", "connect").as_str(),
    );
    let files = Path::new("/usr/share/clamav-testfiles");
    let files = std::fs::read_dir(files).expect("the Debian package clamav-testfiles");
    let mut tried = 0;
    for file in files {
        let path = file.expect("a file").path();
        let octets = std::fs::read(&path).expect("a file");
        let (code, said) = told(&gate, &attached("", &octets));
        assert!(
            code == 550 && said.contains("ClamAV-Test-File"),
            "{}: {code} {said}",
            path.display()
        );
        tried += 1;
    }
    assert!(tried > 30, "{tried}");
}

/// A zip archive with one file of four octets in it that claims to be encrypted.
fn locked() -> Vec<u8> {
    let mut zip = b"PK\x03\x04\x14\0\x01\0\0\0\0\0\0\0".to_vec();
    let sizes = [0x4a, 0x1b, 0x2c, 0x3d, 16, 0, 0, 0, 4, 0, 0, 0, 1, 0, 0, 0];
    zip.extend_from_slice(&sizes);
    zip.extend_from_slice(b"asixteen octets!");
    let start = zip.len();
    zip.extend_from_slice(b"PK\x01\x02\x14\0\x14\0\x01\0\0\0\0\0\0\0");
    zip.extend_from_slice(&sizes[..14]);
    zip.extend_from_slice(&[0; 16]);
    zip.extend_from_slice(b"a");
    let length = u32::try_from(zip.len() - start).expect("small");
    zip.extend_from_slice(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend_from_slice(&length.to_le_bytes());
    zip.extend_from_slice(&u32::try_from(start).expect("small").to_le_bytes());
    zip.extend_from_slice(&[0, 0]);
    zip
}

#[test]
fn a_limit_is_never_clean() {
    let clamd = Clamd::with("StreamMaxLength 300K\nMaxFileSize 100K\nMaxScanSize 200K\n");
    let letters = |count: usize| format!("Subject: x\r\n\r\n{}", "abcdefgh\r\n".repeat(count));
    let (over_file, over_stream) = (letters(15_000), letters(60_000));
    let too_big = (552, "5.3.4 Message is too big to be scanned for viruses");
    let exceeded = "5.7.1 Message cannot be scanned for viruses: Heuristics.Limits.Exceeded";
    let encrypted = "5.7.1 Message cannot be scanned for viruses: Heuristics.Encrypted.Zip";
    let gate_1 = gate(clamd.addr(), "");
    hears(&gate_1, over_file.as_bytes(), (550, exceeded));
    hears(&gate_1, over_stream.as_bytes(), too_big);
    hears(&gate_1, &attached("", &locked()), (550, encrypted));
    hears(&gate_1, CLEAN, (250, "2.6.0"));
    let gate_2 = gate(clamd.addr(), "max_size = 1000\non_limit = \"defer\"");
    hears(&gate_2, letters(200).as_bytes(), LATER);
    let gate_3 = gate(
        clamd.socket().display(),
        "on_limit = \"hold\"\naction = \"hold\"",
    );
    hears(&gate_3, over_stream.as_bytes(), (250, "2.6.0"));
    hears(&gate_3, &attached("", EICAR.as_bytes()), (250, "2.6.0"));
    let held = gate_3.json(&["held", "list"]);
    assert_eq!(held.as_array().map(Vec::len), Some(2), "{held}");
    hears(&gate_3, CLEAN, (250, "2.6.0"));
    assert_eq!(
        gate_3.sink.wait_for(1).len(),
        1,
        "what is held is not relayed"
    );
}

/// Once clamd is well again, mail goes through without anybody's help.
fn recovers(gate: &Gate) {
    wait::until("mail goes through", LIMIT, || {
        (told(gate, CLEAN).0 == 250).then_some(())
    });
}

#[test]
fn a_hung_clamd_defers_within_its_time_and_comes_back() {
    let clamd = Clamd::start();
    let gate = gate(clamd.addr(), "");
    hears(&gate, CLEAN, (250, "2.6.0"));
    clamd.freeze();
    hears(&gate, CLEAN, LATER);
    // Many at once: then it is left alone, and nobody waits for it any more.
    std::thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| hears(&gate, CLEAN, LATER));
        }
    });
    clamd.thaw();
    recovers(&gate);
    hears(&gate, &attached("", EICAR.as_bytes()), EICAR_FOUND);
    let delivered = gate.sink.wait_for(2);
    assert_eq!(delivered.len(), 2, "only what heard 250");
}

#[test]
fn a_dead_clamd_defers_and_comes_back() {
    let mut clamd = Clamd::start();
    let gate_1 = gate(clamd.addr(), "");
    let gate_2 = gate(clamd.socket().display(), "");
    clamd.kill();
    for gate in [&gate_1, &gate_2] {
        for _ in 0..7 {
            hears(gate, CLEAN, LATER);
        }
    }
    clamd.revive();
    for gate in [&gate_1, &gate_2] {
        recovers(gate);
        hears(gate, &attached("", EICAR.as_bytes()), EICAR_FOUND);
    }
}

#[test]
fn unscanned_mail_passes_only_if_the_operator_says_so_and_is_counted() {
    let gate = gate(ports::free_addr(), "on_dead = \"pass\"");
    hears(&gate, CLEAN, (250, "2.6.0"));
    gate.sink.wait_for(1);
    let status = gate.json(&["status"]);
    assert!(
        status.to_string().contains("\"relayed_unscanned\":1"),
        "{status}"
    );
    let log = gate.server.proc.log_with("not scanned for viruses");
    assert!(log.contains("not scanned for viruses"), "{log}");
}

/// A server that reads a request, answers so, and closes.
fn says(reply: &'static [u8]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 65_536]);
            let _ = stream.write_all(reply);
        }
    });
    addr
}

#[test]
fn nonsense_is_no_scan() {
    const HUGE: &[u8] = &[b'x'; 2_000_000];
    let replies: [&'static [u8]; 9] = [
        b"",
        b"stream: OK",
        b"stream: OK\0\0",
        b"OK\0",
        b"stream: OK\nstream: OK\0",
        b"PONG\0",
        b"HTTP/1.1 200 OK\r\n\r\n",
        b"stream: Can't allocate memory ERROR\0",
        HUGE,
    ];
    for reply in replies {
        hears(&gate(says(reply), ""), CLEAN, LATER);
    }
}

#[test]
fn an_endless_answer_is_bounded() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    let server = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("a connection");
        while stream.write_all(&[b' '; 65_536]).is_ok() {}
    });
    hears(&gate(addr, ""), CLEAN, LATER);
    server.join().expect("the connection was closed");
}

/// Stands before a clamd, and gives an answer on only when it is told to.
fn slow(clamd: SocketAddr) -> (SocketAddr, mpsc::Receiver<()>, mpsc::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let addr = listener.local_addr().expect("a bound socket");
    let (scanned, has_scanned) = mpsc::channel();
    let (go_on, may_go_on) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut client = stream.expect("a connection");
            let mut server = TcpStream::connect(clamd).expect("clamd listens");
            let mut there = client.try_clone().expect("a socket");
            let mut back = server.try_clone().expect("a socket");
            std::thread::spawn(move || std::io::copy(&mut there, &mut back));
            let mut answer = Vec::new();
            server.read_to_end(&mut answer).expect("an answer");
            scanned.send(()).expect("the test waits");
            if may_go_on.recv().is_err() {
                return;
            }
            let _ = client.write_all(&answer);
        }
    });
    (addr, has_scanned, go_on)
}

#[test]
fn a_slow_scan_is_waited_for_and_holds_up_nobody_else() {
    let clamd = Clamd::start();
    let (addr, scanned, go_on) = slow(clamd.addr());
    let two = format!(
        "{}\n[[chain.inbound]]\nplugin = \"gtube\"\n",
        step(addr, "").replace("2s", "20s")
    );
    let gate = Gate::open(ports::free_addr(), &two);
    std::thread::scope(|scope| {
        let waits = scope.spawn(|| gate.send(2, SENDER, CLEAN));
        scanned.recv().expect("clamd was asked");
        assert_eq!(gate.greets(3).code, 220, "another client");
        assert!(!waits.is_finished(), "no reply before clamd's");
        go_on.send(()).expect("the proxy waits");
        assert_eq!(waits.join().expect("a reply").code, 250);
    });
    assert_eq!(gate.sink.wait_for(1).len(), 1);
}
