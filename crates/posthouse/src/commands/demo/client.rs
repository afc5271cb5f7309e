//! The demo's client: plain SMTP, one command at a time, as any mail program would speak it.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;

const PATIENCE: Duration = Duration::from_secs(60);

/// Sends one message and gives the reply to the end of DATA. Any earlier refusal is an error.
pub(super) async fn send(
    to: SocketAddr,
    from: &str,
    rcpt: &str,
    message: &str,
) -> io::Result<String> {
    tokio::time::timeout(PATIENCE, converse(to, from, rcpt, message)).await?
}

async fn converse(to: SocketAddr, from: &str, rcpt: &str, message: &str) -> io::Result<String> {
    let mut stream = BufReader::new(TcpStream::connect(to).await?);
    expect(&mut stream, "220").await?;
    for (command, code) in [
        ("EHLO client.isp.example".to_owned(), "250"),
        (format!("MAIL FROM:<{from}>"), "250"),
        (format!("RCPT TO:<{rcpt}>"), "250"),
        ("DATA".to_owned(), "354"),
    ] {
        stream
            .write_all(format!("{command}\r\n").as_bytes())
            .await?;
        expect(&mut stream, code).await?;
    }
    stream
        .write_all(format!("{message}.\r\n").as_bytes())
        .await?;
    let told = reply(&mut stream).await?;
    stream.write_all(b"QUIT\r\n").await?;
    Ok(told)
}

async fn expect(stream: &mut BufReader<TcpStream>, code: &str) -> io::Result<()> {
    let told = reply(stream).await?;
    if told.starts_with(code) {
        Ok(())
    } else {
        Err(io::Error::other(told))
    }
}

/// One reply, all of its lines.
async fn reply(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut told = String::new();
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        told.push_str(&line);
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok(told);
        }
    }
}
