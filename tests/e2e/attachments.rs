//! `attachments` through the whole program: mail that other people's programs write and send, and
//! what such a look costs when somebody wants it to cost much.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use posthouse_tests::clients::{smtplib, swaks};
use posthouse_tests::proc::require;
use posthouse_tests::sink::Script;

use crate::scene::Scene;

/// How long the answer to one message may take, on a busy machine.
const SOON: Duration = Duration::from_secs(60);
/// What the server's memory may grow by, whatever it is sent, in KiB.
const GROWTH: u64 = 64 * 1024;

fn scene(options: &str) -> Scene {
    let step = format!(
        "[[chain.outbound]]\nplugin = \"attachments\"\n{options}\n\n[[chain.outbound]]\nplugin           = \"quarantine\""
    );
    let quarantine = "[[chain.outbound]]\nplugin           = \"quarantine\"";
    Scene::with(Script::friendly(), |config| {
        config.replace(quarantine, &step)
    })
}

/// A message that Python's own `email`, `zipfile` and `tarfile` write; the script prints `message`.
fn python(script: &str) -> Vec<u8> {
    const START: &str = "
import io, sys, tarfile, zipfile, gzip, base64
from email.message import EmailMessage
from email.policy import SMTP
def new():
    m = EmailMessage(policy=SMTP)
    m['From'], m['To'], m['Subject'] = 'a@ours.test', 'b@b.test', 'A file'
    m.set_content('Hello.')
    return m
def zipped(*files):
    f = io.BytesIO()
    with zipfile.ZipFile(f, 'w', zipfile.ZIP_DEFLATED) as z:
        for name, data in files: z.writestr(name, data)
    return f.getvalue()
def attach(name, data):
    m = new()
    m.add_attachment(data, maintype='application', subtype='octet-stream', filename=name)
    return m.as_bytes()
";
    let script = format!("{START}{script}\nsys.stdout.buffer.write(message)");
    let mut command = Command::new(require("python3", "python3"));
    let output = command
        .args(["-c", &script])
        .output()
        .expect("python3 runs");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    output.stdout
}

/// The most memory that the server has had, in KiB.
fn peak(scene: &Scene) -> u64 {
    let status = format!("/proc/{}/status", scene.server.proc.pid().as_raw_nonzero());
    let status = std::fs::read_to_string(status).expect("a process of ours");
    let line = status
        .lines()
        .find(|line| line.starts_with("VmHWM:"))
        .expect("a peak");
    let number = line.split_ascii_whitespace().nth(1).expect("a number");
    number.parse().expect("a number")
}

fn refused(scene: &Scene, message: &[u8], words: &str) {
    let heard = scene.send("a@ours.test", &["b@b.test"], message);
    assert_eq!(heard.code, 552, "{heard:?}");
    assert!(
        heard.text.starts_with("5.7.0 ") && heard.text.contains(words),
        "{heard:?}"
    );
}

#[test]
fn files_are_refused_by_name_and_content() {
    let scene = scene("preset = \"outlook\"");
    let exe = python("message = attach('Rechnung \u{fc}ber 5 \u{20ac}.pdf.exe', b'x')");
    let said = swaks(scene.server.addr, "a@ours.test", &["b@b.test"], &exe);
    assert_ne!(said.code, 0);
    assert!(said.said.contains("552 5.7.0 Message content rejected: attachment Rechnung ?ber 5 ?.pdf.exe is not allowed here"), "{}", said.said);
    let zip = python("message = attach('a.zip', zipped(('b.zip', zipped(('dir/x.scr', 'x')))))");
    let said = smtplib(scene.server.addr, "a@ours.test", &["b@b.test"], &zip);
    assert!(
        said.said.contains("attachment dir/x.scr is not allowed"),
        "{said:?}"
    );
    let typed = python("message = attach('holiday.jpg', b'MZ' + bytes(100))");
    refused(
        &scene,
        &typed,
        "the content of attachment holiday.jpg is not allowed",
    );
    let tar = python(
        "f = io.BytesIO()\nt = tarfile.open(fileobj=f, mode='w:gz')\ni = tarfile.TarInfo('d/' * 90 + 'x.js')\nt.addfile(i)\nt.close()\nmessage = attach('a.tgz', f.getvalue())",
    );
    refused(&scene, &tar, "is not allowed here");
    let inner = python(
        "m = new()\nn = new()\nn.add_attachment(b'x', maintype='application', subtype='x', filename='x.hta')\nm.add_attachment(n)\nmessage = m.as_bytes()",
    );
    refused(&scene, &inner, "x.hta");
    let clean =
        python("message = attach('report.docx', zipped(('word/document.xml', '<x/>' * 5000)))");
    let said = swaks(scene.server.addr, "a@ours.test", &["b@b.test"], &clean);
    assert_eq!(said.code, 0, "{}", said.said);
    let arrived = scene.arrived("b@b.test", 1);
    assert!(arrived[0].message.ends_with(&clean), "every byte the same");
    assert_eq!(arrived.len(), 1);
}

