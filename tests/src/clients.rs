//! Mail clients that other people wrote: swaks and Python's smtplib. They block.

use std::io::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output, Stdio};

use crate::proc::require;

/// What a client did: its exit code and what it wrote.
#[derive(Debug)]
pub struct Ran {
    /// 0 if the message was accepted.
    pub code: i32,
    /// Its output, errors included; for swaks the whole dialogue.
    pub said: String,
}

/// Sends one message with swaks, which shows the dialogue.
pub fn swaks(server: SocketAddr, from: &str, to: &[&str], message: &[u8]) -> Ran {
    let mut command = Command::new(require("swaks", "swaks"));
    command
        .arg("--server")
        .arg(server.ip().to_string())
        .arg("--port")
        .arg(server.port().to_string())
        .args(["--helo", "client.test", "--from", from, "--to"])
        .arg(to.join(","))
        .args(["--data", "-", "--no-data-fixup"]);
    feed(command, &with_final_dot(message))
}

/// Sends one message with Python's smtplib; prints what the server said of it.
pub fn smtplib(server: SocketAddr, from: &str, to: &[&str], message: &[u8]) -> Ran {
    let mut command = Command::new(require("python3", "python3"));
    command
        .args(["-c", SMTPLIB])
        .arg(server.ip().to_string())
        .arg(server.port().to_string())
        .arg(from)
        .args(to);
    feed(command, message)
}

/// Exits 0 if accepted, 1 if refused; the refusal goes to standard output.
const SMTPLIB: &str = r#"
import smtplib, sys
host, port, sender, *recipients = sys.argv[1:]
message = sys.stdin.buffer.read()
try:
    with smtplib.SMTP(host, int(port), local_hostname="client.test", timeout=60) as client:
        refused = client.sendmail(sender, recipients, message, mail_options=["BODY=8BITMIME"])
except smtplib.SMTPResponseException as error:
    print(error.smtp_code, error.smtp_error.decode())
    sys.exit(1)
except smtplib.SMTPRecipientsRefused as error:
    print(error.recipients)
    sys.exit(1)
print("accepted", refused)
"#;

/// swaks sends its data as it stands, and so wants the end of DATA in it.
fn with_final_dot(message: &[u8]) -> Vec<u8> {
    let mut data = message.to_vec();
    data.extend_from_slice(b".\r\n");
    data
}

fn feed(mut command: Command, input: &[u8]) -> Ran {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || stdin.write_all(&input));
    let output = child.wait_with_output().expect("a child of our own");
    let _ = feeder.join();
    ran(&output)
}

fn ran(output: &Output) -> Ran {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    Ran {
        code: output.status.code().unwrap_or(-1),
        said,
    }
}