#[test]
fn every_vector_is_refused_and_every_harmless_one_passes() {
    let scene = scene("preset = \"classic\"");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("vectors/attachments");
    for (dir, code) in [("refused", 552), ("passed", 250), ("unreadable", 250)] {
        for entry in std::fs::read_dir(root.join(dir)).expect("vectors") {
            let path = entry.expect("an entry").path();
            let message = std::fs::read(&path).expect("a message");
            let heard = scene.send("a@ours.test", &["b@b.test"], &message);
            assert_eq!(heard.code, code, "{}: {heard:?}", path.display());
        }
    }
}

#[test]
fn what_is_held_is_for_the_operator() {
    let scene = scene("preset = \"gmail\"\naction = \"hold\"");
    let exe = python("message = attach('x.exe', b'x')");
    let heard = scene.send("x@stranger.test", &["b@filtered.test"], &exe);
    assert_eq!(heard.code, 250, "{heard:?}");
    let held = scene.items(&["held", "list"]);
    assert_eq!(held.len(), 1, "{held:?}");
    scene.settle();
    assert_eq!(
        scene.so_far("b@filtered.test").len(),
        0,
        "no letter, no copy"
    );
}

#[test]
fn closed_and_encrypted_archives_are_a_choice() {
    let scene = scene("preset = \"gmail\"\nclosed = \"refuse\"\nencrypted = \"refuse\"");
    let rar = python("message = attach('a.dat', b'Rar!\\x1a\\x07\\x01\\x00xxxx')");
    refused(&scene, &rar, "attachment a.dat cannot be examined");
    let encrypted = python(
        "z = bytearray(zipped(('a.txt', 'x')))\nz[6] |= 1\nz[z.index(b'PK\\1\\2') + 8] |= 1\nmessage = attach('a.zip', bytes(z))",
    );
    refused(&scene, &encrypted, "attachment a.txt is encrypted");
}

#[test]
fn what_wants_to_cost_much_costs_little() {
    let scene = scene("preset = \"outlook\"\nlook_timeout = \"60s\"");
    // A first message, so that what grows once has grown.
    let clean = python("message = attach('a.txt', b'x' * 1000000)");
    assert_eq!(scene.send("a@ours.test", &["b@b.test"], &clean).code, 250);
    let before = peak(&scene);
    for (what, script) in [
        (
            "42.zip",
            "z = zipped(('0.dll', bytes(50_000_000)))\nfor d in range(5): z = zipped(*((f'{d}{n}.zip', z) for n in range(16)))\nmessage = attach('42.zip', z)",
        ),
        (
            "gzip bomb",
            "message = attach('a.gz', gzip.compress(bytes(300_000_000)))",
        ),
        (
            "20 archives in one another",
            "z = b'x'\nfor n in range(20): z = zipped(('a.zip', z))\nmessage = attach('a.zip', z)",
        ),
        (
            "10,000 parts",
            "m = 'Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n' + '--b\\r\\n\\r\\nx\\r\\n' * 10000 + '--b--\\r\\n'\nmessage = m.encode()",
        ),
        (
            "2 MB of a telling field",
            "m = 'Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n--b\\r\\nContent-Type: text/plain; x=' + 'y' * 2_000_000 + '\\r\\n\\r\\nx\\r\\n--b--\\r\\n'\nmessage = m.encode()",
        ),
    ] {
        let begun = Instant::now();
        refused(&scene, &python(script), "to be examined");
        assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
    }
    for (what, script) in [
        (
            "20,000 header lines",
            "m = 'Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n--b\\r\\n' + 'X-Line: y\\r\\n' * 20000 + '\\r\\nx\\r\\n--b--\\r\\n'\nmessage = m.encode()",
        ),
        (
            "2 MB of another field",
            "m = 'Content-Type: multipart/mixed; boundary=b\\r\\n\\r\\n--b\\r\\nX-Line: ' + 'y' * 2_000_000 + '\\r\\n\\r\\nx\\r\\n--b--\\r\\n'\nmessage = m.encode()",
        ),
        (
            "20 MB",
            "message = attach('a.bin', bytes(range(1, 256)) * 80_000)",
        ),
    ] {
        let begun = Instant::now();
        let heard = scene.send("a@ours.test", &["b@b.test"], &python(script));
        assert_eq!(heard.code, 250, "{what}: {heard:?}");
        assert!(begun.elapsed() < SOON, "{what}: {:?}", begun.elapsed());
    }
    let grown = peak(&scene) - before;
    assert!(grown < GROWTH, "the server's memory grew by {grown} KiB");
}
